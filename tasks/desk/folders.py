"""Folders, and moving orders between them. Every move is in the order's history."""

from __future__ import annotations

import unicodedata
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import NamedTuple

from sqlalchemy import ColumnElement, Connection, Engine, Select, func, literal, select, update

from models.rules import RuleEvent
from models.types import UtcDateTime
from tasks.desk.engine import reading, writing
from tasks.desk.errors import DeskRefusedError
from tasks.desk.events import has_rules, note_event
from tasks.desk.references import resolve
from tasks.desk.sql import chunks, insert_for
from tasks.desk.tables import FOLDERS, HISTORY, ORDERS

MAX_NAME_LENGTH = 100
_MAX_NAMED = 20
_ATTEMPTS = 5


class _Place(NamedTuple):
    id: int
    name: str


@dataclass(frozen=True)
class FolderCount:
    """A folder and how many orders it holds."""

    name: str
    orders: int


def list_folders(engine: Engine) -> list[FolderCount]:
    """Return all folders, oldest first, with the number of orders in each."""
    count = select(func.count()).where(ORDERS.c.folder_id == FOLDERS.c.id).scalar_subquery()
    with reading(engine) as connection:
        rows = connection.execute(select(FOLDERS.c.name, count).order_by(FOLDERS.c.id)).all()
    return [FolderCount(name, orders) for name, orders in rows]


def add_folder(engine: Engine, name: str) -> None:
    """Make a folder.

    Raises:
        DeskRefusedError: the name is not usable, or a folder has it already (case does not count).
    """
    with writing(engine) as connection:
        if not _insert_new(connection, clean_name(name)):
            raise DeskRefusedError(f"there is already a folder {_existing(connection, name).name!r}")


def rename_folder(engine: Engine, name: str, new_name: str) -> None:
    """Give a folder another name; its orders stay in it. Safe to repeat only with the new name.

    Raises:
        DeskRefusedError: there is no such folder, or another one has the new name already.
    """
    cleaned = clean_name(new_name)
    with writing(engine) as connection:
        folder = _existing(connection, name, lock=True)
        other = _find(connection, cleaned)
        if other and other.id != folder.id:
            raise DeskRefusedError(f"there is already a folder {other.name!r}")
        connection.execute(
            update(FOLDERS).where(FOLDERS.c.id == folder.id).values(name=cleaned, name_key=_key(cleaned))
        )


def delete_folder(engine: Engine, name: str, *, move_to: str | None) -> int:
    """Delete a folder.

    Args:
        engine: the desk.
        name: the folder; case does not count.
        move_to: the folder that gets its orders. None: the folder must be empty.

    Returns:
        The number of orders moved.

    Raises:
        DeskRefusedError: there is no such folder, or it holds orders and ``move_to`` is not given.
    """
    with writing(engine) as connection:
        folder = _existing(connection, name, lock=True)  # from here nothing new comes into it
        inside = ORDERS.c.folder_id == folder.id
        moved = 0
        if move_to is not None:
            target = _existing(connection, move_to)
            if target.id == folder.id:
                raise DeskRefusedError(f"orders of {folder.name!r} can't be moved to the folder itself")
            moved = _relocate(connection, inside, target, f"folder {folder.name} deleted")
        elif held := connection.execute(select(func.count()).where(inside)).scalar_one():
            raise DeskRefusedError(
                f"folder {folder.name!r} holds {held} {'order' if held == 1 else 'orders'}: "
                "say with --move-to where they go"
            )
        connection.execute(FOLDERS.delete().where(FOLDERS.c.id == folder.id))
    return moved


def move_orders(engine: Engine, references: Sequence[str], to: str, *, by: str = "desk move") -> int:
    """Move orders to a folder, all of them or none.

    Args:
        engine: the desk.
        references: orders by desk id, source id or order number.
        to: the folder, which must exist; case does not count.
        by: who or what moves them, for the history.

    Returns:
        The number of orders moved; one that is in the folder already is not touched.

    Raises:
        DeskRefusedError: an order is unknown or named ambiguously, or there is no such folder.

    Safe to repeat.
    """
    with writing(engine) as connection:
        target = _existing(connection, to)
        ids = sorted(resolve(connection, references))
        return sum(_relocate(connection, ORDERS.c.id.in_(part), target, by) for part in chunks(ids))


def place_orders(
    connection: Connection, order_ids: Collection[int], folder: str, *, by: str, is_event: bool = True
) -> int:
    """Move orders to a folder in the caller's transaction; the folder is made if it does not exist.

    Args:
        connection: in a writing transaction.
        order_ids: desk ids.
        folder: where they go; case does not count.
        by: who or what moves them, for the history.
        is_event: whether the rules for changed folders are to look at them.

    Returns:
        The number of orders moved; one that is in the folder already is not touched.

    Raises:
        DeskRefusedError: the name is not usable.
    """
    folder_id(connection, folder, create=True)
    target = _existing(connection, folder)
    ids = sorted(order_ids)
    return sum(
        _relocate(connection, ORDERS.c.id.in_(part), target, by, is_event=is_event) for part in chunks(ids)
    )


def folder_id(connection: Connection, name: str, *, create: bool) -> int:
    """Return a folder's id; it can't be deleted before the caller's transaction ends.

    Args:
        connection: in a writing transaction.
        name: the folder; case does not count.
        create: make it if it does not exist, also when another process does the same at this moment.

    Raises:
        DeskRefusedError: the name is not usable, or there is no such folder and it is not to be made.
    """
    for _ in range(_ATTEMPTS if create else 0):
        folder = _find(connection, name)
        if folder:
            return folder.id
        _insert_new(connection, clean_name(name))
    return _existing(connection, name).id


def known_folder_id(connection: Connection, name: str) -> int:
    """Return a folder's id for reading.

    Raises:
        DeskRefusedError: there is no such folder; the text lists those there are.
    """
    row = connection.execute(_query(name)).one_or_none()
    if row is None:
        raise _no_such_folder(connection, name)
    return _Place(*row).id


def clean_name(name: str) -> str:
    """Return a folder's name without white space around it.

    Raises:
        DeskRefusedError: it is empty, too long, or has characters that can't be printed on one line.
    """
    cleaned = unicodedata.normalize("NFC", name.strip())
    if not cleaned or len(cleaned) > MAX_NAME_LENGTH or not cleaned.isprintable():
        raise DeskRefusedError(
            f"{name.strip()[:MAX_NAME_LENGTH]!r} is no name for a folder: "
            f"it needs 1 to {MAX_NAME_LENGTH} printable characters on one line"
        )
    return cleaned


def _key(name: str) -> str:
    return clean_name(name).casefold()


def _find(connection: Connection, name: str, *, lock: bool = False) -> _Place | None:
    """Return a folder; on PostgreSQL held so that nobody deletes it, or, locked, puts orders into it."""
    query = _query(name)
    held = query.with_for_update() if lock else query.with_for_update(read=True, key_share=True)
    row = connection.execute(held).one_or_none()
    return _Place(*row) if row else None


def _query(name: str) -> Select[tuple[int, str]]:
    return select(FOLDERS.c.id, FOLDERS.c.name).where(FOLDERS.c.name_key == _key(name))


def _existing(connection: Connection, name: str, *, lock: bool = False) -> _Place:
    folder = _find(connection, name, lock=lock)
    if folder is None:
        raise _no_such_folder(connection, name)
    return folder


def _no_such_folder(connection: Connection, name: str) -> DeskRefusedError:
    names = connection.execute(select(FOLDERS.c.name).order_by(FOLDERS.c.id)).scalars().all()
    more = f" and {len(names) - _MAX_NAMED} more" if len(names) > _MAX_NAMED else ""
    known = ", ".join(names[:_MAX_NAMED]) + more
    return DeskRefusedError(f"there is no folder {name.strip()!r}; the folders are: {known or 'none yet'}")


def _insert_new(connection: Connection, cleaned: str) -> bool:
    insert = insert_for(connection)
    row = {"name": cleaned, "name_key": _key(cleaned)}
    statement = insert(FOLDERS).values(row).on_conflict_do_nothing().returning(FOLDERS.c.id)
    return connection.execute(statement).first() is not None


def _relocate(
    connection: Connection, which: ColumnElement[bool], target: _Place, why: str, *, is_event: bool = True
) -> int:
    """Move the orders to the folder, with their history; those that are there already are left alone."""
    # Held first: what the history says must be what the update then does.
    held = select(ORDERS.c.id).where(which).order_by(ORDERS.c.id).with_for_update().subquery()
    if not connection.execute(select(func.count()).select_from(held)).scalar_one():
        return 0
    moving = which & (ORDERS.c.folder_id != target.id)
    now = datetime.now(UTC)
    if is_event and has_rules(connection, RuleEvent.FOLDER_CHANGED):
        ids = connection.execute(select(ORDERS.c.id).where(moving).order_by(ORDERS.c.id)).scalars().all()
        note_event(connection, ids, RuleEvent.FOLDER_CHANGED, now=now)
    place = func.coalesce(FOLDERS.c.name, "a folder that there is not")
    text = literal("moved from ") + place + literal(f" to {target.name} ({why})")
    moves = (
        select(ORDERS.c.id, literal(now, UtcDateTime), literal("moved"), text)
        .outerjoin(FOLDERS, FOLDERS.c.id == ORDERS.c.folder_id)
        .where(moving)
        .order_by(ORDERS.c.id)
    )
    connection.execute(HISTORY.insert().from_select(["order_id", "at", "event", "text"], moves))
    return connection.execute(update(ORDERS).where(moving).values(folder_id=target.id)).rowcount
