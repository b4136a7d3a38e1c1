"""List the changes that podOS made to orders, and those that wait for a person."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Engine, Table, select

from models.desk import Folder, Order, OrderChange
from models.upstream import ChangeState
from tasks.desk.engine import reading
from tasks.desk.export import iso

ORDERS: Table = Order.__table__  # type: ignore[attr-defined]
FOLDERS: Table = Folder.__table__  # type: ignore[attr-defined]
CHANGES: Table = OrderChange.__table__  # type: ignore[attr-defined]
IS_OPEN = CHANGES.c.state == ChangeState.OPEN.value
_CHUNK = 1000


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
