"""Take snapshots of the desk, and store since when each problem exists and whether it was alerted."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime

from sqlalchemy import (
    ColumnElement,
    Connection,
    Engine,
    Table,
    TextClause,
    exists,
    func,
    select,
    text,
    update,
)

from models.tables.orders import HELD, NEEDS_ATTENTION
from models.tables.outbox import UNSENT, OutboxState
from models.tables.runs import RunState
from models.watching import Backlog, CheckDone, Snapshot, Watch, Work, work_of
from tasks.desk.engine import reading, writing
from tasks.desk.sql import insert_for
from tasks.desk.tables import (
    FOLDERS,
    HANDOVERS,
    LEASES,
    MARKS,
    ORDERS,
    PRODUCTION,
    REJECTED,
    RUNS,
    SHIPMENTS,
    WATCHES,
)


def take_snapshot(engine: Engine, *, now: datetime) -> Snapshot:
    """Look at the desk once; the cost does not grow with its orders and runs.

    Args:
        engine: the desk.
        now: aware.

    Raises:
        DeskError: it could not be read.
    """
    with reading(engine) as connection:
        watches = {row.cause: Watch(*row) for row in connection.execute(select(WATCHES))}
        checks = {name: _last_check(connection, name) for name in _checked(connection, watches)}
        return Snapshot(
            watches=watches,
            checks={name: done for name, done in checks.items() if done},
            died=_died(connection, watches, now),
            backlog=_backlog(connection),
        )


def _checked(connection: Connection, watches: Collection[str]) -> set[str]:
    names = set(connection.execute(select(MARKS.c.integration)).scalars())
    return names | {found[1] for cause in watches if (found := work_of(cause)) and found[0] is Work.CHECK}


def _last_check(connection: Connection, name: str) -> CheckDone | None:
    newest = _newest(connection, name, Work.CHECK, RunState.COMPLETED)
    row = connection.execute(
        select(RUNS.c.started_at, RUNS.c.finished_at, RUNS.c.mark_after).where(RUNS.c.id == newest)
    ).one_or_none()
    return CheckDone(*row) if row else None


def _newest(connection: Connection, name: str, work: Work, state: RunState) -> int:
    # One state at a time: so the index has the answer, however long the history is.
    ours = (RUNS.c.integration == name) & (RUNS.c.kind == work.value) & (RUNS.c.state == state.value)
    return connection.execute(select(func.max(RUNS.c.id)).where(ours)).scalar() or 0


def _died(connection: Connection, causes: Collection[str], now: datetime) -> dict[str, datetime]:
    """Return when the newest run of each cause began, where it never ended and nobody works on it."""
    living = exists().where(LEASES.c.name == RUNS.c.lease_name, LEASES.c.expires_at > now)
    died = {}
    for cause in causes:
        if found := work_of(cause):
            newest = max(_newest(connection, found[1], found[0], state) for state in RunState)
            row = connection.execute(
                select(RUNS.c.started_at, RUNS.c.state, living.label("lives")).where(RUNS.c.id == newest)
            ).one_or_none()
            if row and (row.state == RunState.CRASHED or (row.state == RunState.RUNNING and not row.lives)):
                died[cause] = row.started_at
    return died


def _backlog(connection: Connection) -> Backlog:
    unsent = text(UNSENT)
    shipments = _by_state(connection, SHIPMENTS, unsent)
    handovers = _by_state(connection, HANDOVERS, unsent)
    production = _by_state(connection, PRODUCTION, unsent)
    attention = select(FOLDERS.c.id).where(FOLDERS.c.name_key == NEEDS_ATTENTION.casefold())
    return Backlog(
        shipments_waiting=shipments.get(OutboxState.WAITING.value, 0),
        shipments_failed=shipments.get(OutboxState.FAILED.value, 0),
        handovers_waiting=handovers.get(OutboxState.WAITING.value, 0),
        handovers_failed=handovers.get(OutboxState.FAILED.value, 0),
        production_waiting=production.get(OutboxState.WAITING.value, 0),
        production_failed=production.get(OutboxState.FAILED.value, 0),
        needs_attention=_count(connection, ORDERS, ORDERS.c.folder_id == attention.scalar_subquery()),
        rejected=_count(connection, REJECTED),
        held=_count(connection, ORDERS, text(HELD)),
    )


def _by_state(connection: Connection, table: Table, which: TextClause) -> dict[str, int]:
    query = select(table.c.state, func.count()).where(which).group_by(table.c.state)
    return {row[0]: row[1] for row in connection.execute(query)}


def _count(connection: Connection, table: Table, *which: ColumnElement[bool] | TextClause) -> int:
    return connection.execute(select(func.count()).select_from(table).where(*which)).scalar_one()


def is_watched(engine: Engine, cause: str) -> bool:
    """Return whether a cause is watched over."""
    with reading(engine) as connection:
        query = select(WATCHES.c.cause).where(WATCHES.c.cause == cause)
        return connection.execute(query).scalar() is not None


def watch(engine: Engine, cause: str) -> None:
    """Begin to watch over a cause. Safe to repeat."""
    if is_watched(engine, cause):
        return
    with writing(engine) as connection:
        _add(connection, [cause])


def note(engine: Engine, *, well: Collection[str], troubles: Mapping[str, str], now: datetime) -> list[str]:
    """Write what is well and what is in trouble, and since when.

    Args:
        engine: the desk.
        well: causes that are over, or never were.
        troubles: the reason of each cause that holds; one that held before goes on.
        now: aware.

    Returns:
        The causes that had been told and are over now.
    """
    with writing(engine) as connection:
        _add(connection, [*well, *troubles])
        ours = WATCHES.c.cause.in_([*well])
        told = select(WATCHES.c.cause).where(ours, WATCHES.c.told_at.is_not(None))
        over = list(connection.execute(told.order_by(WATCHES.c.cause)).scalars())
        connection.execute(
            update(WATCHES).where(ours).values(well_at=now, trouble_at=None, told_at=None, reason=None)
        )
        for cause, reason in troubles.items():
            since = func.coalesce(WATCHES.c.trouble_at, now)
            change = update(WATCHES).where(WATCHES.c.cause == cause)
            connection.execute(change.values(trouble_at=since, reason=reason))
    return over


def _add(connection: Connection, causes: Collection[str]) -> None:
    insert = insert_for(connection)
    if causes:
        rows = [{"cause": cause} for cause in causes]
        connection.execute(insert(WATCHES).on_conflict_do_nothing(), rows)


def take_untold(engine: Engine, *, now: datetime) -> list[Watch]:
    """Return the troubles that nobody was told of, and note that they are told; no two callers get one."""
    untold = WATCHES.c.trouble_at.is_not(None) & WATCHES.c.told_at.is_(None)
    with reading(engine) as connection:
        if not connection.execute(select(WATCHES.c.cause).where(untold).limit(1)).scalar():
            return []
    with writing(engine) as connection:
        taken = update(WATCHES).where(untold).values(told_at=now).returning(*WATCHES.c)
        return sorted(Watch(*row) for row in connection.execute(taken))


def untell(engine: Engine, causes: Collection[str]) -> None:
    """Note that troubles could not be told: they are told the next time."""
    with writing(engine) as connection:
        connection.execute(update(WATCHES).where(WATCHES.c.cause.in_([*causes])).values(told_at=None))
