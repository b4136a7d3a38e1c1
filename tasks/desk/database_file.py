"""SQLite files beside the desk's own: put in place whole, for their user alone, and checked."""

from __future__ import annotations

import fcntl
import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from sqlalchemy import Engine

from tasks.desk.engine import named_error
from tasks.desk.errors import DeskRefusedError, DeskSettingsError

CHUNK_PAGES = 4096
_SIDE_FILES = ("-wal", "-shm", "-journal")
_NEVER_COUNTED = {"leases"}
Progress = Callable[[int, int], None]
"""Told the pages that are copied, and the pages in all."""


def path_of(engine: Engine) -> Path:
    """Return the file of a desk on SQLite.

    Raises:
        DeskRefusedError: it is on PostgreSQL, or nowhere.
    """
    if engine.dialect.name != "sqlite":
        raise DeskRefusedError(
            "this desk is on PostgreSQL: pg_dump backs it up and pg_restore restores it; "
            "docs/workers.md, Backup and restore, has both commands"
        )
    if not engine.url.database or engine.url.database == ":memory:":
        raise DeskRefusedError("this desk is in memory only: there is no file to back up or restore")
    return Path(engine.url.database).resolve()


@contextmanager
def unfinished_file(name: Path) -> Iterator[Path]:
    """Give a new, empty file of this name, for its user alone; it is gone at the end unless it was renamed.

    What a killed process left under this name is begun anew.

    Raises:
        DeskSettingsError: it can't be written.
        DeskRefusedError: another process is at work on it.
    """
    try:
        descriptor = os.open(name, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise DeskSettingsError(f"{name.parent} can't be written ({error.strerror})") from error
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise DeskRefusedError(f"another process is at work on {name}: wait until it has ended") from None
        _clear(name)
        os.ftruncate(descriptor, 0)
        os.fchmod(descriptor, 0o600)
        try:
            yield name
        finally:
            _clear(name)
            name.unlink(missing_ok=True)
    finally:
        os.close(descriptor)


def _clear(name: Path) -> None:
    for ending in _SIDE_FILES:
        name.with_name(name.name + ending).unlink(missing_ok=True)


def put_in_place(new: Path, target: Path) -> None:
    """Give a finished file its name; whatever crashes, the old file or the new one is there, whole."""
    for path in (new, None):
        if path is None:
            new.replace(target)
        descriptor = os.open(path or target.parent, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


@contextmanager
def read_only(path: Path) -> Iterator[sqlite3.Connection]:
    """Give a connection that neither changes a file nor leaves others beside it.

    Raises:
        DeskRefusedError: it is no SQLite file, is damaged or can't be read.
    """
    # Where nothing lies beside it nobody has it open: then SQLite need not make files of its own there.
    is_alone = not any(path.with_name(path.name + ending).exists() for ending in _SIDE_FILES)
    address = f"{path.resolve().as_uri()}?mode=ro{'&immutable=1' if is_alone else ''}"
    try:
        with closing(sqlite3.connect(address, uri=True, isolation_level=None)) as connection:
            yield connection
    except sqlite3.Error as error:
        raise DeskRefusedError(f"{path} is not a desk, or is damaged: {error}") from None


@contextmanager
def sqlite_errors() -> Iterator[None]:
    """Turn the errors of Python's driver into the desk's own."""
    try:
        yield
    except sqlite3.Error as error:
        raise named_error(error) from None


def copy_pages(source: sqlite3.Connection, target: sqlite3.Connection, on_progress: Progress) -> None:
    """Let a database be a copy of another one, in one transaction of its own.

    Others can read and write the source meanwhile, and read the target.
    """

    def watched(status: int, left: int, total: int) -> None:
        if status in {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}:
            raise sqlite3.OperationalError("database is locked")
        on_progress(total - left, total)

    source.backup(target, pages=CHUNK_PAGES, progress=watched)


def rows_by_table(connection: sqlite3.Connection) -> dict[str, int]:
    """Return the number of rows of every table, but for the leases, which come and go."""
    names = connection.execute(
        "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%' ORDER BY name"
    )
    tables = [name for (name,) in names if name not in _NEVER_COUNTED]
    count = 'SELECT count(*) FROM "{}"'
    return {name: connection.execute(count.format(name)).fetchone()[0] for name in tables}


def check_whole(connection: sqlite3.Connection, rows: dict[str, int], what: str) -> None:
    """Make sure that a database is sound and has these rows.

    Raises:
        DeskSettingsError: it has not.
    """
    (said,) = connection.execute("PRAGMA integrity_check(1)").fetchone()
    if said != "ok":
        raise DeskSettingsError(f"{what} is damaged: SQLite's integrity check says {said}")
    if rows_by_table(connection) != rows:
        raise DeskSettingsError(f"{what} does not hold the rows that it should")
