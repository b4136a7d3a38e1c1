"""The state that all batches of one sync share."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime

from sqlalchemy import Connection, Engine

from models.desk import OutboxState
from models.shipments import Parcel, ShipmentNote, SyncReport, SyncSettings
from tasks.delivery.retry_policy import AttemptOutcome, RetryDecision
from tasks.desk.leases import HeldLease
from tasks.desk.sync_runs import record_sync_progress
from tasks.podos.errors import RetriablePodosError
from tasks.tracking.queue import write_outcomes

MAX_NOTES = 200


class SyncRun:
    """What every batch of one sync shares. A plain object: the engine must not walk through it.

    Attributes:
        engine: the desk.
        settings: the integration's, without its secret.
        report: the counts of what the desk really has.
        lease: None in read-only mode, which writes nothing.
        halted: why podOS is to be left alone for now, None if it is not.
        after_id: where the next batch begins; only a read-only run needs it, as its rows stay as they are.
    """

    def __init__(
        self,
        engine: Engine,
        settings: SyncSettings,
        report: SyncReport,
        *,
        lease: HeldLease | None = None,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self.engine = engine
        self.settings = settings
        self.report = report
        self.lease = lease
        self.clock = clock
        self.sleep = sleep
        self.halted: RetriablePodosError | None = None
        self.after_id = 0
        self._outcomes: dict[int, OutboxState] = {}

    def write(self, connection: Connection, outcomes: Sequence[tuple[Parcel, AttemptOutcome]]) -> None:
        """Write what became of shipments, and the counts, in the caller's transaction."""
        parcels = [parcel for parcel, _ in outcomes]
        verdicts = {parcel.id: verdict for parcel, verdict in outcomes}
        settled = write_outcomes(
            connection, parcels, verdicts, move_to=self.settings.move_to, now=self.clock()
        )
        self.count(parcels, settled)
        record_sync_progress(connection, self.report)

    def count(self, parcels: Sequence[Parcel], settled: dict[int, RetryDecision]) -> None:
        """Count shipments under what they say now; one that comes again counts as its latest."""
        for parcel in parcels:
            if parcel.id not in settled:
                continue
            state, reason = settled[parcel.id].state, settled[parcel.id].reason
            before = self._outcomes.get(parcel.id)
            if before is not None:
                self.report.counts[before] -= 1
            self._outcomes[parcel.id] = state
            self.report.counts[state] += 1
            notes = self.report.notes.setdefault(state, [])
            if reason and len(notes) < MAX_NOTES:
                notes.append(ShipmentNote(parcel.id, parcel.order_number, reason))
