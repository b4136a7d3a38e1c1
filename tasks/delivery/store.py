"""The outbox columns and queries that shipments and handovers share.

A table is an outbox when it has the columns ``id, state, attempts, first_attempt_at, next_attempt_at, reason,
sent_at`` of ``models.tables.outbox.Shipment``.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Engine,
    Table,
    bindparam,
    false,
    func,
    or_,
    select,
    update,
)

from models.tables.outbox import OutboxState
from models.unreadable import readable_or_none
from tasks.delivery.retry_policy import (
    LONGEST_WAIT,
    AttemptOutcome,
    RetryDecision,
    apply_retry_policy,
    asked_pause,
)
from tasks.desk.engine import reading, writing
from tasks.desk.sql import chunks

AFRESH: dict[str, Any] = {
    "state": OutboxState.WAITING.value,
    "attempts": 0,
    "first_attempt_at": None,
    "next_attempt_at": None,
    "reason": None,
}
"""The columns of a row that is to be tried as if for the first time."""


def is_due(table: Table, now: datetime) -> ColumnElement[bool]:
    """Return the condition for rows that wait and may be tried now (aware)."""
    return (table.c.state == OutboxState.WAITING.value) & has_come(table.c.next_attempt_at, now)


def has_come(moment: ColumnElement[Any], now: datetime) -> ColumnElement[bool]:
    """Return the condition for a time that is not set, has come, or was never set by the desk.

    What another program wrote there, be it no time at all, keeps nothing from being tried: it is before now,
    or further ahead than the desk ever waits. SQLite sorts numbers before all times, bytes and words behind.
    """
    return or_(moment.is_(None), moment <= now, moment > now + LONGEST_WAIT)


def record(
    connection: Connection, table: Table, verdicts: Mapping[int, AttemptOutcome], *, now: datetime
) -> dict[int, RetryDecision]:
    """Write what attempts came to.

    Args:
        connection: in a writing transaction.
        table: the outbox.
        verdicts: by the row's id.
        now: aware; the moment of the attempts.

    Returns:
        What the rows say now; one that does not wait any more (voided meanwhile) is not among them.

    Safe to repeat: a row is settled once.
    """
    settled: dict[int, RetryDecision] = {}
    ids = sorted(verdicts)
    for part in chunks(ids):
        for row in _waiting(connection, table, part):
            first = readable_or_none(row.first_attempt_at)
            settled[row.id] = apply_retry_policy(verdicts[row.id], row.attempts, first, now)
    if settled:
        rows = {id_: now_says.columns() for id_, now_says in settled.items()}
        names = next(iter(rows.values()))
        statement = update(table).where(table.c.id == bindparam("row_id"))
        connection.execute(
            statement.values({name: bindparam(f"new_{name}") for name in names}),
            [
                {"row_id": id_, **{f"new_{name}": value for name, value in columns.items()}}
                for id_, columns in rows.items()
            ],
        )
    return settled


def _waiting(connection: Connection, table: Table, ids: Sequence[int]) -> Sequence[Any]:
    columns = (table.c.id, table.c.attempts, table.c.first_attempt_at)
    query = select(*columns).where(table.c.id.in_(ids), table.c.state == OutboxState.WAITING.value)
    return connection.execute(query.order_by(table.c.id).with_for_update()).all()


def postpone(connection: Connection, table: Table, which: ColumnElement[bool], until: datetime) -> int:
    """Let due rows wait until a moment (aware) without counting an attempt; return how many."""
    return connection.execute(update(table).where(which).values(next_attempt_at=until)).rowcount


def keep_waiting(
    connection: Connection, table: Table, verdicts: Mapping[int, AttemptOutcome], *, now: datetime
) -> dict[int, RetryDecision]:
    """Write why rows wait on without an attempt, until the pause that the verdict asks for is over.

    Returns:
        What the rows say now; one that does not wait any more is not among them. Safe to repeat.
    """
    kept: dict[int, RetryDecision] = {}
    ids = sorted(verdicts)
    for part in chunks(ids):
        for row in _waiting(connection, table, part):
            verdict = verdicts[row.id]
            pause = verdict.retry_after_seconds
            until = now + asked_pause(pause) if pause else None
            first = readable_or_none(row.first_attempt_at)
            kept[row.id] = RetryDecision(verdict.state, verdict.reason, row.attempts, first, until, None)
    statement = update(table).where(table.c.id == bindparam("row_id"))
    if kept:
        connection.execute(
            statement.values(
                reason=bindparam("why"),
                next_attempt_at=bindparam("until", type_=table.c.next_attempt_at.type),
            ),
            [
                {"row_id": id_, "why": says.reason, "until": says.next_attempt_at}
                for id_, says in kept.items()
            ],
        )
    return kept


def fail_waiting(engine: Engine, table: Table, which: ColumnElement[bool], reason: str) -> int:
    """Fail waiting rows and return how many. Where there are none nothing is written. Safe to repeat."""
    mine = (table.c.state == OutboxState.WAITING.value) & which
    with reading(engine) as connection:
        if connection.execute(select(table.c.id).where(mine).limit(1)).first() is None:
            return 0
    failed = {"state": OutboxState.FAILED.value, "reason": reason}
    with writing(engine) as connection:
        return connection.execute(update(table).where(mine).values(failed)).rowcount


def is_no_text(engine: Engine, column: ColumnElement[str]) -> ColumnElement[bool]:
    """Return the condition for a text column that holds something else, as only SQLite lets it."""
    return func.typeof(column) != "text" if engine.dialect.name == "sqlite" else false()


def resend(connection: Connection, table: Table, ids: Collection[int]) -> int:
    """Let rows be tried again as if for the first time, whatever became of them; return how many."""
    done, wanted = 0, sorted(ids)
    for part in chunks(wanted):
        chunk = table.c.id.in_(part)
        done += connection.execute(update(table).where(chunk).values(AFRESH)).rowcount
    return done
