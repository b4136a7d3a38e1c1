"""What SQL needs in many places: chunks of values, upserts, keyset pages, bulk inserts."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import cache
from itertools import chain
from typing import Any, TypeVar

from sqlalchemy import Column, Connection, Engine, ScalarSelect, Select, Table, Text, column, text
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlalchemy.exc import DBAPIError, OperationalError

from tasks.desk.engine import reading

Row = TypeVar("Row")
Value = TypeVar("Value")
PAGE_SIZE = 1000
GROUPS = (128, 32, 8, 1)
"""Rows an SQLite statement: few sizes, because the driver keeps each statement it has seen."""
MAX_PARAMETERS = 32_766
"""SQLite's own limit for one statement."""


def chunks(values: Sequence[Value], size: int = 500) -> Iterator[Sequence[Value]]:
    """Yield values in parts of so many: a statement takes a bounded number of parameters."""
    for start in range(0, len(values), size):
        yield values[start : start + size]


def insert_for(bind: Connection | Engine) -> Callable[[Table], Any]:
    """Return the database's own ``insert``, which knows ``on_conflict_do_update`` and ``..._do_nothing``."""
    return sqlite_insert if bind.dialect.name == "sqlite" else postgresql_insert


def newest_first(
    engine: Engine,
    query: Select[Any],
    key: Column[int],
    make: Callable[..., Row],
    *,
    limit: int | None,
    before_id: int | None,
) -> Iterator[Row]:
    """Yield rows by falling ids, page by page; memory stays flat, and no page holds a transaction open.

    Args:
        engine: the desk.
        query: without order or limit; its first column is ``key``.
        key: the id.
        make: makes a row of its columns.
        limit: at most so many; None is all.
        before_id: only those with a smaller id: the last one of the page before.
    """
    last, left = before_id, limit
    while left is None or left > 0:
        size = PAGE_SIZE if left is None else min(left, PAGE_SIZE)
        page = query.order_by(key.desc()).limit(size)
        with reading(engine) as connection:
            found = connection.execute(page if last is None else page.where(key < last)).all()
        yield from (make(*row) for row in found)
        if len(found) < size:
            return
        last, left = found[-1][0], None if left is None else left - len(found)


def texts_in(connection: Connection, parameter: str) -> ScalarSelect[Any]:
    """Return a subquery of any number of texts, for ``in_``; the parameter is a JSON list of them."""
    each = (
        f"SELECT value FROM json_each(:{parameter})"  # noqa: S608 - our own names
        if connection.dialect.name == "sqlite"
        else f"SELECT jsonb_array_elements_text(CAST(:{parameter} AS jsonb))"
    )
    return text(each).columns(column("value", Text)).scalar_subquery()


def insert_new(connection: Connection, table: str, columns: tuple[str, ...], rows: Sequence[Any]) -> bool:
    """Insert rows that are thought to be new; one that exists already is left as it is.

    Returns:
        Whether every row was inserted for certain; False: some may have existed, look which did.
    """
    if not rows:
        return True
    if connection.dialect.name == "postgresql" and _copied(connection, table, columns, rows):
        return True
    # The driver's own statement: SQLAlchemy's costs twice as much a row (docs/decisions.md).
    if connection.dialect.name == "sqlite":
        return _inserted_in_groups(connection, table, columns, rows) == len(rows)
    connection.exec_driver_sql(_insert(table, columns, "%s", 1), list(rows))
    return False


def _inserted_in_groups(
    connection: Connection, table: str, columns: tuple[str, ...], rows: Sequence[Any]
) -> int:
    """Insert many rows a statement and return how many were new.

    Python's interpreter lock is given up and won back once a statement: with a statement a row, a thread that
    reads podOS meanwhile would hold up every single row.
    """
    inserted, first = 0, 0
    for size in GROUPS:
        if size * len(columns) > MAX_PARAMETERS:
            continue
        statement = _insert(table, columns, "?", size)
        while len(rows) - first >= size:
            values = tuple(chain.from_iterable(rows[first : first + size]))
            inserted += connection.exec_driver_sql(statement, values).rowcount
            first += size
    return inserted


@cache
def _insert(table: str, columns: tuple[str, ...], mark: str, rows: int) -> str:
    names, marks = ", ".join(columns), ", ".join([mark] * len(columns))
    values = ", ".join([f"({marks})"] * rows)
    return f"INSERT INTO {table} ({names}) VALUES {values} ON CONFLICT DO NOTHING"  # noqa: S608 - our own names


def _copied(connection: Connection, table: str, columns: tuple[str, ...], rows: Sequence[Any]) -> bool:
    """Send the rows by COPY, which knows no ON CONFLICT; False, and nothing done, if one exists already."""
    import psycopg  # a desk on SQLite does not load it

    cursor = connection.connection.cursor()
    savepoint = connection.begin_nested()
    try:
        with cursor.copy(f"COPY {table} ({', '.join(columns)}) FROM STDIN") as copy:
            for row in rows:
                copy.write_row(row)
    except psycopg.errors.UniqueViolation:
        savepoint.rollback()
        return False
    except psycopg.Error as error:
        kind = OperationalError if isinstance(error, psycopg.OperationalError) else DBAPIError
        raise kind(f"COPY {table}", None, error) from None
    finally:
        cursor.close()
    savepoint.commit()
    return True
