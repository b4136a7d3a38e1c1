"""Open podOS for an integration: its connections, and its requests per second shared by all processes."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from sqlalchemy import Engine

from models.blocks import Integration
from tasks.desk.rate_limit import claim_slots, is_throttled, note_refusal
from tasks.podos.client import PodosClient
from tasks.prefect_api.integrations import access_of

CHECK_THROTTLED_SECONDS = 120.0
IMPORT_THROTTLED_SECONDS = 900.0
"""How long a request is asked again while podOS wants a slower rate. A check gives up: the next one comes."""
_LONGEST_MEMORY = 1000


class RateLimiter:
    """Waits for this process's next turn to ask podOS; turns are taken a second's worth at a time.

    Without a cap nothing waits until podOS refuses a request because of the rate.

    Args:
        engine: the desk, where the turns are counted out.
        integration: whose requests.
        requests_per_second: the cap, above 0; None: there is none.
        clock: returns the present, aware.
        sleep: waits so many seconds.
    """

    def __init__(
        self,
        engine: Engine,
        integration: str,
        requests_per_second: float | None,
        *,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._engine = engine
        self._integration = integration
        self._requests_per_second = requests_per_second
        self._clock = clock
        self._sleep = sleep
        self._is_limited: bool | None = True if requests_per_second else None
        """None: not known yet."""
        self._turns: deque[datetime] = deque()
        self._begun: deque[datetime] = deque(maxlen=_LONGEST_MEMORY)
        self._lock = asyncio.Lock()

    async def __call__(self) -> None:
        """Wait for the next turn."""
        if self._is_limited is not False:
            turn = await self._next_turn()
            wait_seconds = (turn - self._clock()).total_seconds() if turn else 0
            if wait_seconds > 0:
                await self._sleep(wait_seconds)
        self._begun.append(self._clock())

    async def refused(self) -> None:
        """Slow down: podOS answered 429."""
        now = self._clock()
        recent = sum(now - begun <= timedelta(seconds=1) for begun in self._begun)
        async with self._lock:
            note = partial(note_refusal, self._engine, self._integration, recent=recent, now=now)
            await asyncio.to_thread(note)
            self._turns.clear()  # taken at the rate that was refused
            self._is_limited = True

    async def _next_turn(self) -> datetime | None:
        async with self._lock:
            if self._is_limited is None:
                self._is_limited = await asyncio.to_thread(is_throttled, self._engine, self._integration)
            if not self._is_limited:
                return None
            self._drop_lost_slots()
            if not self._turns:
                self._turns.extend(await asyncio.to_thread(self._claim))
            self._is_limited = bool(self._turns)
            return self._turns.popleft() if self._turns else None

    def _drop_lost_slots(self) -> None:
        # Turns of the past used all at once would be a burst.
        while len(self._turns) > 1 and self._turns[1] <= self._clock():
            self._turns.popleft()

    def _claim(self) -> list[datetime]:
        return claim_slots(
            self._engine, self._integration, requests_per_second=self._requests_per_second, now=self._clock()
        )


def open_podos(engine: Engine, name: str, integration: Integration, **options: Any) -> PodosClient:
    """Return a client for an integration that keeps to its connections and requests per second.

    Args:
        engine: the desk.
        name: the integration's name.
        integration: its settings.
        **options: of ``PodosClient``.
    """
    pace = RateLimiter(engine, name, integration.requests_per_second)
    return PodosClient(access_of(integration), connections=integration.connections, pace=pace, **options)
