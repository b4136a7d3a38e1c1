"""Write podOS's changes of orders into the desk, once, in the transaction of the watermark."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Row,
    Select,
    bindparam,
    func,
    select,
    update,
)

from models.filters import ImportSettings
from models.tables.outbox import OutboxState
from models.unreadable import is_readable
from models.upstream import (
    COMPLETE,
    HELD_REFUNDED,
    ChangePlan,
    DeskHandover,
    DeskItem,
    LocalOrder,
    PastChange,
    RemoteOrder,
    is_refunded,
)
from tasks.delivery.store import AFRESH
from tasks.desk.folders import folder_id, place_orders
from tasks.desk.history import add_history
from tasks.desk.sql import chunks
from tasks.desk.tables import CHANGES, FOLDERS, HANDOVERS, ITEMS, ORDERS, SHIPMENTS
from tasks.imports.changes import ADDRESS, needs_a_look, plan_change

EVENT = "changed in podOS"
_LAST_SAID = ("podos_status", "podos_updated_at", "podos_frozen", "address_digest", "artwork_digest")
_COLUMNS = (
    "id",
    "source_id",
    "folder_id",
    "hold_reason",
    "erased_at",
    "imported_at",
    "podos_seen_at",
    *_LAST_SAID,
    *ADDRESS,
)

Pair = tuple[LocalOrder, RemoteOrder]


def plan_changes(
    connection: Connection, again: Sequence[RemoteOrder], settings: ImportSettings, *, began_at: datetime
) -> list[ChangePlan]:
    """Return what follows from how podOS shows orders of the desk now; nothing is written."""
    looks, _ = _sift(connection, again, settings, began_at)
    return [plan_change(here, there, canceled_folder=settings.canceled_folder) for here, there in looks]


def note_changes(
    connection: Connection,
    again: Sequence[RemoteOrder],
    settings: ImportSettings,
    *,
    run_id: int,
    began_at: datetime,
    now: datetime,
) -> list[ChangePlan]:
    """Note what podOS changed: status, hold, folder, history, and the new values beside the old ones.

    Args:
        connection: in a writing transaction.
        again: orders of the desk as podOS sends them now.
        settings: the integration's.
        run_id: the run that read them.
        began_at: aware; they were read after it. An older answer than one that another run wrote since then
            is passed over; older than one from before it is news of a podOS whose clock went back.
        now: aware.

    Returns:
        What was done, by order.

    Safe to repeat, and when two processes do it at once: what the desk knows by then is not noted again.
    """
    looks, steps = _sift(connection, again, settings, began_at)
    _write_steps(connection, steps, now)
    if not looks:
        return []
    there = {remote.source_id: remote for _, remote in looks}
    _hold_still(connection, looks, settings)
    looks, late = _sift(connection, list(there.values()), settings, began_at)
    _write_steps(connection, late, now)
    done = [plan_change(here, there, canceled_folder=settings.canceled_folder) for here, there in looks]
    _write_orders(connection, looks, done, now)
    carry_out(connection, done, run_id=run_id, now=now)
    return done


def carry_out(connection: Connection, done: Sequence[ChangePlan], *, run_id: int, now: datetime) -> None:
    """Write what plans say beside the orders' own rows: changes, handovers, history, folders."""
    _write_changes(connection, done, run_id=run_id, now=now)
    _write_handovers(connection, done)
    add_history(connection, [(plan.order_id, EVENT, line) for plan in done for line in plan.history], at=now)
    _move(connection, done)


def _sift(
    connection: Connection, again: Sequence[RemoteOrder], settings: ImportSettings, began_at: datetime
) -> tuple[list[Pair], list[Pair]]:
    """Return the orders that need a look, with all that it takes, and those that only went a step on."""
    theirs = {remote.source_id: remote for remote in again}
    looks, steps = [], []
    for row in _rows(connection, settings.project, sorted(theirs)):
        here, there = _here(row), theirs[row.source_id]
        said_at = there.order.podos_updated_at
        is_older = here.podos_updated_at and said_at and said_at < here.podos_updated_at
        if is_older and (row.podos_seen_at or row.imported_at) >= began_at:
            continue
        if needs_a_look(here, there) or not is_readable(here.podos_updated_at):
            looks.append((here, there))
        elif (here.podos_status, here.podos_updated_at) != (there.order.podos_status, said_at):
            steps.append((here, there))
    whole = with_details(connection, [here for here, _ in looks], settings)
    return [(here, there) for here, (_, there) in zip(whole, looks, strict=True)], steps


def _rows(connection: Connection, project: str, source_ids: Sequence[str]) -> Iterator[Row[Any]]:
    query = select(*(ORDERS.c[name] for name in _COLUMNS)).where(ORDERS.c.project == project)
    for part in chunks(source_ids):
        mine = ORDERS.c.source_id.in_(part)
        yield from connection.execute(query.where(mine).order_by(ORDERS.c.id))


def _here(row: Row[Any]) -> LocalOrder:
    values = row._mapping
    return LocalOrder(
        row.id,
        row.source_id,
        str(row.folder_id),
        row.podos_status,
        bool(row.podos_frozen),
        row.podos_updated_at,
        row.hold_reason,
        None if row.erased_at else {name: values[name] for name in ADDRESS},
        row.address_digest,
        row.artwork_digest,
        is_shipped=False,
    )


def local_orders(
    connection: Connection, source_ids: Sequence[str], settings: ImportSettings
) -> list[LocalOrder]:
    """Return orders of the desk with all that a judgement takes."""
    rows = _rows(connection, settings.project, sorted(source_ids))
    return with_details(connection, [_here(row) for row in rows], settings)


def with_details(
    connection: Connection, orders: Sequence[LocalOrder], settings: ImportSettings
) -> list[LocalOrder]:
    """Return orders with their folder, items, handovers and earlier changes."""
    ids = [here.id for here in orders]
    if not ids:
        return []
    folders = {str(row.id): row.name for row in connection.execute(select(FOLDERS.c.id, FOLDERS.c.name))}
    items, handovers = _items(connection, ids), _handovers(connection, ids)
    changes, shipped = _changes(connection, ids), _shipped(connection, ids)
    full = []
    for here in orders:
        folder = folders.get(here.folder, "")
        is_shipped = (
            here.id in shipped
            or here.podos_status.casefold() == COMPLETE
            or bool(folder.casefold() == settings.shipped_folder.casefold())
        )
        full.append(
            here._replace(
                folder=folder,
                is_shipped=is_shipped,
                items=items[here.id],
                handovers=handovers[here.id],
                changes=changes[here.id],
            )
        )
    return full


def _by_order(
    connection: Connection, query: Select[Any], column: ColumnElement[int], ids: Sequence[int]
) -> Iterator[Row[Any]]:
    for part in chunks(ids):
        yield from connection.execute(query.where(column.in_(part)))


def _items(connection: Connection, ids: Sequence[int]) -> Mapping[int, list[DeskItem]]:
    found: dict[int, list[DeskItem]] = defaultdict(list)
    columns = (ITEMS.c[name] for name in ("order_id", "sku", "quantity", "metadata"))
    query = select(*columns).order_by(ITEMS.c.order_id, ITEMS.c.position)
    for order_id, *item in _by_order(connection, query, ITEMS.c.order_id, ids):
        found[order_id].append(DeskItem(*item))
    return found


def _handovers(connection: Connection, ids: Sequence[int]) -> Mapping[int, list[DeskHandover]]:
    found: dict[int, list[DeskHandover]] = defaultdict(list)
    names = ("order_id", "id", "fulfiller", "state", "first_attempt_at", "reason")
    query = select(*(HANDOVERS.c[name] for name in names)).order_by(HANDOVERS.c.id)
    for order_id, id_, fulfiller, state, begun_at, reason in _by_order(
        connection, query, HANDOVERS.c.order_id, ids
    ):
        found[order_id].append(DeskHandover(id_, fulfiller, state, begun_at is not None, reason))
    return found


def _changes(connection: Connection, ids: Sequence[int]) -> Mapping[int, list[PastChange]]:
    found: dict[int, list[PastChange]] = defaultdict(list)
    names = ("order_id", "id", "kind", "state", "old_values", "new_values")
    query = select(*(CHANGES.c[name] for name in names)).order_by(CHANGES.c.id)
    for order_id, *change in _by_order(connection, query, CHANGES.c.order_id, ids):
        found[order_id].append(PastChange(*change))
    return found


def _shipped(connection: Connection, ids: Sequence[int]) -> set[int]:
    query = select(SHIPMENTS.c.order_id).where(SHIPMENTS.c.state != OutboxState.VOIDED.value).distinct()
    return {row[0] for row in _by_order(connection, query, SHIPMENTS.c.order_id, ids)}


def _hold_still(connection: Connection, looks: Sequence[Pair], settings: ImportSettings) -> None:
    """Keep others from changing these orders, and make the folder that one of them may go to."""
    is_canceled = settings.canceled_folder and any(
        is_refunded(there.order.podos_status) and not is_refunded(here.podos_status) and not here.is_shipped
        for here, there in looks
    )
    hold_still(connection, [here.id for here, _ in looks], settings.canceled_folder if is_canceled else "")


def hold_still(connection: Connection, order_ids: Sequence[int], folder: str) -> None:
    """Lock the waiting handovers, the folder (if named) and the orders, as the sending takes them."""
    ids = sorted(order_ids)
    waiting = HANDOVERS.c.state == OutboxState.WAITING.value
    for part in chunks(ids):
        mine = HANDOVERS.c.order_id.in_(part)
        query = select(HANDOVERS.c.id).where(mine, waiting).order_by(HANDOVERS.c.id)
        connection.execute(query.with_for_update()).all()
    if folder:
        folder_id(connection, folder, create=True)
    for part in chunks(ids):
        mine = ORDERS.c.id.in_(part)
        connection.execute(select(ORDERS.c.id).where(mine).order_by(ORDERS.c.id).with_for_update()).all()


def _said(here: LocalOrder, there: RemoteOrder, now: datetime) -> dict[str, Any]:
    """Return what podOS says now, as parameters of an update; a null date does not replace a known one."""
    return {
        "row_id": here.id,
        "said_status": there.order.podos_status,
        "said_at": there.order.podos_updated_at or here.podos_updated_at,
        "now": now,
    }


_STATUS: dict[str, Any] = {
    # The first one is kept: it tells what the desk imported.
    "imported_status": func.coalesce(ORDERS.c.imported_status, ORDERS.c.podos_status),
    "podos_status": bindparam("said_status"),
    "podos_updated_at": bindparam("said_at", type_=ORDERS.c.podos_updated_at.type),
    "podos_seen_at": bindparam("now", type_=ORDERS.c.podos_seen_at.type),
}


def _write_steps(connection: Connection, steps: Collection[Pair], now: datetime) -> None:
    if steps:
        # Unless another run wrote something since it was read here.
        is_same = ORDERS.c.podos_updated_at.is_not_distinct_from(
            bindparam("was_at", type_=ORDERS.c.podos_updated_at.type)
        )
        statement = update(ORDERS).where(ORDERS.c.id == bindparam("row_id"), is_same).values(_STATUS)
        rows = [{**_said(here, there, now), "was_at": here.podos_updated_at} for here, there in steps]
        connection.execute(statement, rows)


def _write_orders(
    connection: Connection, looks: Sequence[Pair], done: Sequence[ChangePlan], now: datetime
) -> None:
    if not looks:
        return
    values: dict[str, Any] = {name: bindparam(f"new_{name}") for name in (*_LAST_SAID[2:], "hold_reason")}
    rows = [
        {
            **_said(here, there, now),
            "new_podos_frozen": there.is_frozen,
            "new_address_digest": plan.address_digest,
            "new_artwork_digest": plan.artwork_digest,
            "new_hold_reason": plan.hold_reason,
        }
        for (here, there), plan in zip(looks, done, strict=True)
    ]
    statement = update(ORDERS).where(ORDERS.c.id == bindparam("row_id")).values(_STATUS | values)
    connection.execute(statement, rows)


def _write_changes(connection: Connection, done: Sequence[ChangePlan], *, run_id: int, now: datetime) -> None:
    closed = [{"row_id": id_, "then": state.value} for plan in done for id_, state in plan.close.items()]
    if closed:  # first: an order has one open change of each kind
        this = CHANGES.c.id == bindparam("row_id")
        connection.execute(update(CHANGES).where(this).values(state=bindparam("then")), closed)
    rows = [
        {
            "order_id": plan.order_id,
            "run_id": run_id,
            "at": now,
            "kind": change.kind.value,
            "state": change.state.value,
            "old_values": dict(change.before),
            "new_values": dict(change.after),
        }
        for plan in done
        for change in plan.changes
    ]
    if rows:
        connection.execute(CHANGES.insert(), rows)


def _write_handovers(connection: Connection, done: Sequence[ChangePlan]) -> None:
    stopped = {"state": OutboxState.VOIDED.value, "next_attempt_at": None, "reason": HELD_REFUNDED}
    for ids, values in (
        ([id_ for plan in done for id_ in plan.void], stopped),
        ([id_ for plan in done for id_ in plan.revive], AFRESH),
    ):
        for part in chunks(ids):
            mine = HANDOVERS.c.id.in_(part)
            connection.execute(update(HANDOVERS).where(mine).values(values))


def _move(connection: Connection, done: Sequence[ChangePlan]) -> None:
    moves: dict[tuple[str, str], list[int]] = defaultdict(list)
    for plan in done:
        if plan.move_to:
            moves[plan.move_to, plan.why].append(plan.order_id)
    for (folder, why), ids in moves.items():
        place_orders(connection, ids, folder, by=why)
