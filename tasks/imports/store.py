"""Write new orders into the desk: an insert that does nothing where (project, source id) exists."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

import msgspec
from msgspec.structs import astuple
from sqlalchemy import ColumnElement, Connection, Engine, Row, func, select, text

from models.orders import NewItem, NewOrder
from models.types import utc_text
from tasks.desk.engine import reading
from tasks.desk.sql import insert_new, texts_in
from tasks.desk.tables import ITEMS, ORDERS
from tasks.imports.changes import address_digest, artwork_digest

_OWN_COLUMNS = tuple(
    name for name in NewOrder.__struct_fields__ if name not in {"items", "attention", "remarks"}
)
_CREATED, _UPDATED, _VALUE, _EXTRAS = (
    _OWN_COLUMNS.index(name) for name in ("podos_created_at", "podos_updated_at", "declared_value", "extras")
)
_RUN_COLUMNS = ("integration", "project", "import_run_id", "imported_at")
_ORDER_COLUMNS = ("id", "folder_id", *_RUN_COLUMNS, *_OWN_COLUMNS, "address_digest", "artwork_digest")
_AT_ONCE = 512
"""Orders whose rows exist at once: what is built for the driver doubles what an order takes in memory."""
_JSON = msgspec.json.Encoder()
_ITEM_COLUMNS = ("order_id", *NewItem.__struct_fields__)


def existing_source_ids(connection: Connection, project: str, source_ids: Collection[str]) -> set[str]:
    """Return those of the source ids that the desk already holds for a project."""
    return {row[0] for row in _existing(connection, project, source_ids, ORDERS.c.source_id)}


def last_looks(
    connection: Connection, project: str, source_ids: Collection[str]
) -> dict[str, tuple[datetime | None, datetime]]:
    """Return for those of the source ids that the desk holds podOS's date of them, and when it saw that."""
    seen_at = func.coalesce(ORDERS.c.podos_seen_at, ORDERS.c.imported_at)
    columns = (ORDERS.c.source_id, ORDERS.c.podos_updated_at, seen_at)
    return {row[0]: (row[1], row[2]) for row in _existing(connection, project, source_ids, *columns)}


def _existing(
    connection: Connection, project: str, source_ids: Collection[str], *columns: ColumnElement[Any]
) -> Sequence[Row[Any]]:
    if not source_ids:
        return []
    wanted = msgspec.json.encode(list(source_ids)).decode()
    is_one = ORDERS.c.source_id.in_(texts_in(connection, "ids"))
    query = select(*columns).where(ORDERS.c.project == project, is_one)
    return connection.execute(query, {"ids": wanted}).all()


def holds_orders(engine: Engine, project: str) -> bool:
    """Return whether the desk has an order of a project."""
    with reading(engine) as connection:
        query = select(ORDERS.c.id).where(ORDERS.c.project == project).limit(1)
        return connection.execute(query).first() is not None


def insert_orders(
    connection: Connection,
    orders: Sequence[NewOrder],
    *,
    integration: str,
    project: str,
    run_id: int,
    folder_ids: Sequence[int],
    imported_at: datetime,
) -> dict[str, int]:
    """Insert orders with their items.

    Args:
        connection: in a writing transaction.
        orders: distinct by source id.
        integration: the integration's name.
        project: the podOS project.
        run_id: the run that imports them.
        folder_ids: where each order goes, in the orders' sequence.
        imported_at: aware.

    Returns:
        The desk id of every order that was really inserted, by source id. One that the desk held before, or
        that another process inserted meanwhile, is not among them and is left as it is.

    Safe to repeat.
    """
    if not orders:
        return {}
    ids = _next_order_ids(connection, len(orders))
    adapt_time = utc_text if connection.dialect.name == "sqlite" else _as_it_is
    run = (integration, project, run_id, adapt_time(imported_at))
    inserted: dict[str, int] = {}
    for first in range(0, len(orders), _AT_ONCE):
        part = slice(first, first + _AT_ONCE)
        inserted |= _insert_some(connection, orders[part], ids[part], folder_ids[part], run, adapt_time)
    return inserted


def _insert_some(
    connection: Connection,
    orders: Sequence[NewOrder],
    ids: Sequence[int],
    folder_ids: Sequence[int],
    run: tuple[Any, ...],
    adapt_time: Callable[[datetime], datetime | str],
) -> dict[str, int]:
    rows = [
        (id_, folder_id, *run, *_order_values(order, adapt_time))
        for id_, order, folder_id in zip(ids, orders, folder_ids, strict=True)
    ]
    all_inserted = insert_new(connection, ORDERS.name, _ORDER_COLUMNS, rows)
    inserted = set(ids) if all_inserted else _present(connection, ids)
    items = [
        (id_, item) for id_, order in zip(ids, orders, strict=True) if id_ in inserted for item in order.items
    ]
    insert_new(connection, ITEMS.name, _ITEM_COLUMNS, _item_rows(items))
    return {order.source_id: id_ for id_, order in zip(ids, orders, strict=True) if id_ in inserted}


def _next_order_ids(connection: Connection, count: int) -> Sequence[int]:
    """Return ids for new orders; gaps are harmless."""
    if connection.dialect.name == "sqlite":
        # The writing transaction holds the only write lock: nobody else takes these.
        last = connection.execute(select(func.coalesce(func.max(ORDERS.c.id), 0))).scalar_one()
        return range(last + 1, last + 1 + count)
    sequence = "SELECT nextval(pg_get_serial_sequence('orders', 'id')) FROM generate_series(1, :count)"
    return list(connection.execute(text(sequence), {"count": count}).scalars())


def _present(connection: Connection, ids: Sequence[int]) -> set[int]:
    query = select(ORDERS.c.id).where(ORDERS.c.id.between(min(ids), max(ids)))
    return set(ids) & set(connection.execute(query).scalars())


def _order_values(order: NewOrder, adapt_time: Callable[[datetime], datetime | str]) -> list[Any]:
    """Return the order's own values as the driver takes them; amounts as exact text."""
    values: list[Any] = list(astuple(order)[: len(_OWN_COLUMNS)])
    values[_CREATED] = adapt_time(order.podos_created_at)
    values[_UPDATED] = adapt_time(order.podos_updated_at) if order.podos_updated_at else None
    values[_VALUE] = _exact_text(order.declared_value)
    values[_EXTRAS] = _JSON.encode(order.extras).decode() if order.extras else None
    return [*values, address_digest(order), artwork_digest(order.items)]


def _item_rows(items: Sequence[tuple[int, NewItem]]) -> list[tuple[Any, ...]]:
    """Return items as the driver takes them, each with the id of its order."""
    metadata = _JSON.encode_lines([item.metadata for _, item in items]).decode().split("\n")
    rows = []
    for (order_id, item), text_of_metadata in zip(items, metadata, strict=False):  # a last line is empty
        *values, value, currency, _ = astuple(item)
        rows.append((order_id, *values, _exact_text(value), currency, text_of_metadata))
    return rows


def _exact_text(amount: Decimal | None) -> str | None:
    return None if amount is None else str(amount)


def _as_it_is(instant: datetime) -> datetime:
    return instant
