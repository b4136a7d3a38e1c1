"""Back up a desk on SQLite into one file, while others work on it."""

from __future__ import annotations

import os
import sqlite3
import stat
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from sqlalchemy import Engine

from tasks.desk.errors import DeskRefusedError
from tasks.safe_files import Directory
from tasks.upkeep.sqlite_file import (
    Progress,
    check_whole,
    copy_pages,
    directory_of,
    path_of,
    put_in_place,
    rows_by_table,
    sqlite_errors,
    unfinished_file,
)


class Kept(NamedTuple):
    """What a backup holds, or a restored desk: rows by table, the schema's revision, the size of its file."""

    file: str
    schema: str
    size_bytes: int
    rows: dict[str, int]

    def as_dict(self) -> dict[str, Any]:
        """Return the published form (``--json``)."""
        return self._asdict()


def back_up(engine: Engine, target: Path, *, force: bool, on_progress: Progress) -> Kept:
    """Write the desk of this moment into a file, whole and checked; nobody at work is held up.

    Args:
        engine: the desk, of any schema.
        target: the file; it is there only when all of it is written. If others may write to its directory,
            it is made beside the desk first.
        force: replace a file that is there.
        on_progress: told how far it is.

    Raises:
        DeskRefusedError: the desk is on PostgreSQL or is not there, or the file is in the way.
        DeskSettingsError: the file can't be written, or the desk is damaged.
    """
    desk = path_of(engine)
    if not desk.is_file():
        raise DeskRefusedError(f"there is no desk at {desk}: check DESK_DATABASE_URL")
    with directory_of(target) as directory:
        _check_target(desk, directory, target, force=force)
        with _staging(directory, desk) as staging:
            name = f".{target.name}.unfinished"
            with unfinished_file(staging, name) as unfinished:
                schema, rows = _copy(engine, unfinished, on_progress)
                size_bytes = unfinished.stat().st_size
                _check_target(desk, directory, target, force=force)
                put_in_place(staging, name, directory, target.name)
    return Kept(str(target.parent.resolve() / target.name), schema, size_bytes, rows)


def _check_target(desk: Path, directory: Directory, target: Path, *, force: bool) -> None:
    found = directory.stat(target.name)
    if found is None:
        return
    if os.path.samestat(found, desk.stat()):
        raise DeskRefusedError(f"{target} is the desk itself: name another file")
    if stat.S_ISDIR(found.st_mode):
        raise DeskRefusedError(f"{target} is a directory: name a file in it")
    if not stat.S_ISREG(found.st_mode):
        raise DeskRefusedError(f"{target} is a link, a pipe or a device: name another file")
    if not force:
        raise DeskRefusedError(f"{target} is there already: name another file, or replace it with --force")


@contextmanager
def _staging(directory: Directory, desk: Path) -> Iterator[Directory]:
    """Give the directory in which SQLite can write the copy, where nobody can lead it elsewhere."""
    if directory.is_private():
        yield directory
        return
    with directory_of(desk) as run_in_thread:
        yield run_in_thread


def _copy(engine: Engine, unfinished: Path, on_progress: Progress) -> tuple[str, dict[str, int]]:
    """Return the schema and the rows of the copy."""
    raw = engine.raw_connection()
    try:
        with sqlite_errors(), closing(sqlite3.connect(unfinished, isolation_level=None)) as copy:
            source: Any = raw.driver_connection
            # What is read in one transaction is the desk of one moment, however much is written meanwhile.
            source.execute("BEGIN")
            (schema,) = source.execute("SELECT version_num FROM alembic_version").fetchone()
            rows = rows_by_table(source)
            copy_pages(source, copy, on_progress)
            source.execute("ROLLBACK")
            copy.execute("PRAGMA journal_mode=DELETE")  # one file, with nothing beside it
            check_whole(copy, rows, "the copy")
    finally:
        raw.invalidate()
    return schema, rows
