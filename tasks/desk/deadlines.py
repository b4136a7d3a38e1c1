"""Orders that podOS wants shipped by a date: those that are late, and those that are due soon."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import NamedTuple

from sqlalchemy import Engine, exists, select

from models.tables.orders import FIRST_FOLDERS
from models.tables.outbox import OutboxState
from models.unreadable import readable_or_none
from tasks.desk.engine import reading
from tasks.desk.tables import FOLDERS, ORDERS, SHIPMENTS

LOOKED_AT = 1000
"""Orders of each folder, the oldest: so the cost does not grow with the desk."""
_DONE = tuple(name.casefold() for name in FIRST_FOLDERS[2:])
"""Closed and Canceled: nothing in them is to be shipped any more."""


class DueOrder(NamedTuple):
    """An order and the moment by which it is to be shipped (aware UTC)."""

    id: int
    order_number: str
    folder: str
    due_at: datetime


def due_orders(engine: Engine, *, until: datetime) -> list[DueOrder]:
    """Return the orders that are due until a moment and have not shipped, the most urgent first.

    Closed and Canceled are left out, and of every other folder only its oldest orders are looked at.

    Args:
        engine: the desk.
        until: aware.
    """
    found: list[DueOrder] = []
    with reading(engine) as connection:
        folders = connection.execute(select(FOLDERS).where(FOLDERS.c.name_key.not_in(_DONE))).all()
        for folder in folders:
            columns = (ORDERS.c.id, ORDERS.c.order_number, ORDERS.c.deadline)
            inside = select(*columns).where(ORDERS.c.folder_id == folder.id).order_by(ORDERS.c.id)
            oldest = inside.limit(LOOKED_AT).subquery()
            shipped = exists().where(
                SHIPMENTS.c.order_id == oldest.c.id, SHIPMENTS.c.state != OutboxState.VOIDED.value
            )
            unshipped = select(oldest).where(oldest.c.deadline.is_not(None), ~shipped)
            for id_, number, deadline in connection.execute(unshipped):
                due = deadline_of(readable_or_none(deadline))
                if due and due < until:
                    found.append(DueOrder(id_, number, folder.name, due))
    return sorted(found, key=lambda order: (order.due_at, order.id))


def deadline_of(text: str | None) -> datetime | None:
    """Return podOS's deadline as an aware moment in UTC, None where there is none or it is no date.

    A day without a time ends with the day.
    """
    try:
        moment = datetime.fromisoformat((text or "").strip())
        if len((text or "").strip()) <= len("2026-11-23"):
            moment = moment.replace(hour=23, minute=59, second=59)
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError):
        return None
