"""The state that all batches of one sync share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Unpack

from sqlalchemy import Connection, Engine

from models.shipments import Parcel, SyncReport, SyncSettings
from tasks.delivery.engine import DeliveryRun, RunOptions
from tasks.delivery.retry_policy import AttemptOutcome
from tasks.desk.runs import record_counts
from tasks.podos.errors import RetriablePodosError
from tasks.tracking.queue import write_outcomes


class SyncRun(DeliveryRun[SyncReport]):
    """What every batch of one sync shares.

    Attributes:
        settings: the integration's, without its secret.
        halted: why podOS is to be left alone for now, None if it is not.
        after_id: where the next batch begins; only a read-only run needs it, as its rows stay as they are.
    """

    def __init__(
        self,
        engine: Engine,
        settings: SyncSettings,
        report: SyncReport,
        **options: Unpack[RunOptions],
    ) -> None:
        super().__init__(engine, report, **options)
        self.settings = settings
        self.halted: RetriablePodosError | None = None
        self.after_id = 0

    def write(self, connection: Connection, outcomes: Sequence[tuple[Parcel, AttemptOutcome]]) -> None:
        """Write what became of shipments, and the counts, in the caller's transaction."""
        parcels = [parcel for parcel, _ in outcomes]
        verdicts = {parcel.id: verdict for parcel, verdict in outcomes}
        settled = write_outcomes(
            connection, parcels, verdicts, move_to=self.settings.move_to, now=self.clock()
        )
        for parcel in parcels:
            if parcel.id in settled:
                self.count(parcel, settled[parcel.id])
        record_counts(connection, self.report.run_id, self.report.counts)
