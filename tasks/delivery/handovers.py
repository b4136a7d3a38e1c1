"""Queue orders for fulfillers. Sending uses ``tasks.fulfilment.queue``."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from sqlalchemy import Connection

from tasks.desk.history import add_history
from tasks.desk.sql import chunks, insert_for
from tasks.desk.tables import HANDOVERS


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
    insert = insert_for(connection)
    rows = [
        {"order_id": order_id, "fulfiller": fulfiller, "created_at": now}
        for order_id, fulfiller in sorted(set(pairs))
    ]
    new: list[tuple[int, int, str]] = []
    for part in chunks(rows):
        statement = insert(HANDOVERS).values(part).on_conflict_do_nothing()
        returned = statement.returning(HANDOVERS.c.id, HANDOVERS.c.order_id, HANDOVERS.c.fulfiller)
        new += [tuple(row) for row in connection.execute(returned)]
    history = [
        (order_id, "queued", f"waits for fulfiller {fulfiller}") for _, order_id, fulfiller in sorted(new)
    ]
    add_history(connection, history, at=now)
    return len(new)
