"""Write the run history, which outlives Prefect's, and the watermark of each integration."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Engine, func, or_, select, update

from models.filters import ImportSettings
from models.reports import ImportReport, PastCheck
from models.tables.runs import RunState
from models.unreadable import is_readable, readable_or_none
from tasks.desk.engine import reading, writing
from tasks.desk.errors import DeskRefusedError
from tasks.desk.sql import insert_for
from tasks.desk.tables import LEASES, MARKS, RUNS

_PAST_CHECKS = 200


def read_watermark(engine: Engine, settings: ImportSettings) -> datetime | None:
    """Return up to where the orders were read, None if there is no watermark for the current filters."""
    query = select(MARKS.c.mark_at).where(
        MARKS.c.integration == settings.integration,
        MARKS.c.fingerprint == settings.filter_fingerprint(),
    )
    with reading(engine) as connection:
        mark: datetime | None = readable_or_none(connection.execute(query).scalar())
    return mark


def move_watermark(connection: Connection, settings: ImportSettings, mark_at: datetime, run_id: int) -> None:
    """Move the watermark, in the transaction of the rows that it covers; never back for the same filter."""
    insert = insert_for(connection)
    values: dict[str, Any] = {
        "fingerprint": settings.filter_fingerprint(),
        "mark_at": mark_at,
        "run_id": run_id,
    }
    statement = insert(MARKS).values(integration=settings.integration, **values)
    is_news = or_(MARKS.c.fingerprint != values["fingerprint"], MARKS.c.mark_at < mark_at)
    connection.execute(
        statement.on_conflict_do_update(index_elements=["integration"], set_=values, where=is_news)
    )
    now_at = select(MARKS.c.mark_at).where(MARKS.c.integration == settings.integration).scalar_subquery()
    connection.execute(update(RUNS).where(RUNS.c.id == run_id).values(mark_after=now_at))


def move_watermark_back(engine: Engine, settings: ImportSettings, mark_at: datetime) -> None:
    """Move the mark back, so that changes which podOS dated before it are read. Safe to repeat."""
    statement = update(MARKS).where(
        MARKS.c.integration == settings.integration,
        MARKS.c.fingerprint == settings.filter_fingerprint(),
        MARKS.c.mark_at > mark_at,
    )
    with writing(engine) as connection:
        connection.execute(statement.values(mark_at=mark_at))


def past_checks(engine: Engine, integration: str) -> list[PastCheck]:
    """Return an integration's last checks, the newest first; one that runs now is none."""
    query = (
        select(RUNS.c.started_at, RUNS.c.since, RUNS.c.state)
        .where(RUNS.c.integration == integration, RUNS.c.kind == "check")
        .order_by(RUNS.c.id.desc())
        .limit(_PAST_CHECKS)
    )
    with reading(engine) as connection:
        rows = connection.execute(query).all()
    return [
        PastCheck(began, since, state == RunState.COMPLETED)
        for began, since, state in rows
        if is_readable(began) and is_readable(since)
    ]


def last_complete_check(engine: Engine, integration: str) -> datetime | None:
    """Return when the newest of an integration's complete checks began; None where none is complete."""
    query = select(func.max(RUNS.c.started_at)).where(
        RUNS.c.integration == integration, RUNS.c.kind == "check", RUNS.c.state == RunState.COMPLETED
    )
    with reading(engine) as connection:
        began: datetime | None = connection.execute(query).scalar()
    return began


def advance_watermark(engine: Engine, settings: ImportSettings, mark_at: datetime, run_id: int) -> None:
    """Set the mark after a full scan, all of whose rows are in the desk. Safe to repeat."""
    with writing(engine) as connection:
        move_watermark(connection, settings, mark_at, run_id)


def begin_run(
    engine: Engine,
    settings: ImportSettings,
    report: ImportReport,
    *,
    lease_name: str,
    mark_before: datetime | None,
    flow_run_id: str | None,
    now: datetime,
) -> int:
    """Write the row of an import and return its id (see ``start_run``)."""
    return start_run(
        engine,
        settings.integration,
        project=settings.project,
        kind=report.kind,
        lease_name=lease_name,
        started_at=now,
        settings=settings.snapshot(),
        flow_run_id=flow_run_id,
        since=report.since,
        until=report.until,
        mark_before=mark_before,
        mark_after=mark_before,
    )


def start_run(engine: Engine, name: str, *, lease_name: str, started_at: datetime, **columns: Any) -> int:
    """Write a run's row and return its id; runs whose process died are shown as crashed from now on.

    Args:
        engine: the desk.
        name: of the integration or fulfiller.
        lease_name: of the lease that the run holds.
        started_at: aware; now.
        columns: further columns of the row.
    """
    row: dict[str, Any] = {
        "integration": name,
        "state": RunState.RUNNING,
        "lease_name": lease_name,
        "started_at": started_at,
        "counts": {},
        "needs_attention": 0,
        "settings": {},
        **columns,
    }
    with writing(engine) as connection:
        mark_crashed(connection, name, lease_name, started_at)
        run_id: int = connection.execute(RUNS.insert().values(row).returning(RUNS.c.id)).scalar_one()
    return run_id


def mark_crashed(connection: Connection, integration: str, lease_name: str, now: datetime) -> None:
    """Mark runs as crashed that nobody works on; ``lease_name`` is ours, so its earlier run is over too."""
    living = select(LEASES.c.name).where(LEASES.c.expires_at > now, LEASES.c.name != lease_name)
    connection.execute(
        update(RUNS)
        .where(
            RUNS.c.integration == integration,
            RUNS.c.state == RunState.RUNNING,
            RUNS.c.lease_name.not_in(living),
        )
        .values(state=RunState.CRASHED, finished_at=now, error="its process ended without a word")
    )


def record_counts(
    connection: Connection, run_id: int | None, counts: Mapping[Any, int], **columns: Any
) -> None:
    """Write the counts so far, in the transaction of the rows that they count; keys are of an enumeration."""
    values = {"counts": {key.value: count for key, count in counts.items()}, **columns}
    connection.execute(update(RUNS).where(RUNS.c.id == run_id).values(values))


def finish_run(
    engine: Engine, run_id: int, state: RunState, *, now: datetime, error: str | None = None
) -> None:
    """Close a run. Safe to repeat."""
    with writing(engine) as connection:
        connection.execute(
            update(RUNS).where(RUNS.c.id == run_id).values(state=state, finished_at=now, error=error)
        )


class CoveredError(DeskRefusedError):
    """A check that began after this one was due has done its work."""


def refuse_if_covered(engine: Engine, integration: str, due: datetime | None) -> None:
    """Make sure that a check still has something to do; to be asked while its lease is held.

    Args:
        engine: the desk.
        integration: whose check it is.
        due: aware; when the check should have begun, None if a person wants it now.

    Raises:
        CoveredError: another check began since and is complete, so that nothing is left to do.
    """
    if due is None:
        return
    began = last_complete_check(engine, integration)
    if began and began >= due:
        raise CoveredError(f"nothing to do: the check of {began:%H:%M:%S} UTC began after this one was due")
