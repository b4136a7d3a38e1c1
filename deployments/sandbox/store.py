"""The sandbox's orders, in memory. Fast at 200,000: pages are joined from bytes along sorted indexes."""

from __future__ import annotations

import json
import random
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from itertools import islice
from threading import RLock

from deployments.sandbox.query import DATE_FIELDS, Filter, Sort
from deployments.sandbox.record import DEFAULT_LIMIT, RecordedRequest, RequestLog
from deployments.sandbox.rows import SORT_VALUES, Row, SortedIndex, make_row, matches
from deployments.sandbox.wire import Order, iso

_SCANS_KEPT = 8
_PICK_ATTEMPTS = 50


def _real_now() -> datetime:
    return datetime.now(UTC)


class Scan:
    """The rows of one filter, found only as far as somebody asked."""

    def __init__(self, rows: Iterator[Row]) -> None:
        """Take the rows lazily; they must stay valid as long as the scan is used."""
        self._rows = rows
        self._found: list[Row] = []

    def slice(self, start: int, stop: int) -> tuple[list[Row], bool]:
        """Return the rows from `start` to before `stop`, and whether more follow."""
        missing = stop + 1 - len(self._found)
        if missing > 0:
            self._found.extend(islice(self._rows, missing))
        return self._found[start:stop], len(self._found) > stop


class Store:
    """The orders of one project, and the log of what was asked about them. Thread-safe.

    What it returns are copies: changing them changes nothing here.
    """

    def __init__(self, clock: Callable[[], datetime] | None = None, log_limit: int = DEFAULT_LIMIT) -> None:
        """Begin empty. `clock` tells the moment of a change; default: the real one."""
        self.log = RequestLog(log_limit)
        self._lock = RLock()
        self._clock = clock or _real_now
        self._ahead_seconds: Callable[[], float] = float
        self._rows: dict[str, Row] = {}
        self._added = 0
        self._indexes = {field: SortedIndex(field) for field in DATE_FIELDS}
        self._scans: OrderedDict[Filter, Scan] = OrderedDict()

    def __len__(self) -> int:
        """Count the orders."""
        with self._lock:
            return len(self._rows)

    @property
    def alone(self) -> AbstractContextManager[object]:
        """A block in which no other thread looks or changes: for a change that depends on a look."""
        return self._lock

    @property
    def requests(self) -> list[RecordedRequest]:
        """The last requests, oldest first."""
        return self.log.requests()

    @property
    def patches(self) -> list[tuple[str, Order]]:
        """The last applied PATCHes as (id, body), oldest first."""
        return self.log.patches()

    def set_clock(self, clock: Callable[[], datetime]) -> None:
        """Take the moment of every change from here on from this clock."""
        with self._lock:
            self._clock = clock

    def set_error_of_clock(self, ahead_seconds: Callable[[], float]) -> None:
        """Take from here how far the clock runs ahead at each moment, behind when negative."""
        self._ahead_seconds = ahead_seconds

    def now(self) -> int:
        """Tell the store's time, in whole seconds since 1970."""
        return int(self._clock().timestamp() + self._ahead_seconds())

    def add(self, order: Order) -> str:
        """Add an order and return the key it is kept by: its id, or a made-up one when it has none.

        Raises:
            ValueError: An order of this id exists.
        """
        with self._lock:
            identity = order.get("id")
            key = identity if isinstance(identity, str) else f"without-id-{self._added}"
            if key in self._rows:
                raise ValueError(f"the order {key} exists already")
            self._put(make_row(self._added, key, order))
            self._added += 1
            self.log.add_change(key, order)
            return key

    def extend(self, orders: Iterable[Order]) -> None:
        """Add many orders."""
        for order in orders:
            self.add(order)

    def get(self, order_id: str) -> Order | None:
        """Return a copy of one order."""
        body = self.body(order_id)
        return None if body is None else _parse(body)

    def body(self, order_id: str) -> bytes | None:
        """Return one order as JSON."""
        with self._lock:
            row = self._rows.get(order_id)
            return None if row is None else row.body

    def keys(self) -> list[str]:
        """List the ids, in the order they were added."""
        with self._lock:
            return list(self._rows)

    def all(self) -> list[Order]:
        """Return copies of all orders, in the order they were added. For tests: slow for very many."""
        with self._lock:
            bodies = [row.body for row in self._rows.values()]
        return [_parse(body) for body in bodies]

    def update(self, order_id: str, /, **changes: object) -> Order:
        """Change fields of an order and return a copy of it.

        `updatedAt` becomes the store's time unless given. When the status changes, `statusChangedAt`
        does too, and `statusHistory` grows.

        Raises:
            KeyError: There is no such order.
        """
        with self._lock:
            row = self._rows[order_id]
            order = _parse(row.body)
            changes.setdefault("updatedAt", iso(self.now()))
            if "status" in changes and changes["status"] != order.get("status"):
                changes.setdefault("statusChangedAt", changes["updatedAt"])
                step = {"status": changes["status"], "createdAt": changes["statusChangedAt"]}
                changes.setdefault("statusHistory", [*(order.get("statusHistory") or []), step])
            order.update(changes)
            self._drop(row)
            self._put(make_row(row.number, row.key, order))
            self.log.add_change(row.key, order)
            return order

    def remove(self, order_id: str) -> None:
        """Take an order away.

        Raises:
            KeyError: There is no such order.
        """
        with self._lock:
            row = self._rows[order_id]
            self._drop(row)
            del self._rows[order_id]

    def pick(self, rng: random.Random, status: str) -> str | None:
        """Draw the id of an order in this status; None when a number of draws found none."""
        with self._lock:
            index = self._indexes["createdAt"]
            total = len(index.span(Filter()))
            for _ in range(_PICK_ATTEMPTS if total else 0):
                position = rng.randrange(total)
                row = next(index.walk(range(position, position + 1)))
                if row.status == status:
                    return row.key
            return None

    def select(self, wanted: Filter, start: int, stop: int) -> tuple[list[bytes], bool]:
        """Return the JSON of the orders from position `start` to before `stop`, and whether more follow."""
        with self._lock:
            scan = self._scans.get(wanted)
            if scan is None:
                scan = self._scans[wanted] = Scan(self._find(wanted))
                if len(self._scans) > _SCANS_KEPT:
                    self._scans.popitem(last=False)
            rows, more = scan.slice(start, stop)
            return [row.body for row in rows], more

    def _put(self, row: Row) -> None:
        self._rows[row.key] = row
        for index in self._indexes.values():
            index.add(row)
        self._scans.clear()

    def _drop(self, row: Row) -> None:
        for index in self._indexes.values():
            index.discard(row)
        self._scans.clear()

    def _find(self, wanted: Filter) -> Iterator[Row]:
        """Yield matching rows in the order asked for, walking an index instead of sorting where one fits."""
        if wanted.ids:
            known = (self._rows[key] for key in wanted.ids if key in self._rows)
            return iter(_sorted([row for row in known if matches(row, wanted)], wanted.sort))
        first = wanted.sort[0]
        dated = wanted.start is not None or wanted.end is not None
        if (
            len(wanted.sort) == 1
            and first.field in self._indexes
            and (not dated or first.field == wanted.date_field)
        ):
            index = self._indexes[first.field]
            positions = index.span(wanted)
            rows = index.walk(positions[::-1] if first.descending else positions)
            return (row for row in rows if matches(row, wanted))
        index = self._indexes[wanted.date_field]
        rows = index.walk(index.span(wanted))
        return iter(_sorted([row for row in rows if matches(row, wanted)], wanted.sort))


def _sorted(rows: list[Row], sort: tuple[Sort, ...]) -> list[Row]:
    for key in reversed(sort):
        rows.sort(key=SORT_VALUES[key.field], reverse=key.descending)
    return rows


def _parse(body: bytes) -> Order:
    order: Order = json.loads(body)
    return order
