"""What another program can leave in a column, written as SQL, and how it is put there."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing

from sqlalchemy import Column, Engine, make_url, text
from sqlalchemy.dialects import postgresql
from sqlalchemy.exc import DBAPIError

from models.tables import metadata

NO_TEXT = {
    "bytes": "CAST('15501234567890' AS BLOB)",
    "no UTF-8": "CAST(x'c3284142' AS TEXT)",
    "a lone surrogate": "CAST(x'eda08041' AS TEXT)",
}
"""What a text column of SQLite holds that is no text."""
BAD_TEXT = {
    "NUL": "'a' || char(0) || 'b'",
    "a line break": "'a' || char(10) || 'b'",
    "a megabyte": "printf('%.1000000c', 'x')",
}
"""Text that is no courier, code or address."""
WORDS = {
    "a word": "'many'",
    "nothing": "''",
    "a German date": "'23/11/2026'",
    "a day that there is not": "'2026-02-31 10:00:00.000000'",
    "a date far ahead": "'9999-12-31 23:59:59.999999'",
    "an address": "'ftp://x'",
}
NUMBERS = {
    "below zero": "-5",
    "the largest number": "9223372036854775807",
    "a half": "1.5",
    "infinity": "9e999",
    "two": "2",
}
JSON = {
    "half of JSON": """'{"a": '""",
    "a list": "'[1, 2]'",
    "JSON's null": "'null'",
    "no number": """'{"a": NaN}'""",
    "an escaped surrogate": """'{"a": "\\ud800"}'""",
    "values that are no text": """'{"a": {"b": [1]}}'""",
    "numbers for text": """'{"a": 1, "b": true, "c": null}'""",
    "deep JSON": "replace(printf('%.3000c', 'x'), 'x', '[')",
}
EVERYTHING = {**NO_TEXT, **BAD_TEXT, **WORDS, **NUMBERS, **JSON}
_NO_NUMBER = [*NO_TEXT.values(), *WORDS.values(), *NUMBERS.values()]
ON_SQLITE = {
    "TIMESTAMP": _NO_NUMBER,
    "NUMERIC": [*NO_TEXT.values(), *WORDS.values(), "'NaN'", "'1e999999999'"],
    "FLOAT": _NO_NUMBER,
    "INTEGER": _NO_NUMBER,
    "BIGINT": _NO_NUMBER,
    "JSONB": [*NO_TEXT.values(), *JSON.values(), "5"],
    "TEXT": [*NO_TEXT.values(), *BAD_TEXT.values(), "''"],
    "BOOLEAN": _NO_NUMBER,
}
"""By the kind of column, called as PostgreSQL calls it."""
ON_POSTGRESQL = {
    "TIMESTAMP": ["'infinity'", "'-infinity'", "'4714-11-24 00:00:00+00 BC'", "'294276-01-01 00:00:00+00'"],
    "NUMERIC": ["'NaN'", "'Infinity'", "'-1'", "1e400"],
    "FLOAT": ["'NaN'", "'Infinity'", "'-1'"],
    "INTEGER": ["2147483647", "-2147483648", "0"],
    "BIGINT": ["9223372036854775807", "-1"],
    "JSONB": [
        *("'[1, 2]'", "'5'", "'null'", "'\"x\"'", """'{"a": {"b": [1]}}'""", """'{"a": 1, "b": null}'"""),
        "(repeat('[', 2000) || repeat(']', 2000))::jsonb",
    ],
    "TEXT": ["''", "E'a\\nb'", "repeat('x', 1000000)", "'23/11/2026'"],
    "BOOLEAN": [],
}
"""By the kind of column: what it lets through that nobody expects."""


def plant(engine: Engine, table: str, row_id: int | str, column: str, value: str, key: str = "id") -> bool:
    """Put a value into a column of a row as any program could; False where the database itself refuses it.

    On SQLite the triggers that refuse such values are away meanwhile: older desks were written without them.
    """
    statement = f'UPDATE "{table}" SET "{column}" = {value} WHERE "{key}" = {row_id}'
    if engine.dialect.name == "sqlite":
        with closing(sqlite3.connect(str(make_url(str(engine.url)).database), timeout=30)) as connection:
            triggers = connection.execute(
                "SELECT name, sql FROM sqlite_master WHERE type = 'trigger' AND tbl_name = ?", [table]
            ).fetchall()
            for name, _ in triggers:
                connection.execute(f"DROP TRIGGER {name}")
            try:
                connection.execute(statement)  # foreign keys are off, as they are where nobody thinks of them
                connection.commit()
            except sqlite3.IntegrityError:
                return False
            finally:
                for _, sql in triggers:
                    connection.execute(sql)
                connection.commit()
        return True
    try:
        with engine.begin() as connection:
            connection.execute(text(statement.replace(":", "\\:")))
    except DBAPIError:
        return False
    return True


def columns_of(*tables: str) -> Iterator[Column[object]]:
    """Give every column of these tables but their keys."""
    for name in tables:
        yield from (column for column in metadata.tables[name].columns if not column.primary_key)


def values_for(column: Column[object], dialect: str) -> list[str]:
    """Return what another program can put into a column, and more."""
    kind = column.type.compile(dialect=postgresql.dialect())  # type: ignore[no-untyped-call]
    known = ON_SQLITE if dialect == "sqlite" else ON_POSTGRESQL
    return next(values for name, values in known.items() if kind.startswith(name))
