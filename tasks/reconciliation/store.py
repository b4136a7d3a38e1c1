"""What a reconciliation asks the desk: orders as they are, those that podOS did not show, what to resend."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Engine, Row, func, select

from models.reconciling import DeskOrder, DeskShipment
from models.tables.outbox import OutboxState
from tasks.delivery import store as outbox
from tasks.desk.engine import reading, writing
from tasks.desk.history import add_history
from tasks.desk.open_changes import IS_OPEN
from tasks.desk.sql import chunks
from tasks.desk.tables import CHANGES, FOLDERS, ITEMS, ORDERS, REJECTED, SHIPMENTS
from tasks.imports.changes import ADDRESS
from tasks.tracking.queue import IN_PODOS

PAGE_ROWS = 5000
_ADDRESS = tuple(ORDERS.c[name] for name in ADDRESS)
_OWN = ("id", "source_id", "order_number", "podos_status", "podos_updated_at")
_LAST_SAID = ("imported_status", "address_digest", "artwork_digest")
_SETTLED = (*(state.value for state in IN_PODOS), OutboxState.FAILED.value)


def highest_order_id(engine: Engine) -> int:
    """Return the desk id of the newest order, 0 for an empty desk."""
    with reading(engine) as connection:
        return int(connection.execute(select(func.coalesce(func.max(ORDERS.c.id), 0))).scalar_one())


def orders_here(connection: Connection, project: str, source_ids: Collection[str]) -> dict[str, DeskOrder]:
    """Return those of the orders that the desk has, by source id.

    Args:
        connection: one consistent view of the desk.
        project: the podOS project.
        source_ids: of podOS.
    """
    found: dict[str, DeskOrder] = {}
    for chunk in chunks(sorted(source_ids)):
        columns = [ORDERS.c[name] for name in _OWN]
        columns += [ORDERS.c[name] for name in _LAST_SAID]
        more = [ORDERS.c.hold_reason, FOLDERS.c.name.label("folder"), *_ADDRESS, ORDERS.c.erased_at]
        query = select(*columns, *more).outerjoin(FOLDERS, FOLDERS.c.id == ORDERS.c.folder_id)
        mine = (ORDERS.c.project == project) & ORDERS.c.source_id.in_(chunk)
        rows = connection.execute(query.where(mine)).all()
        ids = [row.id for row in rows]
        prints, shipments = _prints_of(connection, ids), _shipments_of(connection, ids)
        flagged = _flagged(connection, ids)
        found |= {
            row.source_id: _order(row, prints[row.id], shipments[row.id], flagged[row.id]) for row in rows
        }
    return found


def _order(
    row: Row[Any], prints: list[Mapping[str, str]], shipments: list[DeskShipment], flagged: set[str]
) -> DeskOrder:
    values = row._mapping
    address = None if values["erased_at"] else {column.name: values[column.name] for column in _ADDRESS}
    is_held = values["hold_reason"] is not None
    return DeskOrder(
        **{name: values[name] for name in (*_OWN, *_LAST_SAID)},
        folder=values["folder"] or "",
        is_held=is_held,
        address=address,
        prints=prints,
        shipments=shipments,
        flagged=frozenset(flagged),
    )


def _prints_of(connection: Connection, order_ids: Sequence[int]) -> dict[int, list[Mapping[str, str]]]:
    found: dict[int, list[Mapping[str, str]]] = defaultdict(list)
    query = select(ITEMS.c.order_id, ITEMS.c["metadata"]).where(ITEMS.c.order_id.in_(order_ids))
    for order_id, metadata in connection.execute(query.order_by(ITEMS.c.order_id, ITEMS.c.position)):
        found[order_id].append(metadata)
    return found


def _shipments_of(connection: Connection, order_ids: Sequence[int]) -> dict[int, list[DeskShipment]]:
    found: dict[int, list[DeskShipment]] = defaultdict(list)
    columns = (SHIPMENTS.c.order_id, SHIPMENTS.c.id, SHIPMENTS.c.code, SHIPMENTS.c.state)
    query = select(*columns).where(SHIPMENTS.c.order_id.in_(order_ids)).order_by(SHIPMENTS.c.id)
    for order_id, *shipment in connection.execute(query):
        found[order_id].append(DeskShipment(*shipment))
    return found


def _flagged(connection: Connection, order_ids: Sequence[int]) -> dict[int, set[str]]:
    found: dict[int, set[str]] = defaultdict(set)
    query = select(CHANGES.c.order_id, CHANGES.c.kind).where(CHANGES.c.order_id.in_(order_ids), IS_OPEN)
    for order_id, kind in connection.execute(query):
        found[order_id].add(kind)
    return found


def rejected_among(connection: Connection, project: str, source_ids: Collection[str]) -> set[str]:
    """Return those of the orders that were rejected because they could not be read."""
    found: set[str] = set()
    for chunk in chunks(sorted(source_ids)):
        mine = (REJECTED.c.project == project) & REJECTED.c.source_id.in_(chunk)
        found |= {str(id_) for id_ in connection.execute(select(REJECTED.c.source_id).where(mine)).scalars()}
    return found


def pages_of_orders(
    engine: Engine, project: str, since: datetime | None, *, up_to_id: int
) -> Iterator[list[tuple[int, str, str]]]:
    """Give the desk's orders as (id, source id, order number), page by page, oldest import first.

    Args:
        engine: the desk.
        project: the podOS project.
        since: aware; only orders that podOS created from then on; None: all.
        up_to_id: only those with this id or a smaller one.
    """
    mine = (ORDERS.c.project == project) & (ORDERS.c.id <= up_to_id)
    if since is not None:
        mine &= ORDERS.c.podos_created_at >= since
    query = select(ORDERS.c.id, ORDERS.c.source_id, ORDERS.c.order_number).where(mine)
    after = 0
    while True:
        page = query.where(ORDERS.c.id > after).order_by(ORDERS.c.id).limit(PAGE_ROWS)
        with reading(engine) as connection:
            rows = [(row[0], row[1], row[2]) for row in connection.execute(page)]
        if not rows:
            return
        yield rows
        after = rows[-1][0]


def send_again(engine: Engine, shipment_ids: Collection[int], *, now: datetime) -> list[int]:
    """Let shipments that podOS does not show wait for the sync again, and return their ids.

    Args:
        engine: the desk.
        shipment_ids: which; one that was voided, superseded or waits by now is left as it is.
        now: aware.

    Safe to repeat.
    """
    done: list[int] = []
    if not shipment_ids:
        return done
    with writing(engine) as connection:
        for chunk in chunks(sorted(shipment_ids)):
            settled = SHIPMENTS.c.id.in_(chunk) & SHIPMENTS.c.state.in_(_SETTLED)
            query = select(SHIPMENTS.c.id, SHIPMENTS.c.order_id).where(settled).order_by(SHIPMENTS.c.id)
            rows = connection.execute(query.with_for_update()).all()
            outbox.resend(connection, SHIPMENTS, [row.id for row in rows])
            text = "shipment {} is tried again: podOS does not show it"
            add_history(connection, [(row.order_id, "shipped", text.format(row.id)) for row in rows], at=now)
            done += [row.id for row in rows]
    return done


def count_in_podos(engine: Engine, shipment_ids: Collection[int]) -> int:
    """Return how many of these shipments podOS has by now."""
    count = 0
    with reading(engine) as connection:
        for chunk in chunks(sorted(shipment_ids)):
            there = SHIPMENTS.c.id.in_(chunk) & SHIPMENTS.c.state.in_([state.value for state in IN_PODOS])
            query = select(func.count()).select_from(SHIPMENTS).where(there)
            count += int(connection.execute(query).scalar_one())
    return count
