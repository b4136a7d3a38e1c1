"""Write edits into orders, keep what was there before, and take them back."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Engine, select, update

from models.edits import ITEM_FIELDS, ORDER_FIELDS, Edit, Edited, Values
from models.tables.orders import NEEDS_ATTENTION
from models.unreadable import problems_in, readable_or_none
from tasks.desk.engine import reading, writing
from tasks.desk.errors import DeskRefusedError
from tasks.desk.folders import place_orders
from tasks.desk.history import add_history
from tasks.desk.references import desk_reference, resolve
from tasks.desk.tables import EDITS, FOLDERS, HISTORY, ITEMS, ORDERS, RUNS
from tasks.editing.policy import EditConflictError, checked, names_of, still_needed

EVENT = "edited"
ATTENTION = "needs attention"
_ITEM = re.compile(r"item (\d{1,9}) (.+)")
_METADATA = "metadata "


def edit_order(
    engine: Engine, reference: str, edit: Edit, *, by: str, now: datetime, seen: Values | None = None
) -> Edited:
    """Write new values into an order; podOS never overwrites them, and ``undo_edit`` takes them back.

    Args:
        engine: the desk.
        reference: the order's desk id, number, reference or podOS id.
        edit: the values.
        by: who edits, for the history.
        now: aware.
        seen: what the person saw before, named as in the history; None: it does not matter.

    Raises:
        EditError: a value can't be used.
        EditConflictError: a field has neither the value that was seen nor the new one.
        DeskRefusedError: there is no such order or item, or its personal data was erased.

    Safe to repeat: values that are there already are no edit.
    """
    wanted = dict(names_of(checked(edit)))
    with writing(engine) as connection:
        order_id = _lock(connection, reference)
        before = _values(connection, order_id, list(wanted))
        _refuse_conflicts(before, wanted, seen or {})
        old = {name: before[name] for name, value in wanted.items() if before[name] != value}
        new = {name: wanted[name] for name in old}
        if new:
            _write(connection, order_id, new)
            row = {"order_id": order_id, "at": now, "by": by, "old_values": old, "new_values": new}
            connection.execute(EDITS.insert().values(row))
            add_history(connection, [(order_id, EVENT, f"{_told(old, new)} by {by}")], at=now)
        return _leave_attention(connection, order_id, list(new))


def _refuse_conflicts(before: Values, wanted: Values, seen: Values) -> None:
    """Refuse to write over what somebody else wrote since."""
    others = [name for name in seen if name in before and before[name] not in (seen[name], wanted[name])]
    if others:
        raise EditConflictError(others)


def undo_edit(engine: Engine, reference: str, *, by: str, now: datetime) -> Edited:
    """Take an order's last edit back; an order that lacks something again goes back to Needs Attention.

    Raises:
        DeskRefusedError: there is none, or a field was changed since.
    """
    with writing(engine) as connection:
        order_id = _lock(connection, reference)
        last = select(EDITS.c.id, EDITS.c.old_values, EDITS.c.new_values)
        mine = (EDITS.c.order_id == order_id) & EDITS.c.undone_at.is_(None)
        row = connection.execute(last.where(mine).order_by(EDITS.c.id.desc()).limit(1)).first()
        if row is None or not row.new_values or problems_in({"new_values": row.new_values}):
            raise DeskRefusedError(f"order {desk_reference(order_id)} has no edit that can be undone")
        now_there = _values(connection, order_id, list(row.new_values))
        if others := [name for name, value in row.new_values.items() if now_there[name] != value]:
            raise DeskRefusedError(f"{', '.join(others)} changed since the edit: edit it anew")
        _write(connection, order_id, row.old_values)
        connection.execute(update(EDITS).where(EDITS.c.id == row.id).values(undone_at=now))
        fields = list(row.old_values)
        add_history(connection, [(order_id, EVENT, f"undone: {', '.join(fields)} by {by}")], at=now)
        return _return_to_attention(connection, order_id, fields)


def _lock(connection: Connection, reference: str) -> int:
    (order_id,) = resolve(connection, [reference])
    query = select(ORDERS.c.erased_at).where(ORDERS.c.id == order_id).with_for_update()
    if connection.execute(query).scalar_one() is not None:
        raise DeskRefusedError(
            f"the personal data of order {desk_reference(order_id)} was erased: it can't be edited"
        )
    return int(order_id)


def _values(connection: Connection, order_id: int, names: Sequence[str]) -> dict[str, str | None]:
    """Return the present values of fields, as text; None for what can't be read."""
    order = connection.execute(select(ORDERS).where(ORDERS.c.id == order_id)).mappings().one()
    rows = connection.execute(select(ITEMS).where(ITEMS.c.order_id == order_id)).mappings().all()
    items = {row["position"]: row for row in rows}
    found: dict[str, str | None] = {}
    for name in names:
        if of_item := _ITEM.fullmatch(name):
            position, field = int(of_item[1]), of_item[2]
            if position not in items:
                raise DeskRefusedError(f"the order has no item {position}: it has {len(items)}")
            row = items[position]
            value = row[field] if field in ITEM_FIELDS else (row["metadata"] or {}).get(field)
        elif name in ORDER_FIELDS:
            value = order[name]
        else:
            value = (order["metadata"] or {}).get(name.removeprefix(_METADATA))
        value = readable_or_none(value)
        found[name] = None if value is None else str(value)
    return found


def _write(connection: Connection, order_id: int, values: Values) -> None:
    own: dict[str, Any] = {name: value for name, value in values.items() if name in ORDER_FIELDS}
    metadata = {name.removeprefix(_METADATA): v for name, v in values.items() if name.startswith(_METADATA)}
    mine = ORDERS.c.id == order_id
    if metadata:
        there = connection.execute(select(ORDERS.c.metadata).where(mine)).scalar()
        own["metadata"] = _merged(there, metadata)
    if own:
        connection.execute(update(ORDERS).where(mine).values(own))
    items: dict[int, dict[str, str | None]] = {}
    for name, value in values.items():
        if of_item := _ITEM.fullmatch(name):
            items.setdefault(int(of_item[1]), {})[of_item[2]] = value
    for position, fields in items.items():
        _write_item(connection, order_id, position, fields)


def _write_item(connection: Connection, order_id: int, position: int, fields: Values) -> None:
    this = (ITEMS.c.order_id == order_id) & (ITEMS.c.position == position)
    row: dict[str, Any] = {name: value for name, value in fields.items() if name in ITEM_FIELDS}
    if quantity := row.pop("quantity", None):  # undoing brings back none that could not be read
        row["quantity"] = int(quantity)
    metadata = {name: value for name, value in fields.items() if name not in ITEM_FIELDS}
    if metadata:
        there = connection.execute(select(ITEMS.c.metadata).where(this)).scalar()
        row["metadata"] = _merged(there, metadata)
    if row:
        connection.execute(update(ITEMS).where(this).values(row))


def _merged(there: Mapping[str, str] | None, values: Values) -> dict[str, str]:
    return {name: text for name, text in {**(there or {}), **values}.items() if text is not None}


def _told(old: Values, new: Values) -> str:
    """Return what changed, for the history; only of quantities and SKUs with the values."""
    parts = []
    for name, value in new.items():
        shown = name.endswith((" quantity", " sku"))
        parts.append(f"{name} {old[name] or '(nothing)'} -> {value or '(nothing)'}" if shown else name)
    return ", ".join(parts)


def _leave_attention(connection: Connection, order_id: int, fields: list[str]) -> Edited:
    """Move an order out of Needs Attention if nothing needs it any more."""
    folder, belongs, needs = _attention(connection, order_id)
    if folder != NEEDS_ATTENTION or needs is None:
        return Edited(order_id, fields, None, [])
    if needs:
        return Edited(order_id, fields, None, needs)
    place_orders(connection, [order_id], belongs, by="nothing needs attention any more")
    return Edited(order_id, fields, belongs, [])


def _return_to_attention(connection: Connection, order_id: int, fields: list[str]) -> Edited:
    """Move an order that went on because of an edit back, if it lacks something without it."""
    folder, belongs, needs = _attention(connection, order_id)
    if not needs or folder.casefold() != belongs.casefold():
        return Edited(order_id, fields, None, needs or [])
    place_orders(connection, [order_id], NEEDS_ATTENTION, by="an edit was undone")
    return Edited(order_id, fields, NEEDS_ATTENTION, needs)


def needs_of(engine: Engine, order_id: int) -> list[str]:
    """Return what an order of Needs Attention still lacks; nothing for an order of another folder."""
    with reading(engine) as connection:
        folder, _, needs = _attention(connection, order_id)
    return (needs or []) if folder == NEEDS_ATTENTION else []


def _attention(connection: Connection, order_id: int) -> tuple[str, str, list[str] | None]:
    """Return an order's folder, the one for new orders of its import, and what it needs attention for.

    None: it never needed any.
    """
    joined = ORDERS.join(FOLDERS, FOLDERS.c.id == ORDERS.c.folder_id).outerjoin(
        RUNS, RUNS.c.id == ORDERS.c.import_run_id
    )
    query = select(FOLDERS.c.name, ORDERS.c.ship_country, RUNS.c.settings).select_from(joined)
    folder, country, settings = connection.execute(query.where(ORDERS.c.id == order_id)).one()
    said = select(HISTORY.c.text).where(HISTORY.c.order_id == order_id, HISTORY.c.event == ATTENTION)
    reason = connection.execute(said.order_by(HISTORY.c.id.desc()).limit(1)).scalar()
    belongs = settings.get("folder") if isinstance(settings, dict) else None
    target = belongs if isinstance(belongs, str) and belongs else "New"
    if not reason:
        return folder, target, None
    metadata = select(ITEMS.c.position, ITEMS.c.metadata).where(ITEMS.c.order_id == order_id)
    items = {row.position: row.metadata or {} for row in connection.execute(metadata)}
    return folder, target, still_needed(reason, country, items)
