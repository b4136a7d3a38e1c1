"""What the sandbox was asked, kept so that tests can count requests. Never a token."""

from __future__ import annotations

import time
from collections import deque
from dataclasses import dataclass
from threading import Lock
from typing import Any

from deployments.sandbox.query import Pairs
from deployments.sandbox.wire import Order

DEFAULT_LIMIT = 20_000


@dataclass(frozen=True)
class RecordedRequest:
    """One request as it arrived and was answered.

    Attributes:
        method: `GET` or `PATCH`.
        path: Without the query.
        query: The parameters in the order sent, `project` included.
        body: The JSON object sent, if it was one.
        status: The HTTP status answered; 0 when the connection was closed without an answer.
        started: When it arrived, on the monotonic clock, in seconds.
        fault: The fault that was played, if any.
    """

    method: str
    path: str
    query: Pairs
    body: dict[str, Any] | None
    status: int
    started: float
    fault: str | None = None


@dataclass(frozen=True)
class RecordedChange:
    """What an order was from a moment on.

    Attributes:
        order_id: Its id.
        status: Its status.
        frozen: Whether it must not be produced.
        at: When, in seconds since 1970, by the real clock and not podOS's.
    """

    order_id: str
    status: object
    frozen: bool
    at: float


class RequestLog:
    """The last requests, applied PATCHes and changes of orders. Thread-safe and bounded."""

    def __init__(self, limit: int = DEFAULT_LIMIT) -> None:
        """Keep at most `limit` of each; older ones fall out."""
        self.enabled = True
        self._lock = Lock()
        self._requests: deque[RecordedRequest] = deque(maxlen=limit)
        self._patches: deque[tuple[str, Order]] = deque(maxlen=limit)
        self._changes: deque[RecordedChange] = deque(maxlen=limit)

    def add_request(self, request: RecordedRequest) -> None:
        """Keep a request, unless switched off."""
        with self._lock:
            if self.enabled:
                self._requests.append(request)

    def add_patch(self, order_id: str, body: Order) -> None:
        """Keep a PATCH that was applied, unless switched off."""
        with self._lock:
            if self.enabled:
                self._patches.append((order_id, body))

    def add_change(self, order_id: str, order: Order) -> None:
        """Keep what an order is from now on, unless switched off."""
        with self._lock:
            if self.enabled:
                frozen = bool(order.get("frozen"))
                self._changes.append(RecordedChange(order_id, order.get("status"), frozen, time.time()))

    def requests(self) -> list[RecordedRequest]:
        """Copy the requests, oldest first."""
        with self._lock:
            return list(self._requests)

    def patches(self) -> list[tuple[str, Order]]:
        """Copy the applied PATCHes, oldest first."""
        with self._lock:
            return list(self._patches)

    def changes(self) -> list[RecordedChange]:
        """Copy the changes, oldest first: an order that was added, and each later state of it."""
        with self._lock:
            return list(self._changes)

    def clear(self) -> None:
        """Forget everything so far."""
        with self._lock:
            self._changes.clear()
            self._requests.clear()
            self._patches.clear()
