"""Changes that podOS made, as people see and settle them: listed, taken over, or passed over."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Engine, Table, delete, select, update

from models.desk import Folder, Handover, Order, OrderChange, OrderItem
from models.unreadable import problems_in
from models.upstream import ChangeKind, ChangeState
from tasks.desk.engine import reading, writing
from tasks.desk.errors import DeskRefusedError
from tasks.desk.history import add_history
from tasks.desk.order_form import iso
from tasks.desk.references import desk_reference, resolve

ORDERS: Table = Order.__table__  # type: ignore[attr-defined]
ITEMS: Table = OrderItem.__table__  # type: ignore[attr-defined]
FOLDERS: Table = Folder.__table__  # type: ignore[attr-defined]
HANDOVERS: Table = Handover.__table__  # type: ignore[attr-defined]
CHANGES: Table = OrderChange.__table__  # type: ignore[attr-defined]
IS_OPEN = CHANGES.c.state == ChangeState.OPEN.value
_CHUNK = 1000
_FIELD = re.compile(r"item (\d{1,9}) (.+)")
_ITEM_COLUMNS = ("sku", "name", "source_item_id", "variant_ref")


@dataclass(frozen=True)
class ChangeSummary:
    """One change; ``order`` is the order number, ``at`` aware UTC, the values by field."""

    id: int
    order_id: int
    order: str
    source_id: str
    folder: str | None
    kind: str
    state: str
    at: datetime
    old_values: Mapping[str, str | None]
    new_values: Mapping[str, str | None]

    def as_dict(self) -> dict[str, Any]:
        """Return it ready for JSON."""
        return vars(self) | {"at": iso(self.at)}


def list_changes(
    engine: Engine, *, only_open: bool = True, limit: int | None = None, before_id: int | None = None
) -> Iterator[ChangeSummary]:
    """Return changes, the newest first, one by one; memory stays flat.

    Args:
        engine: the desk.
        only_open: only those that wait for a person.
        limit: at most so many; None is all.
        before_id: only those with a smaller id: the last one of the page before.
    """
    last, left = before_id, limit
    while left is None or left > 0:
        size = _CHUNK if left is None else min(left, _CHUNK)
        query = _summaries().order_by(CHANGES.c.id.desc()).limit(size)
        if only_open:
            query = query.where(IS_OPEN)
        if last is not None:
            query = query.where(CHANGES.c.id < last)
        with reading(engine) as connection:
            found = [ChangeSummary(*row) for row in connection.execute(query)]
        yield from found
        if len(found) < size:
            return
        last, left = found[-1].id, None if left is None else left - len(found)


def open_changes(connection: Connection, order_id: int) -> list[ChangeSummary]:
    """Return the changes of an order that wait for a person, oldest first."""
    query = _summaries().where(CHANGES.c.order_id == order_id, IS_OPEN).order_by(CHANGES.c.id)
    return [ChangeSummary(*row) for row in connection.execute(query)]


def _summaries() -> Any:
    own = (CHANGES.c[name] for name in ("kind", "state", "at", "old_values", "new_values"))
    both = CHANGES.join(ORDERS, ORDERS.c.id == CHANGES.c.order_id)
    order = (CHANGES.c.order_id, ORDERS.c.order_number, ORDERS.c.source_id, FOLDERS.c.name)
    return select(CHANGES.c.id, *order, *own).select_from(
        both.outerjoin(FOLDERS, FOLDERS.c.id == ORDERS.c.folder_id)
    )


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
        mine = CHANGES.c.id.in_([one.id for one in changes])
        connection.execute(update(CHANGES).where(mine).values(state=state.value))
        history = [
            (one.order_id, "change settled", f"{one.kind}: {_said(one, state, words)}") for one in changes
        ]
        add_history(connection, history, at=now)
    return [one.id for one in changes]


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
