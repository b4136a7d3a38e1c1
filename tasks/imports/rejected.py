"""Store rejected orders with their payload until they can be read (dead letter)."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, Engine, delete, select, update

from tasks.desk.engine import reading, writing
from tasks.desk.sql import chunks, insert_for
from tasks.desk.tables import REJECTED


@dataclass(frozen=True)
class Rejection:
    """An order to reject; ``key`` identifies it where it has no id."""

    key: str
    source_id: str | None
    reason: str
    payload: str


def write_rejected(
    connection: Connection,
    orders: Sequence[Rejection],
    *,
    integration: str,
    project: str,
    run_id: int,
    now: datetime,
) -> None:
    """Keep orders that could not be read; one seen before gets its newest payload. Safe to repeat."""
    if not orders:
        return
    rows = [
        {
            "integration": integration,
            "project": project,
            "key": order.key,
            "source_id": order.source_id,
            "reason": order.reason,
            "payload": order.payload.replace("\x00", ""),
            "first_seen_at": now,
            "last_seen_at": now,
            "attempts": 1,
            "run_id": run_id,
        }
        for order in orders
    ]
    insert = insert_for(connection)
    statement = insert(REJECTED)
    newest = {name: statement.excluded[name] for name in ("reason", "payload", "last_seen_at", "run_id")}
    connection.execute(
        statement.on_conflict_do_update(
            index_elements=["project", "key"], set_={**newest, "attempts": REJECTED.c.attempts + 1}
        ),
        rows,
    )


def take_back(connection: Connection, project: str, source_ids: Collection[str]) -> None:
    """Forget the set-aside copies of orders that could be read by now."""
    of_project = REJECTED.c.project == project
    if connection.execute(select(REJECTED.c.id).where(of_project).limit(1)).first() is None:
        return
    ids = sorted(source_ids)
    for part in chunks(ids):
        # The key is the source id where there is one: by it the index finds them, however many wait.
        mine = of_project & REJECTED.c.key.in_(part)
        connection.execute(delete(REJECTED).where(mine))


def waiting_rows(engine: Engine, project: str) -> tuple[list[str], list[tuple[str, str]]]:
    """Return what waits for a replay: source ids to ask podOS for, and (key, payload) of rows without one.

    A row without an id whose payload was erased can't be replayed, and does not wait.
    """
    with reading(engine) as connection:
        query = select(REJECTED.c.key, REJECTED.c.source_id, REJECTED.c.payload)
        rows = connection.execute(query.where(REJECTED.c.project == project).order_by(REJECTED.c.id)).all()
    ids = [row.source_id for row in rows if row.source_id]
    return ids, [(row.key, row.payload) for row in rows if not row.source_id and row.payload]


def note_gone(engine: Engine, project: str, source_ids: Collection[str]) -> None:
    """Note on set-aside orders that podOS no longer knows them. Safe to repeat."""
    if not source_ids:
        return
    gone = (REJECTED.c.project == project) & REJECTED.c.source_id.in_(source_ids)
    with writing(engine) as connection:
        connection.execute(
            update(REJECTED).where(gone).values(reason="podOS does not know this order any more")
        )
