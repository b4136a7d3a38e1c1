"""List orders, show one with its history, and stream the export."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Engine, Select, func, select

from tasks.desk.engine import reading
from tasks.desk.export import exported_item, exported_order, iso
from tasks.desk.folders import known_folder_id
from tasks.desk.open_changes import IS_OPEN, ChangeSummary, open_changes
from tasks.desk.references import resolve
from tasks.desk.search import EVERY_ORDER, OrderFilter
from tasks.desk.tables import CHANGES, FOLDERS, HISTORY, ITEMS, ORDERS, RUNS

_CHUNK = 1000
_LARGEST_ID = 2**63 - 1
_FLAGGED = select(CHANGES.c.order_id).where(IS_OPEN)


@dataclass(frozen=True)
class OrderSummary:
    """One line of a list of orders; ``items`` is the number of its lines."""

    id: int
    order_number: str
    source_id: str
    integration: str
    folder: str | None
    podos_status: str
    created_at: datetime
    ship_name: str | None
    ship_country: str | None
    items: int
    hold_reason: str | None
    deadline: str | None


@dataclass(frozen=True)
class HistoryEntry:
    """What happened to an order, and when (aware UTC)."""

    at: datetime
    event: str
    text: str

    def as_dict(self) -> dict[str, Any]:
        """Return it ready for JSON."""
        return {"at": iso(self.at), "event": self.event, "text": self.text}


@dataclass(frozen=True)
class OrderDetail:
    """One order: its exported form, its history from the import on, and changes that wait for a person."""

    order: dict[str, Any]
    history: list[HistoryEntry]
    changes: list[ChangeSummary]

    def as_dict(self) -> dict[str, Any]:
        """Return the exported form with ``history`` and ``changes``, ready for JSON."""
        history = [entry.as_dict() for entry in self.history]
        return {**self.order, "history": history, "changes": [change.as_dict() for change in self.changes]}


def list_orders(
    engine: Engine,
    *,
    folder: str | None = None,
    changed: bool = False,
    matching: OrderFilter = EVERY_ORDER,
    limit: int = 50,
    before_id: int | None = None,
) -> list[OrderSummary]:
    """Return orders, the newest import first.

    Args:
        engine: the desk.
        folder: only this folder; case does not count.
        changed: only orders that podOS changed and nobody has looked at since.
        matching: only orders that fit it.
        limit: at most so many.
        before_id: only orders with a smaller desk id: the last one of the page before.

    Raises:
        DeskRefusedError: there is no such folder.
    """
    names = ("order_number", "source_id", "integration")
    items = select(func.count()).where(ITEMS.c.order_id == ORDERS.c.id).scalar_subquery()
    query = (
        select(
            ORDERS.c.id,
            *(ORDERS.c[name] for name in names),
            FOLDERS.c.name,
            ORDERS.c.podos_status,
            ORDERS.c.podos_created_at,
            ORDERS.c.ship_name,
            ORDERS.c.ship_country,
            items,
            ORDERS.c.hold_reason,
            ORDERS.c.deadline,
        )
        .outerjoin(FOLDERS, FOLDERS.c.id == ORDERS.c.folder_id)
        .order_by(ORDERS.c.id.desc())
        .limit(limit)
    )
    if before_id is not None:
        query = query.where(ORDERS.c.id < before_id)
    if changed:
        query = query.where(ORDERS.c.id.in_(_FLAGGED))
    query = query.where(*matching.conditions())
    with reading(engine) as connection:
        if folder is not None:
            query = query.where(ORDERS.c.folder_id == known_folder_id(connection, folder))
        return [OrderSummary(*row) for row in connection.execute(query)]


def find_order(engine: Engine, reference: str) -> OrderDetail:
    """Return one order with its items and history.

    Args:
        engine: the desk.
        reference: its desk id, source id or order number.

    Raises:
        DeskRefusedError: there is no such order, or several; the text names them.
    """
    with reading(engine) as connection:
        (id_,) = resolve(connection, [reference])
        return _detail(connection, id_)


def order_by_id(engine: Engine, order_id: int) -> OrderDetail | None:
    """Return one order with its items and history by its desk id, None if there is none."""
    if not 0 < order_id <= _LARGEST_ID:
        return None
    with reading(engine) as connection:
        if connection.execute(select(ORDERS.c.id).where(ORDERS.c.id == order_id)).first() is None:
            return None
        return _detail(connection, order_id)


def _detail(connection: Connection, id_: int) -> OrderDetail:
    query = _whole_orders().add_columns(RUNS.c.kind.label("run_kind")).where(ORDERS.c.id == id_)
    row = connection.execute(query.outerjoin(RUNS, RUNS.c.id == ORDERS.c.import_run_id)).mappings().one()
    items = _items(connection, [id_])
    history = select(HISTORY.c.at, HISTORY.c.event, HISTORY.c.text).where(HISTORY.c.order_id == id_)
    later = connection.execute(history.order_by(HISTORY.c.id)).all()
    changes = open_changes(connection, id_)
    kind = (row["run_kind"] or "a").replace("_", " ")
    imported = f"imported by {kind} run {row['import_run_id']}"
    first = HistoryEntry(row["imported_at"], "imported", imported)
    entries = [first, *(HistoryEntry(*entry) for entry in later)]
    return OrderDetail(exported_order(row, items[id_]), entries, changes)


def export_orders(
    engine: Engine,
    *,
    folder: str | None = None,
    changed: bool = False,
    matching: OrderFilter = EVERY_ORDER,
    newest_first: bool = False,
    limit: int | None = None,
    before_id: int | None = None,
) -> Iterator[dict[str, Any]]:
    """Return whole orders one by one, however many there are; memory stays flat.

    Args:
        engine: the desk.
        folder: only this folder; case does not count.
        changed: only orders that podOS changed and nobody has looked at since.
        matching: only orders that fit it.
        newest_first: the newest import first, else the oldest.
        limit: at most so many; None is all.
        before_id: only orders with a smaller desk id.

    Raises:
        DeskRefusedError: there is no such folder (at once, before the first order is asked for).

    Safe to repeat. An order that is moved meanwhile is given at most once.
    """
    query = _whole_orders().order_by(ORDERS.c.id.desc() if newest_first else ORDERS.c.id)
    if before_id is not None:
        query = query.where(ORDERS.c.id < before_id)
    if changed:
        query = query.where(ORDERS.c.id.in_(_FLAGGED))
    query = query.where(*matching.conditions())
    if folder is not None:
        with reading(engine) as connection:
            query = query.where(ORDERS.c.folder_id == known_folder_id(connection, folder))
    return _stream(engine, query, newest_first=newest_first, limit=limit)


def documents_of(connection: Connection, order_ids: Sequence[int]) -> dict[int, dict[str, Any]]:
    """Return whole orders, as they are exported, by desk id; nobody else changes them before the end.

    Args:
        connection: in a writing transaction.
        order_ids: desk ids, at most about a thousand.
    """
    query = _whole_orders().where(ORDERS.c.id.in_(order_ids)).order_by(ORDERS.c.id)
    rows = connection.execute(query.with_for_update(of=ORDERS)).mappings().all()
    items = _items(connection, [row["id"] for row in rows])
    return {row["id"]: exported_order(row, items[row["id"]]) for row in rows}


def orders_by_id(engine: Engine, order_ids: Sequence[int]) -> dict[int, dict[str, Any]]:
    """Return these orders (a batch of them) as they are exported, by desk id."""
    with reading(engine) as connection:
        rows = connection.execute(_whole_orders().where(ORDERS.c.id.in_(order_ids))).mappings().all()
        items = _items(connection, order_ids)
    return {row["id"]: exported_order(row, items[row["id"]]) for row in rows}


def _stream(
    engine: Engine, query: Select[Any], *, newest_first: bool, limit: int | None
) -> Iterator[dict[str, Any]]:
    left, page = limit, query
    while left is None or left > 0:
        size = _CHUNK if left is None else min(left, _CHUNK)
        # A connection per chunk: a slow reader of the export holds nothing up in the database.
        with reading(engine) as connection:
            rows: Sequence[Mapping[Any, Any]] = connection.execute(page.limit(size)).mappings().all()
            items = _items(connection, [row["id"] for row in rows])
        for row in rows:
            yield exported_order(row, items[row["id"]])
        if len(rows) < size:
            return
        left = None if left is None else left - len(rows)
        last = rows[-1]["id"]
        page = query.where(ORDERS.c.id < last if newest_first else ORDERS.c.id > last)


def _whole_orders() -> Select[Any]:
    # Whatever folder another program put it into: no order is hidden for it.
    return select(ORDERS, FOLDERS.c.name.label("folder")).outerjoin(
        FOLDERS, FOLDERS.c.id == ORDERS.c.folder_id
    )


def _items(connection: Connection, order_ids: Sequence[int]) -> dict[int, list[dict[str, Any]]]:
    query = select(ITEMS).where(ITEMS.c.order_id.in_(order_ids))
    found: dict[int, list[dict[str, Any]]] = defaultdict(list)
    for row in connection.execute(query.order_by(ITEMS.c.order_id, ITEMS.c.position)).mappings():
        found[row["order_id"]].append(exported_item(row))
    return found
