"""Many rows into one table at once, by the way that the database is quickest at; many values in one query."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from itertools import chain
from typing import Any

from sqlalchemy import Connection, ScalarSelect, Text, column, text
from sqlalchemy.exc import DBAPIError, OperationalError

GROUPS = (128, 32, 8, 1)
"""Rows an SQLite statement: few sizes, because the driver keeps each statement it has seen."""
MAX_PARAMETERS = 32_766
"""SQLite's own limit for one statement."""


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
