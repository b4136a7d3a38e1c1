"""Look at shipments: lists for people and programs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Engine, Select, select

from models.tables.outbox import OutboxState
from tasks.desk.engine import reading
from tasks.desk.export import iso
from tasks.desk.sql import newest_first
from tasks.desk.tables import ORDERS, SHIPMENTS


@dataclass(frozen=True)
class ShipmentSummary:
    """One shipment; ``order`` is the order number, ``country`` the buyer's, times are aware UTC.

    All that is the order's is None where another program named an order that the desk does not have.
    """

    id: int
    order: str | None
    source_id: str | None
    country: str | None
    courier: str
    code: str
    url: str | None
    state: str
    attempts: int
    next_attempt_at: datetime | None
    reason: str | None
    sent_at: datetime | None

    def as_dict(self) -> dict[str, Any]:
        """Return it ready for JSON."""
        times = ("next_attempt_at", "sent_at")
        return vars(self) | {name: iso(getattr(self, name)) for name in times}


def list_shipments(
    engine: Engine,
    *,
    state: OutboxState | None = None,
    limit: int | None = None,
    before_id: int | None = None,
) -> Iterator[ShipmentSummary]:
    """Return shipments, the newest first, one by one; memory stays flat.

    Args:
        engine: the desk.
        state: only those in this state.
        limit: at most so many; None is all.
        before_id: only those with a smaller id: the last one of the page before.
    """
    query = _summaries()
    if state is not None:
        query = query.where(SHIPMENTS.c.state == state.value)
    return newest_first(engine, query, SHIPMENTS.c.id, ShipmentSummary, limit=limit, before_id=before_id)


def get_shipments(connection: Connection, ids: list[int]) -> list[ShipmentSummary]:
    """Return these shipments (a few), oldest first."""
    mine: ColumnElement[bool] = SHIPMENTS.c.id.in_(ids)
    return [
        ShipmentSummary(*row) for row in connection.execute(_summaries().where(mine).order_by(SHIPMENTS.c.id))
    ]


def shipments_of(engine: Engine, order_id: int) -> list[ShipmentSummary]:
    """Return the shipments of an order, oldest first."""
    mine = _summaries().where(SHIPMENTS.c.order_id == order_id).order_by(SHIPMENTS.c.id)
    with reading(engine) as connection:
        return [ShipmentSummary(*row) for row in connection.execute(mine)]


def _summaries() -> Select[Any]:
    own = ("courier", "code", "url", "state", "attempts", "next_attempt_at", "reason", "sent_at")
    columns = (SHIPMENTS.c[name] for name in own)
    order = (ORDERS.c.order_number, ORDERS.c.source_id, ORDERS.c.ship_country)
    return select(SHIPMENTS.c.id, *order, *columns).outerjoin(ORDERS, ORDERS.c.id == SHIPMENTS.c.order_id)
