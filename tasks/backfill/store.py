"""Store backfills and their windows, so that they survive any process that works on them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Engine, select, update

from models.reports import ImportReport
from models.tables.runs import WindowState
from tasks.desk.engine import reading, writing
from tasks.desk.errors import DeskRefusedError
from tasks.desk.tables import BACKFILLS, WINDOWS


@dataclass(frozen=True)
class BackfillRequest:
    """Which backfill: the same request goes on with one that was not finished."""

    integration: str
    fingerprint: str
    since: datetime
    until: datetime | None


@dataclass(frozen=True)
class WindowRecord:
    """One window as the desk knows it (aware UTC, half-open; ``until`` None is open)."""

    number: int
    since: datetime
    until: datetime | None
    state: str
    attempts: int
    flow_run_id: str | None
    counts: dict[str, int] = field(default_factory=dict)
    needs_attention: int = 0
    error: str | None = None

    def as_dict(self) -> dict[str, Any]:
        """Return it ready for JSON."""
        return {
            "number": self.number,
            "since": self.since.isoformat(),
            "until": self.until.isoformat() if self.until else None,
            "state": self.state,
            "attempts": self.attempts,
            "counts": self.counts,
            "error": self.error,
        }


def unfinished_backfill(engine: Engine, request: BackfillRequest) -> int | None:
    """Return the newest backfill of this very request that has windows left, None if there is none."""
    same_end = BACKFILLS.c.until == request.until if request.until else BACKFILLS.c.until.is_(None)
    left = select(WINDOWS.c.backfill_id).where(WINDOWS.c.state != WindowState.DONE)
    query = (
        select(BACKFILLS.c.id)
        .where(
            BACKFILLS.c.integration == request.integration,
            BACKFILLS.c.fingerprint == request.fingerprint,
            BACKFILLS.c.since == request.since,
            same_end,
            BACKFILLS.c.id.in_(left),
        )
        .order_by(BACKFILLS.c.id.desc())
        .limit(1)
    )
    with reading(engine) as connection:
        found: int | None = connection.execute(query).scalar()
    return found


def plan_backfill(
    engine: Engine,
    request: BackfillRequest,
    windows: Sequence[tuple[datetime, datetime | None]],
    *,
    now: datetime,
) -> int:
    """Write down a new backfill with its windows, in one transaction, and return its id."""
    row = {
        "integration": request.integration,
        "fingerprint": request.fingerprint,
        "since": request.since,
        "until": request.until,
        "created_at": now,
    }
    with writing(engine) as connection:
        id_: int = connection.execute(BACKFILLS.insert().values(row).returning(BACKFILLS.c.id)).scalar_one()
        connection.execute(
            WINDOWS.insert(),
            [
                {
                    "backfill_id": id_,
                    "number": number,
                    "since": since,
                    "until": until,
                    "state": WindowState.WAITING,
                    "attempts": 0,
                    "counts": {},
                    "needs_attention": 0,
                }
                for number, (since, until) in enumerate(windows, 1)
            ],
        )
    return id_


def begun_at(engine: Engine, backfill_id: int) -> str:
    """Return when a backfill was planned, as text: with its number it is unlike any other's."""
    with reading(engine) as connection:
        query = select(BACKFILLS.c.created_at).where(BACKFILLS.c.id == backfill_id)
        created: datetime = connection.execute(query).scalar_one()
    return created.isoformat()


def windows_of(engine: Engine, backfill_id: int) -> list[WindowRecord]:
    """Return all windows of a backfill by number."""
    columns = [column for column in WINDOWS.c if column.name != "backfill_id"]
    query = select(*columns).where(WINDOWS.c.backfill_id == backfill_id).order_by(WINDOWS.c.number)
    with reading(engine) as connection:
        return [WindowRecord(*row) for row in connection.execute(query)]


def running_windows(engine: Engine, integration: str) -> list[WindowRecord]:
    """Return the windows of an integration's backfills that were handed out and have not ended."""
    columns = [column for column in WINDOWS.c if column.name != "backfill_id"]
    query = (
        select(*columns)
        .join(BACKFILLS, BACKFILLS.c.id == WINDOWS.c.backfill_id)
        .where(BACKFILLS.c.integration == integration, WINDOWS.c.state == WindowState.RUNNING)
    )
    with reading(engine) as connection:
        return [WindowRecord(*row) for row in connection.execute(query)]


def window_of(engine: Engine, backfill_id: int, number: int) -> tuple[str, WindowRecord]:
    """Return the integration of a backfill and one of its windows.

    Raises:
        DeskRefusedError: there is no such window.
    """
    with reading(engine) as connection:
        query = select(BACKFILLS.c.integration).where(BACKFILLS.c.id == backfill_id)
        integration = connection.execute(query).scalar()
    for window in windows_of(engine, backfill_id):
        if window.number == number and integration:
            return integration, window
    raise DeskRefusedError(f"the desk knows no window {number} of a backfill {backfill_id}")


def hand_out(engine: Engine, backfill_id: int, number: int, flow_run_id: str) -> None:
    """Note which flow run does a window from now on. Safe to repeat."""
    with writing(engine) as connection:
        _change(
            connection, backfill_id, number, state=WindowState.RUNNING, flow_run_id=flow_run_id, error=None
        )
        mine = (WINDOWS.c.backfill_id == backfill_id) & (WINDOWS.c.number == number)
        connection.execute(update(WINDOWS).where(mine).values(attempts=WINDOWS.c.attempts + 1))


def window_done(engine: Engine, backfill_id: int, number: int, report: ImportReport) -> None:
    """Note that all of a window is in the desk. Safe to repeat."""
    counts = {reason.value: count for reason, count in report.counts.items()}
    with writing(engine) as connection:
        _change(
            connection,
            backfill_id,
            number,
            state=WindowState.DONE,
            counts=counts,
            needs_attention=report.needs_attention,
            error=None,
        )


def window_failed(engine: Engine, backfill_id: int, number: int, reason: str) -> None:
    """Note that a window failed; one that is done stays so. Safe to repeat."""
    with writing(engine) as connection:
        _change(connection, backfill_id, number, state=WindowState.FAILED, error=reason)


def _change(connection: Connection, backfill_id: int, number: int, **values: Any) -> None:
    mine = (WINDOWS.c.backfill_id == backfill_id) & (WINDOWS.c.number == number)
    connection.execute(update(WINDOWS).where(mine, WINDOWS.c.state != WindowState.DONE).values(values))
