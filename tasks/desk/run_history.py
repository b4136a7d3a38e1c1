"""List runs, including those that crashed."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Engine, exists, select

from models.tables.runs import RunState
from tasks.desk.engine import reading
from tasks.desk.export import iso
from tasks.desk.tables import LEASES, RUNS


@dataclass(frozen=True)
class RunSummary:
    """One check, manual import or sync; times are aware UTC, ``since`` and ``until`` bound what was scanned.

    ``counts`` holds the number of orders by outcome (``models.reports.Outcome``), of a sync that of
    shipments (``models.tables.outbox.OutboxState``).
    """

    id: int
    integration: str
    kind: str
    state: str
    started_at: datetime
    finished_at: datetime | None
    since: datetime | None
    until: datetime | None
    counts: dict[str, int]
    needs_attention: int
    mark_before: datetime | None
    mark_after: datetime | None
    flow_run_id: str | None
    error: str | None

    def as_dict(self) -> dict[str, Any]:
        """Return it ready for JSON."""
        times = ("started_at", "finished_at", "since", "until", "mark_before", "mark_after")
        return vars(self) | {name: iso(getattr(self, name)) for name in times}


def list_runs(engine: Engine, *, integration: str | None = None, limit: int = 20) -> list[RunSummary]:
    """Return runs, the newest first; one that says it runs but nobody works on is shown as crashed.

    Args:
        engine: the desk.
        integration: only this integration's; None is all.
        limit: at most so many.
    """
    columns = [RUNS.c[name] for name in RunSummary.__dataclass_fields__]
    # In the same statement: a run that begins or ends between two would look dead.
    living = (LEASES.c.name == RUNS.c.lease_name) & (LEASES.c.expires_at > datetime.now(UTC))
    query = select(exists().where(living), *columns).order_by(RUNS.c.id.desc()).limit(limit)
    if integration is not None:
        query = query.where(RUNS.c.integration == integration)
    with reading(engine) as connection:
        return [_summary(*row) for row in connection.execute(query)]


def _summary(is_alive: bool, *values: Any) -> RunSummary:
    summary = dict(zip(RunSummary.__dataclass_fields__, values, strict=True))
    is_dead = summary["state"] == RunState.RUNNING and not is_alive
    summary["state"] = RunState.CRASHED.value if is_dead else summary["state"]
    return RunSummary(**summary)
