"""What every run that delivers shares: its state, the pause gate, the circuit breaker and the counts."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Generic, Protocol, TypedDict, TypeVar

from sqlalchemy import Engine

from models.deliveries import DeliveryNote, DeliveryReport
from models.tables.outbox import OutboxState
from tasks.delivery.retry_policy import FIRST_PAUSE, RetryDecision, asked_pause
from tasks.desk.leases import HeldLease

MAX_NOTES = 200
FIRST_PAUSE_SECONDS = 0.5
LONGEST_WAIT_SECONDS = 10.0
"""A Retry-After that asks for more outlives the process: what is due waits in the desk."""
BREAKER_THRESHOLD = 20
"""So many attempts in a row without a clear answer: the other side is down, the rest is not even tried."""

Report = TypeVar("Report", bound=DeliveryReport)
Sleep = Callable[[float], Awaitable[None]]


class Row(Protocol):
    """A row of an outbox, as a report shows it."""

    @property
    def id(self) -> int:
        """The row's id."""

    @property
    def order_number(self) -> str:
        """The number of its order."""


class Halt(Protocol):
    """Why the other side is left alone."""

    @property
    def retry_after_seconds(self) -> float | None:
        """The pause that it asked for, where it asked."""


class PauseGate:
    """Holds back everything that would begin while the other side has the pause that it asked for."""

    def __init__(self, sleep: Sleep) -> None:
        self._sleep = sleep
        self._open = asyncio.Event()
        self._open.set()

    @property
    def is_open(self) -> bool:
        """Whether something may begin."""
        return self._open.is_set()

    async def wait(self) -> None:
        """Return when something may begin."""
        await self._open.wait()

    async def pause(self, seconds: float) -> None:
        """Close the gate for so long."""
        self._open.clear()
        try:
            await self._sleep(seconds)
        finally:
            self._open.set()


class CircuitBreaker:
    """Opens after ``BREAKER_THRESHOLD`` failures in a row; what follows is not tried."""

    def __init__(self) -> None:
        self._failures = 0

    @property
    def is_open(self) -> bool:
        """Whether nothing more is to be tried."""
        return self._failures >= BREAKER_THRESHOLD

    def failed(self) -> None:
        """Count an attempt without a clear answer."""
        self._failures += 1

    def succeeded(self) -> None:
        """Begin to count anew."""
        self._failures = 0


class RunOptions(TypedDict, total=False):
    """What every run may be given besides its settings."""

    lease: HeldLease | None
    clock: Callable[[], datetime]
    sleep: Sleep


class DeliveryRun(Generic[Report]):
    """What all batches of one run share. A plain object: Prefect's engine must not walk through it.

    Attributes:
        engine: the desk.
        report: the counts of what the desk really has.
        lease: None in read-only mode, which writes nothing.
        gate: closed while the other side has its pause.
    """

    def __init__(
        self,
        engine: Engine,
        report: Report,
        *,
        lease: HeldLease | None = None,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        sleep: Sleep = asyncio.sleep,
    ) -> None:
        self.engine = engine
        self.report = report
        self.lease = lease
        self.clock = clock
        self.sleep = sleep
        self.gate = PauseGate(sleep)
        self._counted: dict[int, OutboxState] = {}

    def check_lease(self) -> None:
        """Make sure that no other run took over.

        Raises:
            LeaseLostError: one did.
        """
        if self.lease:
            self.lease.check()

    def count(self, row: Row, decision: RetryDecision) -> None:
        """Count a row once, under the last that became of it in this run."""
        state, before = decision.state, self._counted.get(row.id)
        counts, notes = self.report.counts, self.report.notes
        if before is not None:
            counts[before] -= 1
            notes[before] = [note for note in notes.get(before, []) if note.id != row.id]
        self._counted[row.id] = state
        counts[state] += 1
        noted = notes.setdefault(state, [])
        if decision.reason and len(noted) < MAX_NOTES:
            noted.append(DeliveryNote(row.id, row.order_number, decision.reason))


def pause_seconds(number: int, retry_after_seconds: float | None) -> float:
    """Return how long to wait after a round (from 0): the backoff, or what the other side asked for."""
    return max(FIRST_PAUSE_SECONDS * 2.0**number, retry_after_seconds or 0.0)


def is_too_long(retry_after_seconds: float | None) -> bool:
    """Return whether the other side asked for a pause that outlives the process."""
    return (retry_after_seconds or 0.0) > LONGEST_WAIT_SECONDS


def resume_at(halted: Halt, now: datetime) -> datetime:
    """Return until when all that is due waits after a halt, without an attempt; times are aware."""
    wait: timedelta = max(FIRST_PAUSE, asked_pause(halted.retry_after_seconds))
    return now + wait
