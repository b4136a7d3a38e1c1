"""Copy a whole desk into another database: resumable, and compared row by row at the end."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from itertools import zip_longest
from typing import Any

import msgspec
from sqlalchemy import Column, Connection, Engine, Integer, Row, Table, delete, func, select, text, tuple_

from models.tables import metadata
from models.unreadable import problems_in
from tasks.desk.engine import reading, writing
from tasks.desk.errors import DeskError, DeskRefusedError, DeskSettingsError, RetriableDeskError
from tasks.desk.leases import RESTORING, HeldLease, refuse_if_at_work
from tasks.desk.restores import note_restore, restored_at
from tasks.desk.sql import insert_new
from tasks.desk.tables import LEASES

CHUNK_ROWS = 5000
_NOT_COPIED = {LEASES.name}
"""Who works right now on one desk says nothing about another."""


def copy_desk(source: Engine, target: Engine, on_progress: Callable[[str, int], None]) -> dict[str, int]:
    """Copy all rows of a desk, ids included, and make sure that both hold the same at the end.

    Args:
        source: nobody may be at work on it, and no run begins as long as this takes.
        target: a migrated desk that is new, or that an earlier copy of this source did not finish.
        on_progress: told the table and the rows copied in all.

    Returns:
        The number of rows by table.

    Raises:
        DeskRefusedError: somebody works on the source, or the target holds something else.

    Safe to repeat: it goes on with the rows that are missing.
    """
    with HeldLease(source, RESTORING):
        refuse_if_at_work(source, now=datetime.now(UTC), besides=RESTORING)
        return _copy_all(source, target, on_progress)


def _copy_all(source: Engine, target: Engine, on_progress: Callable[[str, int], None]) -> dict[str, int]:
    tables = [table for table in metadata.sorted_tables if table.name not in _NOT_COPIED]
    _clear_if_new(target, tables)
    done = 0
    for table in tables:
        for copied in _copy_table(source, target, table):
            done += copied
            on_progress(table.name, done)
    _set_sequences(target, tables)
    with reading(source) as read, writing(target) as connection:
        if moment := restored_at(read):
            note_restore(connection, moment)
    return {table.name: _compare(source, target, table) for table in tables}


def _clear_if_new(target: Engine, tables: list[Table]) -> None:
    """Take the folders that every new desk begins with out of the way: they come with the copy."""
    with writing(target) as connection:
        others = [table for table in tables if table.name != "folders"]
        if not any(connection.execute(select(table).limit(1)).first() for table in others):
            connection.execute(delete(metadata.tables["folders"]))


def _copy_table(source: Engine, target: Engine, table: Table) -> Iterator[int]:
    """Copy the rows behind the last one that the target has, a transaction for each chunk."""
    with reading(target) as connection:
        last = connection.execute(
            select(*table.primary_key).order_by(*(key.desc() for key in table.primary_key)).limit(1)
        ).first()
    for rows in _chunks(source, table, tuple(last) if last else None):
        _refuse_unreadable(table, rows)
        try:
            _insert(target, table, rows)
        except (RetriableDeskError, DeskSettingsError):
            raise
        except DeskError as error:
            raise _named(target, table, rows, error) from None
        yield len(rows)


def _insert(target: Engine, table: Table, rows: Sequence[Row[Any]]) -> None:
    with writing(target) as connection:
        insert_new(connection, table.name, tuple(table.c.keys()), [*map(_adapted, rows)])


def _refuse_unreadable(table: Table, rows: Sequence[Row[Any]]) -> None:
    """Make sure that all values can be read.

    Raises:
        DeskRefusedError: one can't; the text names its row and column.
    """
    for row in rows:
        if problems := problems_in(row._asdict()):
            raise DeskRefusedError(f"{_place(table, row)}: {problems[0]}; correct it and copy again")


def _named(target: Engine, table: Table, rows: Sequence[Row[Any]], error: DeskError) -> DeskRefusedError:
    """Return an error that names the first row which the other database refuses."""
    while len(rows) > 1:
        half = rows[: len(rows) // 2]
        try:
            _insert(target, table, half)  # what it takes need not be copied again
        except DeskError as refused:
            rows, error = half, refused
        else:
            rows = rows[len(half) :]
    return DeskRefusedError(f"{_place(table, rows[0])}: {error}; correct it and copy again")


def _place(table: Table, row: Row[Any]) -> str:
    key = ", ".join(f"{column.name} {getattr(row, column.key)}" for column in table.primary_key)
    return f"table {table.name}, {key}"


def _chunks(engine: Engine, table: Table, after: tuple[Any, ...] | None) -> Iterator[list[Row[Any]]]:
    keys: list[Column[Any]] = list(table.primary_key)
    while True:
        query = select(table).order_by(*keys).limit(CHUNK_ROWS)
        if after is not None:
            query = query.where(tuple_(*keys) > after)
        with reading(engine) as connection:
            rows = list(connection.execute(query).all())
        if rows:
            yield rows
        if len(rows) < CHUNK_ROWS:
            return
        after = tuple(getattr(rows[-1], key.key) for key in keys)


def _adapted(row: Row[Any]) -> list[Any]:
    return [
        msgspec.json.encode(value).decode() if isinstance(value, (dict, list)) else value for value in row
    ]


def _set_sequences(target: Engine, tables: list[Table]) -> None:
    """Let new rows be numbered from behind the copied ones."""
    if target.dialect.name != "postgresql":
        return
    with writing(target) as connection:
        for table in tables:
            keys = list(table.primary_key)
            if len(keys) == 1 and isinstance(keys[0].type, Integer):
                _set_sequence(connection, table, keys[0])


def _set_sequence(connection: Connection, table: Table, key: Column[Any]) -> None:
    highest = connection.execute(select(func.max(key))).scalar()
    if highest is not None:
        statement = text("SELECT setval(pg_get_serial_sequence(:name, :key), :highest)")
        connection.execute(statement, {"name": table.name, "key": key.name, "highest": highest})


def _compare(source: Engine, target: Engine, table: Table) -> int:
    """Return the number of rows of a table, which are the same on both sides.

    Raises:
        DeskRefusedError: they are not.
    """
    count = 0
    for here, there in zip_longest(_chunks(source, table, None), _chunks(target, table, None)):
        if here is None or there is None or [*map(tuple, here)] != [*map(tuple, there)]:
            raise DeskRefusedError(
                f"the copy differs from the desk in table {table.name}: the other database held something "
                "else, or this desk changed meanwhile. Empty the other database and copy again"
            )
        count += len(here)
    return count
