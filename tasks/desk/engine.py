"""Open the desk's database, SQLite (WAL, foreign keys on) or PostgreSQL, migrated before its first use."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, NullPool, create_engine, event, inspect, make_url, text
from sqlalchemy.exc import ArgumentError, DBAPIError, InterfaceError, NoSuchModuleError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from models import migrations
from models.types import read_json
from tasks.desk.drivers import read_all_times, text_of_sqlite
from tasks.desk.errors import DeskError, DeskSettingsError, RetriableDeskError

BUSY_TIMEOUT_SECONDS = 30
_MIGRATION_LOCK = 0x6465736B  # "desk": the advisory lock that migrating processes share
_WRITE = "desk_write"
_SESSION = ("DateStyle = 'ISO, YMD'", "TimeZone = 'UTC'", "standard_conforming_strings = on")
"""What reading times and writing texts needs. A pooler between keeps these as its client set them."""


def open_desk(url: str) -> Engine:
    """Return an engine on the desk, its schema brought up to date.

    Args:
        url: SQLAlchemy URL, ``sqlite:///...`` or ``postgresql+psycopg://...``.

    Raises:
        DeskSettingsError: the address is wrong, the file can't be written, or the schema is newer than ours.
        RetriableDeskError: the database is locked or can't be reached.

    Safe to repeat, and when several processes do it at once.
    """
    engine = make_engine(url)
    try:
        upgrade(engine)
    except BaseException:
        engine.dispose()
        raise
    return engine


@contextmanager
def opened_desk(url: str) -> Iterator[Engine]:
    """Give the desk as ``open_desk`` does, and close its connections at the end."""
    engine = open_desk(url)
    try:
        yield engine
    finally:
        engine.dispose()


def second_engine(engine: Engine) -> Engine:
    """Return an engine on the same desk for a thread that writes a little beside a run.

    A connection to SQLite has a cache of its own: if the thread took the run's, a second one would fill.
    """
    if engine.dialect.name != "sqlite":
        return engine
    return make_engine(engine.url.render_as_string(hide_password=False), with_file=False, keeps_open=False)


def make_engine(url: str, *, with_file: bool = True, keeps_open: bool = True) -> Engine:
    """Return an engine on a database that may still be empty; a SQLite file is made for its user alone.

    Args:
        url: SQLAlchemy URL.
        with_file: False leaves the making of the file to ``make_file``; before that, nothing may be asked.
        keeps_open: False closes a SQLite connection after each use.

    Raises:
        DeskSettingsError: the address is wrong, or the file can't be written.
    """
    try:
        parsed = make_url(url)
        if parsed.get_backend_name() not in {"sqlite", "postgresql"}:
            raise DeskSettingsError("DESK_DATABASE_URL must begin with sqlite:/// or postgresql+psycopg://")
        if parsed.get_backend_name() == "postgresql":
            engine = create_engine(
                parsed.set(drivername="postgresql+psycopg"),
                hide_parameters=True,
                pool_pre_ping=True,
                json_deserializer=read_json,
                connect_args={"client_encoding": "UTF8"},
            )
            # Before SQLAlchemy asks for the version: even that can't be read in some encodings.
            event.listen(engine, "connect", _set_up_postgresql, insert=True)
            return engine
        engine = create_engine(
            parsed,
            hide_parameters=True,
            connect_args={"timeout": BUSY_TIMEOUT_SECONDS},
            poolclass=None if keeps_open else NullPool,
        )
        if with_file:
            make_file(parsed.database)
    except (ArgumentError, NoSuchModuleError) as error:
        raise DeskSettingsError("DESK_DATABASE_URL is not an SQLAlchemy address of a database") from error
    event.listen(engine, "connect", _set_up_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def make_file(database: str | None) -> None:
    """Make a SQLite file and its directory for their user alone. Safe to repeat: one that is there stays.

    One that is there is not opened: closing it would end the locks that this process's connections have on
    it (POSIX ends all of a process's locks on a file with the first descriptor that is closed).

    Raises:
        DeskSettingsError: it can't be written.
    """
    if not database or database == ":memory:":
        return
    path = Path(database)
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not path.exists():
            os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
        elif path.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        elif not os.access(path, os.R_OK | os.W_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    except OSError as error:
        raise DeskSettingsError(
            f"the desk's database {path} can't be written ({error.strerror}): "
            "mend its permissions or name another file with DESK_DATABASE_URL"
        ) from error


def _set_up_postgresql(connection: Any, _record: object) -> None:
    """Let a session be what the desk needs, whatever its role and database have set.

    Raises:
        DeskSettingsError: the database can't keep every text.
    """
    encoding = connection.info.parameter_status("server_encoding")
    if encoding != "UTF8":
        connection.close()
        raise DeskSettingsError(
            f"the desk's database has the encoding {encoding}, which can't keep every name and address: "
            "make another one with CREATE DATABASE ... ENCODING 'UTF8' TEMPLATE template0"
        )
    connection.autocommit = True
    connection.execute("; ".join(f"SET {setting}" for setting in _SESSION))
    connection.autocommit = False
    read_all_times(connection)


def _set_up_sqlite(connection: Any, _record: object) -> None:
    connection.isolation_level = None  # transactions begin in _begin_sqlite
    connection.text_factory = text_of_sqlite
    # synchronous stays FULL: what was answered as done survives a power cut.
    for pragma in (
        "journal_mode=WAL",
        "foreign_keys=ON",
        f"busy_timeout={BUSY_TIMEOUT_SECONDS * 1000}",
        "cache_size=-10240",
        "wal_autocheckpoint=16000",
        "temp_store=MEMORY",
    ):
        connection.execute(f"PRAGMA {pragma}")


def _begin_sqlite(connection: Connection) -> None:
    # A transaction that will write takes its place at once: upgrading later can fail half-way.
    immediate = connection.get_execution_options().get(_WRITE)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if immediate else "BEGIN")


@contextmanager
def reading(engine: Engine) -> Iterator[Connection]:
    """Give a connection with one consistent view of the desk; nothing is written."""
    with desk_errors(), engine.connect() as connection:
        yield connection


@contextmanager
def writing(engine: Engine) -> Iterator[Connection]:
    """Give a connection in one transaction: all of it is written at the end, or nothing."""
    with (
        desk_errors(),
        engine.connect().execution_options(**{_WRITE: True}) as connection,
        connection.begin(),
    ):
        yield connection


@contextmanager
def desk_errors() -> Iterator[None]:
    """Turn the database driver's errors into the desk's own, without any value of a row in the text."""
    try:
        yield
    except (DBAPIError, PoolTimeoutError) as error:
        raise named_error(error) from None


def named_error(error: Exception) -> DeskError:
    """Return a database driver's error as the desk's own."""
    original = getattr(error, "orig", None)
    message = str(original or error).lower()
    if "locked" in message or "busy" in message:
        return RetriableDeskError(
            "the desk's database is locked by another program; close it or try again in a minute"
        )
    if "readonly" in message or "unable to open" in message or "permission denied" in message:
        return DeskSettingsError("the desk's database can't be written: mend its permissions")
    if "full" in message or "no space" in message:
        return RetriableDeskError("the disk of the desk's database is full: make room, then run again")
    if "not a database" in message or "malformed" in message:
        return DeskSettingsError("the file named by DESK_DATABASE_URL is not a desk database, or is damaged")
    if isinstance(error, (OperationalError, InterfaceError, PoolTimeoutError)):
        return _no_answer(original)
    # Not the driver's own message: it quotes values ("invalid input syntax for type integer: ...").
    return DeskError(f"the desk's database refused: {type(original or error).__name__}")


def _no_answer(original: object) -> RetriableDeskError:
    """Name the driver's code, which holds no value of a row; a file is not told to run."""
    if code := getattr(original, "sqlite_errorname", None):
        return RetriableDeskError(
            f"the desk's SQLite file could not be read or written ({code}): try again; if that does not "
            "help, look at its disk, and keep it on no network drive"
        )
    state = getattr(original, "sqlstate", None)
    told = f" (SQLSTATE {state})" if state else ""
    return RetriableDeskError(f"the desk's database did not answer{told}: check that it runs, then try again")


def upgrade(engine: Engine) -> None:
    """Bring the schema up to date; one process at a time does it, the others wait and find it done."""
    with reading(engine) as connection:
        if _revision(connection) == migrations.HEAD:
            return
    with writing(engine) as connection:
        if engine.dialect.name == "postgresql":
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _MIGRATION_LOCK})
        if _revision(connection) != migrations.HEAD:
            _migrate(connection)


def _revision(connection: Connection) -> str | None:
    """Return the schema's revision, None where there is none yet; a newer one than ours is refused."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    revision: str | None = connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
    if revision is not None and revision > migrations.HEAD:
        raise DeskSettingsError(
            f"the desk's database was made by a newer version of this program (schema {revision}, "
            f"this program knows {migrations.HEAD}): upgrade the program"
        )
    return revision


def _migrate(connection: Connection) -> None:
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(migrations.__file__).parent))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
