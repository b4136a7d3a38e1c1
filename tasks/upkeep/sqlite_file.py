"""Create, replace and verify SQLite files atomically, readable by their owner only."""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import BinaryIO

from sqlalchemy import Engine

from tasks.desk.engine import named_error
from tasks.desk.errors import DeskRefusedError, DeskSettingsError
from tasks.safe_files import Directory

CHUNK_PAGES = 4096
COPY_BYTES = 1 << 20
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
def directory_of(file: Path) -> Iterator[Directory]:
    """Give the directory that a file is to be written into.

    Raises:
        DeskSettingsError: it can't be used.
    """
    with _not_writable(file.parent):
        directory = Directory.open(file.parent, follow_link=True)
    with directory:
        yield directory


@contextmanager
def unfinished_file(directory: Directory, name: str) -> Iterator[Path]:
    """Give a new, empty file of this name, for its user alone; it is gone at the end unless it was renamed.

    What a killed process left under this name is begun anew. SQLite opens it by its path: unless the
    directory is the desk's own, it must be private (``Directory.is_private``).

    Raises:
        DeskSettingsError: it can't be written.
        DeskRefusedError: another process is at work on it.
    """
    with _claimed(directory, name) as file:
        _clear(directory, name)
        file.truncate(0)
        try:
            yield directory.path / name
        finally:
            _clear(directory, name)
            directory.remove(name)


def _claimed(directory: Directory, name: str) -> BinaryIO:
    """Return a new file, or the one that a killed process of this user left, locked."""
    path = directory.path / name
    with _not_writable(path):
        try:
            file = directory.create(name)
        except FileExistsError:
            file = directory.update(name)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        found = directory.stat(name)
        if found and os.path.samestat(found, os.fstat(file.fileno())):
            return file
    except BlockingIOError:
        pass
    file.close()  # or it has ended just now, and this is its finished file
    raise DeskRefusedError(f"another process is at work on {path}: wait until it has ended")


def _clear(directory: Directory, name: str) -> None:
    for ending in _SIDE_FILES:
        directory.remove(name + ending)


@contextmanager
def _not_writable(place: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise DeskSettingsError(f"{place} can't be written ({error.strerror})") from error


def put_in_place(staging: Directory, new: str, directory: Directory, name: str) -> None:
    """Give a finished file its name; whatever crashes, the old file or the new one is there, whole.

    Args:
        staging: where the finished file lies.
        new: its name there.
        directory: where it is to be, perhaps on another file system.
        name: its name there.

    Raises:
        DeskSettingsError: it can't be written.
    """
    with _not_writable(directory.path):
        with staging.read(new) as file:
            os.fsync(file.fileno())
        try:
            staging.rename(new, name, into=directory)
        except OSError as error:
            if error.errno != errno.EXDEV:
                raise
            _copy_over(staging, new, directory, name)
        directory.sync()


def _copy_over(staging: Directory, new: str, directory: Directory, name: str) -> None:
    unfinished = f".{name}.unfinished"
    try:
        with staging.read(new) as source, directory.replace(unfinished) as copy:
            shutil.copyfileobj(source, copy, COPY_BYTES)
            copy.flush()
            os.fsync(copy.fileno())
        directory.rename(unfinished, name)
    finally:
        directory.remove(unfinished)


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
