"""Open podOS for an integration: its connections, and its requests per second shared by all processes."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Engine

from models.blocks import Integration
from tasks.desk.rate_limit import claim_slots
from tasks.podos.client import PodosClient
from tasks.prefect_api.integrations import access_of


class RateLimiter:
    """Waits for this process's next turn to ask podOS; turns are taken a second's worth at a time.

    Args:
        engine: the desk, where the turns are counted out.
        integration: whose requests.
        requests_per_second: the cap, above 0.
        clock: returns the present, aware.
        sleep: waits so many seconds.
    """

    def __init__(
        self,
        engine: Engine,
        integration: str,
        requests_per_second: float,
        *,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._engine = engine
        self._integration = integration
        self._requests_per_second = requests_per_second
        self._clock = clock
        self._sleep = sleep
        self._turns: deque[datetime] = deque()
        self._lock = asyncio.Lock()

    async def __call__(self) -> None:
        """Wait for the next turn."""
        async with self._lock:
            self._drop_lost_slots()
            if not self._turns:
                self._turns.extend(await asyncio.to_thread(self._claim))
            turn = self._turns.popleft()
        wait_seconds = (turn - self._clock()).total_seconds()
        if wait_seconds > 0:
            await self._sleep(wait_seconds)

    def _drop_lost_slots(self) -> None:
        # Turns of the past used all at once would be a burst.
        oldest = self._clock() - timedelta(seconds=1 / self._requests_per_second)
        while self._turns and self._turns[0] < oldest:
            self._turns.popleft()

    def _claim(self) -> list[datetime]:
        return claim_slots(
            self._engine,
            self._integration,
            requests_per_second=self._requests_per_second,
            count=max(1, int(self._requests_per_second)),
            now=self._clock(),
        )


def open_podos(engine: Engine, name: str, integration: Integration, **options: Any) -> PodosClient:
    """Return a client for an integration that keeps to its connections and requests per second.

    Args:
        engine: the desk.
        name: the integration's name.
        integration: its settings.
        **options: of ``PodosClient``.
    """
    rate = integration.requests_per_second
    pace = RateLimiter(engine, name, rate) if rate else None
    return PodosClient(access_of(integration), connections=integration.connections, pace=pace, **options)
