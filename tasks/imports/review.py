"""Accept or dismiss the changes that podOS made to orders."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Engine, delete, select, update

from models.unreadable import problems_in
from models.upstream import ChangeKind, ChangeState
from tasks.desk.engine import reading, writing
from tasks.desk.errors import DeskRefusedError
from tasks.desk.history import add_history
from tasks.desk.open_changes import ChangeSummary, open_changes
from tasks.desk.references import desk_reference, resolve
from tasks.desk.tables import CHANGES, HANDOVERS, ITEMS, ORDERS

_FIELD = re.compile(r"item (\d{1,9}) (.+)")
_ITEM_COLUMNS = ("sku", "name", "source_item_id", "variant_ref")


def keep_ours(engine: Engine, references: Sequence[str], *, now: datetime) -> list[int]:
    """Take the flag from orders and leave them as they are; return the ids of their changes.

    Raises:
        DeskRefusedError: an order is unknown, named ambiguously, or not flagged; then none is changed.
    """
    return _settle(engine, references, ChangeState.KEPT, _nothing, "the desk's values stay", now=now)


def take_theirs(engine: Engine, references: Sequence[str], *, now: datetime) -> list[int]:
    """Take podOS's address and artwork over into orders, and the flag from them; return their changes' ids.

    Raises:
        DeskRefusedError: an order is unknown, named ambiguously, or not flagged; then none is changed.
    """
    return _settle(engine, references, ChangeState.TAKEN, _take, "podOS's values were taken over", now=now)


def having_them(engine: Engine, references: Sequence[str]) -> list[str]:
    """Return the fulfillers that have, or may have, these orders with the old values."""
    with reading(engine) as connection:
        ids = resolve(connection, references)
        begun = HANDOVERS.c.first_attempt_at.is_not(None)
        query = select(HANDOVERS.c.fulfiller).where(HANDOVERS.c.order_id.in_(ids), begun).distinct()
        return sorted(connection.execute(query).scalars())


Write = Callable[[Connection, ChangeSummary], None]


def _nothing(_connection: Connection, _change: ChangeSummary) -> None:
    """Leave the order as it is."""


def _settle(
    engine: Engine, references: Sequence[str], state: ChangeState, write: Write, words: str, *, now: datetime
) -> list[int]:
    with writing(engine) as connection:
        ids = sorted(resolve(connection, references))
        connection.execute(
            select(ORDERS.c.id).where(ORDERS.c.id.in_(ids)).order_by(ORDERS.c.id).with_for_update()
        ).all()
        changes = [change for id_ in ids for change in _flagged(connection, id_)]
        for change in changes:
            write(connection, change)
        mine = CHANGES.c.id.in_([change.id for change in changes])
        connection.execute(update(CHANGES).where(mine).values(state=state.value))
        history = [
            (change.order_id, "change settled", f"{change.kind}: {_said(change, state, words)}")
            for change in changes
        ]
        add_history(connection, history, at=now)
    return [change.id for change in changes]


def _said(change: ChangeSummary, state: ChangeState, words: str) -> str:
    """Return what was done; a changed status has no values to take over or to keep."""
    has_values = change.kind in {ChangeKind.ADDRESS, ChangeKind.ARTWORK}
    fields = f" ({', '.join(list(change.new_values)[:10])})" if state is ChangeState.TAKEN else ""
    return words + fields if has_values else "seen by a person"


def _flagged(connection: Connection, order_id: int) -> list[ChangeSummary]:
    found = open_changes(connection, order_id)
    if not found:
        named = desk_reference(order_id)
        raise DeskRefusedError(f"order {named} has no change that waits for anybody; see: desk changes")
    return found


def _take(connection: Connection, change: ChangeSummary) -> None:
    if problems := problems_in({"new_values": change.new_values}):
        raise DeskRefusedError(
            f"change {change.id}: {problems[0]}; take it off the list with: desk changes keep"
        )
    if change.kind == ChangeKind.ADDRESS:
        mine = ORDERS.c.id == change.order_id
        connection.execute(update(ORDERS).where(mine).values(dict(change.new_values)))
    elif change.kind == ChangeKind.ARTWORK:
        fields: dict[int, dict[str, str | None]] = defaultdict(dict)
        for name, value in change.new_values.items():
            if found := _FIELD.fullmatch(name):
                fields[int(found[1])][found[2]] = value
        for position, values in sorted(fields.items()):
            _take_item(connection, change.order_id, position, values)


def _take_item(connection: Connection, order_id: int, position: int, values: dict[str, str | None]) -> None:
    """Give an item podOS's values; one that has no quantity there any more goes, a new one comes."""
    this = (ITEMS.c.order_id == order_id) & (ITEMS.c.position == position)
    if "quantity" in values and values["quantity"] is None:
        connection.execute(delete(ITEMS).where(this))
        return
    metadata = connection.execute(select(ITEMS.c.metadata).where(this)).scalar()
    prints = {name: value for name, value in values.items() if name.startswith("print_")}
    merged = {name: text for name, text in {**(metadata or {}), **prints}.items() if text is not None}
    row: dict[str, Any] = {name: values[name] for name in _ITEM_COLUMNS if name in values}
    row["metadata"] = merged
    if values.get("quantity"):
        row["quantity"] = int(values["quantity"] or 0)
    if metadata is None:
        connection.execute(ITEMS.insert().values(order_id=order_id, position=position, **row))
    else:
        connection.execute(update(ITEMS).where(this).values(row))
