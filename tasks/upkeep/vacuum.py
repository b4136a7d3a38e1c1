"""Remove erased values from the bytes of the database file."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Engine
from sqlalchemy.exc import OperationalError

from tasks.desk.engine import desk_errors
from tasks.desk.errors import RetriableDeskError


def clean_file(engine: Engine) -> bool | None:
    """Rewrite a SQLite file without the bytes of rows that are gone, and empty its log.

    Needs as much free disk as the file is large, for the time it takes.

    Returns:
        True when the bytes are gone; None for PostgreSQL, whose own VACUUM does it (docs/runbook.md).

    Raises:
        RetriableDeskError: others are at work on the file, or the disk is full.

    Safe to repeat.
    """
    if engine.dialect.name != "sqlite":
        return None
    raw = engine.raw_connection()
    try:
        with desk_errors():
            _rewrite(raw.driver_connection)
    finally:
        raw.invalidate()  # its settings are not those of the pool
    return True


def _rewrite(connection: Any) -> None:
    try:
        # On disk, not in memory: the copy is as large as the desk.
        connection.execute("PRAGMA temp_store=FILE")
        connection.execute("VACUUM")
        busy, _, _ = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    except connection.OperationalError as error:
        raise OperationalError("VACUUM", None, error) from None
    if busy:
        raise RetriableDeskError("the desk's database is in use by another program")
