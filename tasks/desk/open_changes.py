"""List the changes that podOS made to orders, and those that wait for a person."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Engine, select

from models.upstream import ChangeState
from tasks.desk.export import iso
from tasks.desk.sql import newest_first
from tasks.desk.tables import CHANGES, FOLDERS, ORDERS

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
    query = _summaries().where(IS_OPEN) if only_open else _summaries()
    return newest_first(engine, query, CHANGES.c.id, ChangeSummary, limit=limit, before_id=before_id)


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
