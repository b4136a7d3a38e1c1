"""Restore a backup: verify it, replace the desk in one transaction, verify the result.

The desk's file stays the same file and is written by SQLite itself, so that a crash leaves the old desk or
the new one, never a mix, and the log of the old one is never applied to the new one.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, delete, insert, inspect

from models import migrations
from tasks.desk.engine import make_engine, make_file, reading, upgrade, writing
from tasks.desk.errors import DeskRefusedError, DeskSettingsError
from tasks.desk.leases import RESTORING, HeldLease, refuse_if_at_work
from tasks.desk.restores import note_restore
from tasks.desk.tables import LEASES
from tasks.upkeep.backup import Kept
from tasks.upkeep.sqlite_file import (
    Progress,
    check_whole,
    copy_pages,
    directory_of,
    path_of,
    read_only,
    rows_by_table,
    sqlite_errors,
    unfinished_file,
)

LONGEST_COPY = timedelta(minutes=10)
_OURS = {"alembic_version", "folders", "leases", "orders", "order_items"}


def restore(source: Path, engine: Engine, *, now: datetime, on_progress: Progress) -> Kept:
    """Put a backup in the place of the desk; an older schema is brought up to date.

    Args:
        source: the backup.
        engine: the desk, whose file may be missing.
        now: aware.
        on_progress: told how far it is.

    Returns:
        What the desk holds now.

    Raises:
        DeskRefusedError: the backup is none, a run is at work, or the desk is on PostgreSQL or is none.
        DeskSettingsError: the backup is damaged or newer than this program, or a file can't be written.

    Safe to repeat. Until it ends, the desk is what it was.
    """
    desk = path_of(engine)
    _check_backup(source, desk)
    make_file(str(desk))
    with directory_of(desk) as directory, unfinished_file(directory, f".{desk.name}.restoring") as staged:
        rows = _stage(source, staged, now)
        with _alone(engine) as lease:
            _ready(staged, engine, lease)
            _replace(engine, staged, rows, on_progress)
    return Kept(str(desk), migrations.HEAD, desk.stat().st_size, rows)


def finish(engine: Engine, *, now: datetime) -> None:
    """Do on PostgreSQL what ``restore`` does beside putting the backup in place: to be run after pg_restore.

    Args:
        engine: the desk, migrated.
        now: aware.

    Safe to repeat.
    """
    with writing(engine) as connection:
        connection.execute(delete(LEASES))
        note_restore(connection, now)


def _check_backup(source: Path, desk: Path) -> None:
    if not source.is_file():
        raise DeskRefusedError(f"there is no file {source}")
    if desk.exists() and source.samefile(desk):
        raise DeskRefusedError(f"{source} is the desk itself: name a backup of it")
    with read_only(source) as backup:
        names = {name for (name,) in backup.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        if not names >= _OURS:
            raise DeskRefusedError(f"{source} is not a desk: it has other tables")
        (schema,) = backup.execute("SELECT version_num FROM alembic_version").fetchone() or ("",)
        if schema > migrations.HEAD:
            raise DeskSettingsError(
                f"{source} was made by a newer version of this program (schema {schema}, this program knows "
                f"{migrations.HEAD}): upgrade the program, then restore"
            )
        check_whole(backup, rows_by_table(backup), str(source))


def _stage(source: Path, staged: Path, now: datetime) -> dict[str, int]:
    """Make the desk as it will be, beside the one that is there, and return its rows by table."""
    with read_only(source) as backup, closing(sqlite3.connect(staged)) as copy:
        copy_pages(backup, copy, lambda _done, _total: None)
    engine = make_engine(f"sqlite:///{staged}")
    try:
        upgrade(engine)
        finish(engine, now=now)
    finally:
        engine.dispose()
    with read_only(staged) as copy:
        return rows_by_table(copy)


@contextmanager
def _alone(engine: Engine) -> Iterator[HeldLease]:
    """Give a lease beside which there is no other one."""
    with reading(engine) as connection:
        is_new = not inspect(connection).get_table_names()
        if not is_new and not inspect(connection).has_table(LEASES.name):
            raise DeskRefusedError(
                f"{path_of(engine)} is not a desk: move it away, then restore, or name another file "
                "with DESK_DATABASE_URL"
            )
    if is_new:
        upgrade(engine)
    with HeldLease(engine, RESTORING) as lease:
        refuse_if_at_work(engine, now=datetime.now(UTC), besides=RESTORING)
        yield lease


def _ready(staged: Path, engine: Engine, lease: HeldLease) -> None:
    """Let our lease be in the new desk too: nobody begins to work on it before it was checked."""
    now = datetime.now(UTC)
    row = {"name": RESTORING, "holder": lease.holder, "acquired_at": now, "expires_at": now + LONGEST_COPY}
    copy = make_engine(f"sqlite:///{staged}")
    try:
        with writing(copy) as connection:
            connection.execute(insert(LEASES).values(row))
    finally:
        copy.dispose()
    with reading(engine) as connection:
        wanted = connection.exec_driver_sql("PRAGMA page_size").scalar_one()
    with sqlite_errors(), closing(sqlite3.connect(staged, isolation_level=None)) as file:
        if file.execute("PRAGMA page_size").fetchone()[0] != wanted:
            for statement in ("journal_mode=DELETE", f"page_size={wanted}"):
                file.execute(f"PRAGMA {statement}")
            file.execute("VACUUM")


def _replace(engine: Engine, staged: Path, rows: dict[str, int], on_progress: Progress) -> None:
    raw = engine.raw_connection()
    try:
        target: Any = raw.driver_connection
        with sqlite_errors(), closing(sqlite3.connect(staged)) as new:
            copy_pages(new, target, on_progress)
            target.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            check_whole(target, rows, "the restored desk")
    finally:
        raw.invalidate()
