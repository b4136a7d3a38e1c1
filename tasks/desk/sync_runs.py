"""A sync's row in the run history; it ends with ``runs.finish_run`` like every run."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Engine, update

from models.desk import RunState
from models.shipments import SyncReport, SyncSettings
from tasks.desk.engine import writing
from tasks.desk.runs import RUNS, mark_crashed

KIND = "sync"


def begin_sync_run(
    engine: Engine, settings: SyncSettings, *, lease_name: str, flow_run_id: str | None, now: datetime
) -> int:
    """Write a sync's row and return its id; runs whose process died are shown as crashed from now on."""
    row: dict[str, Any] = {
        "integration": settings.integration,
        "project": settings.project,
        "kind": KIND,
        "state": RunState.RUNNING,
        "lease_name": lease_name,
        "started_at": now,
        "counts": {},
        "needs_attention": 0,
        "settings": asdict(settings),
        "flow_run_id": flow_run_id,
    }
    with writing(engine) as connection:
        mark_crashed(connection, settings.integration, lease_name, now)
        run_id: int = connection.execute(RUNS.insert().values(row).returning(RUNS.c.id)).scalar_one()
    return run_id


def record_sync_progress(connection: Connection, report: SyncReport) -> None:
    """Write the counts so far, in the transaction of the shipments that they count."""
    counts = {state.value: count for state, count in report.counts.items()}
    connection.execute(update(RUNS).where(RUNS.c.id == report.run_id).values(counts=counts))
