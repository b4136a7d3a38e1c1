"""One sync under way: what all its batches share, and the ledger that writes outcomes as they come."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from threading import Lock
from types import TracebackType
from typing import Self

from sqlalchemy import Engine

from models.desk import OutboxState
from models.shipments import Parcel, ShipmentNote, SyncReport, SyncSettings
from tasks.desk.engine import writing
from tasks.desk.leases import HeldLease
from tasks.desk.shipment_sync import write_verdicts
from tasks.desk.sync_runs import record_sync_progress
from tasks.outbox_rules import Settled, Verdict
from tasks.podos.errors import RetriablePodosError

WRITE_EVERY_SECONDS = 0.2
"""A group of outcomes is written together; what a power cut takes of it, the next run finds in podOS."""
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

    def count(self, parcels: Sequence[Parcel], settled: dict[int, Settled]) -> None:
        """Count shipments under what they say now; one that comes again counts as its latest."""
        for one in parcels:
            if one.id not in settled:
                continue
            state, reason = settled[one.id].state, settled[one.id].reason
            before = self._outcomes.get(one.id)
            if before is not None:
                self.report.counts[before] -= 1
            self._outcomes[one.id] = state
            self.report.counts[state] += 1
            notes = self.report.notes.setdefault(state, [])
            if reason and len(notes) < MAX_NOTES:
                notes.append(ShipmentNote(one.id, one.order_number, reason))


class Ledger:
    """Takes the outcomes of a batch and writes them as they come; use it with ``async with``.

    At the end all is written that was noted, whatever ended the batch.
    """

    def __init__(self, run: SyncRun, parcels: Sequence[Parcel]) -> None:
        self._run = run
        self._parcels = {one.id: one for one in parcels}
        self._verdicts: dict[int, Verdict] = {}
        self._something = asyncio.Event()
        self._lock = Lock()
        self._writer: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        """Begin to write."""
        self._writer = asyncio.create_task(self._write_as_they_come())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Write the rest."""
        if self._writer:
            self._writer.cancel()
            with suppress(asyncio.CancelledError, Exception):  # written again just below
                await self._writer
        self._write()

    def note(self, parcel: Parcel, verdict: Verdict) -> None:
        """Take an outcome.

        Raises:
            DeskError: earlier ones could not be written; nothing more is to be sent.
        """
        self._verdicts[parcel.id] = verdict
        self._something.set()
        if self._writer and self._writer.done():
            self._writer.result()

    async def _write_as_they_come(self) -> None:
        while True:
            await self._something.wait()
            await asyncio.sleep(WRITE_EVERY_SECONDS)
            self._something.clear()
            await asyncio.to_thread(self._write)

    def _write(self) -> None:
        with self._lock:
            verdicts = dict(self._verdicts)
            if not verdicts:
                return
            parcels = [self._parcels[id_] for id_ in verdicts]
            run = self._run
            with writing(run.engine) as connection:
                settled = write_verdicts(
                    connection, parcels, verdicts, move_to=run.settings.move_to, now=run.clock()
                )
                run.count(parcels, settled)
                record_sync_progress(connection, run.report)
            for id_ in verdicts:
                del self._verdicts[id_]
