"""Queue orders for fulfillers. Sending uses ``tasks.fulfilment.queue``."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from sqlalchemy import Connection, Table
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert

from models.desk import Handover
from tasks.desk.history import add_history

HANDOVERS: Table = Handover.__table__  # type: ignore[attr-defined]
_CHUNK = 500


def queue_orders(connection: Connection, pairs: Collection[tuple[int, str]], *, now: datetime) -> int:
    """Let orders wait for fulfillers; an order that was queued for one before is left as it is.

    Args:
        connection: in a writing transaction.
        pairs: the order's desk id and the fulfiller's name.
        now: aware.

    Returns:
        How many are new.

    Safe to repeat: an order is queued once for each fulfiller, for ever.
    """
    insert = sqlite_insert if connection.dialect.name == "sqlite" else postgresql_insert
    rows = [
        {"order_id": order_id, "fulfiller": fulfiller, "created_at": now}
        for order_id, fulfiller in sorted(set(pairs))
    ]
    new: list[tuple[int, int, str]] = []
    for start in range(0, len(rows), _CHUNK):
        statement = insert(HANDOVERS).values(rows[start : start + _CHUNK]).on_conflict_do_nothing()
        returned = statement.returning(HANDOVERS.c.id, HANDOVERS.c.order_id, HANDOVERS.c.fulfiller)
        new += [tuple(row) for row in connection.execute(returned)]
    history = [
        (order_id, "queued", f"waits for fulfiller {fulfiller}") for _, order_id, fulfiller in sorted(new)
    ]
    add_history(connection, history, at=now)
    return len(new)
