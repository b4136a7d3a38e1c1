"""Opening the desk: its schema, its file, and every way in which a database can be unusable."""

from __future__ import annotations

import os
import sqlite3
import stat
import subprocess
import sys
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest
from alembic import command
from alembic.script import ScriptDirectory
from sqlalchemy import Engine, inspect, select, text
from sqlalchemy.exc import OperationalError, StatementError

from models import migrations
from models.tables.orders import FIRST_FOLDERS, Folder, Order
from models.tables.runs import Lease
from tasks.desk import engine as engine_module
from tasks.desk.engine import make_engine, named_error, open_desk, opened_desk, reading, upgrade, writing
from tasks.desk.errors import DeskError, DeskSettingsError, RetriableDeskError
from tests.support.builders import insert_order
from tests.support.old_desks import alembic_config

OPEN_IT = "import sys; from tasks.desk.engine import open_desk; open_desk(sys.argv[1]).dispose()"


def tables(engine: Engine) -> set[str]:
    return set(inspect(engine).get_table_names())


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a locked SQLite file be given up on at once."""
    monkeypatch.setattr(engine_module, "BUSY_TIMEOUT_SECONDS", 0)


def test_an_empty_database_becomes_a_desk(empty_url: str) -> None:
    engine = open_desk(empty_url)
    with reading(engine) as connection:
        assert tuple(connection.execute(select(Folder.__table__.c.name)).scalars()) == FIRST_FOLDERS  # type: ignore[attr-defined]
    engine.dispose()
    open_desk(empty_url).dispose()  # safe to repeat


def test_processes_that_migrate_at_once_all_succeed(empty_url: str) -> None:
    processes = [
        subprocess.Popen([sys.executable, "-c", OPEN_IT, empty_url], stderr=subprocess.PIPE, text=True)
        for _ in range(3)
    ]
    assert [(process.communicate(timeout=60)[1], process.returncode) for process in processes] == [
        ("", 0)
    ] * 3
    engine = make_engine(empty_url)
    with reading(engine) as connection:
        assert connection.execute(text("SELECT count(*) FROM folders")).scalar_one() == len(FIRST_FOLDERS)
        revisions = connection.execute(text("SELECT version_num FROM alembic_version")).scalars()
        assert list(revisions) == [migrations.HEAD]
    engine.dispose()


def test_the_known_head_is_the_newest_migration() -> None:
    assert ScriptDirectory.from_config(alembic_config()).get_heads() == [migrations.HEAD]


def test_the_tables_are_what_the_migrations_build(desk: Engine) -> None:
    config = alembic_config()
    with writing(desk) as connection:
        config.attributes["connection"] = connection
        command.check(config)


def test_down_and_up_again(desk: Engine) -> None:
    before = tables(desk)
    config = alembic_config()
    with writing(desk) as connection:
        config.attributes["connection"] = connection
        command.downgrade(config, "base")
    assert tables(desk) == {"alembic_version"}
    upgrade(desk)
    assert tables(desk) == before
    insert_order(desk)


def test_a_newer_schema_is_refused(desk: Engine, desk_url: str) -> None:
    with writing(desk) as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(
        DeskSettingsError, match=r"made by a newer version .*schema 9999.*upgrade the program"
    ):
        open_desk(desk_url)


def test_foreign_keys_are_enforced(desk: Engine) -> None:
    insert = text("INSERT INTO order_items (order_id, position, quantity, metadata) VALUES (999, 1, 1, '{}')")
    with pytest.raises(DeskError, match="the desk's database refused"), writing(desk) as connection:
        connection.execute(insert)


def test_quantities_are_positive(desk: Engine) -> None:
    with pytest.raises(DeskError, match="the desk's database refused"):
        insert_with_writing(desk, quantity=0)


def insert_with_writing(engine: Engine, *, quantity: int) -> None:
    order_id = insert_order(engine, items=[])
    row = {"order": order_id, "quantity": quantity}
    statement = (
        "INSERT INTO order_items (order_id, position, quantity, metadata) VALUES (:order, 1, :quantity, '{}')"
    )
    with writing(engine) as connection:
        connection.execute(text(statement), row)


def test_a_failed_transaction_leaves_nothing(desk: Engine) -> None:
    def fail() -> None:
        with writing(desk) as connection:
            connection.execute(text("DELETE FROM folders"))
            raise RuntimeError("power cut")

    with pytest.raises(RuntimeError, match="power cut"):
        fail()
    with reading(desk) as connection:
        assert connection.execute(text("SELECT count(*) FROM folders")).scalar_one() == len(FIRST_FOLDERS)


def test_an_error_of_the_database_shows_no_value_of_a_row(desk: Engine) -> None:
    row = {"name": "ada@example.com", "key": "new"}
    with pytest.raises(DeskError) as caught, writing(desk) as connection:
        connection.execute(text("INSERT INTO folders (name, name_key) VALUES (:name, :key)"), row)
    assert "ada@example.com" not in str(caught.value)
    assert caught.value.__suppress_context__


def test_a_naive_time_is_refused(desk: Engine) -> None:
    naive = datetime(2026, 11, 23, 10, 15)  # noqa: DTZ001 - the wrong kind, on purpose
    aware = naive.replace(tzinfo=UTC)
    leases = Lease.__table__  # type: ignore[attr-defined]
    row = {"name": "x", "holder": "me", "acquired_at": aware, "expires_at": naive}
    with pytest.raises(StatementError, match="a naive datetime"), writing(desk) as connection:
        connection.execute(leases.insert().values(row))


def test_amounts_and_times_come_back_as_they_went_in(desk: Engine) -> None:
    orders = Order.__table__  # type: ignore[attr-defined]
    created = datetime(2026, 11, 20, 8, 30, 0, 123456, tzinfo=UTC)
    insert_order(desk, declared_value=Decimal("0.10"), podos_created_at=created)
    with reading(desk) as connection:
        row = connection.execute(select(orders.c.declared_value, orders.c.podos_created_at)).one()
    assert (str(row.declared_value), row.podos_created_at) == ("0.10", created)
    assert row.podos_created_at.utcoffset().total_seconds() == 0


@pytest.mark.parametrize(
    "url",
    [
        "",
        "desk.db",
        "mysql://localhost/desk",
        "sqlite+nothing:///x.db",
        "://",
    ],
)
def test_a_wrong_address_is_refused(url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DeskSettingsError, match="DESK_DATABASE_URL"):
        make_engine(url)
    assert list(tmp_path.iterdir()) == []


def test_postgresql_needs_no_driver_in_its_address() -> None:
    engine = make_engine("postgresql://localhost/desk")
    assert engine.url.drivername == "postgresql+psycopg"
    engine.dispose()


def test_a_server_that_is_not_there_may_come_back(tmp_path: Path) -> None:
    with pytest.raises(RetriableDeskError, match="did not answer"):
        open_desk(f"postgresql://desk@/desk?host={tmp_path}")


def test_a_password_is_in_no_error(tmp_path: Path) -> None:
    with pytest.raises(RetriableDeskError) as caught:
        open_desk(f"postgresql://desk:sEcReT@/desk?host={tmp_path}")
    assert "sEcReT" not in f"{caught.value} {caught.value.__cause__}"


# --- SQLite alone -------------------------------------------------------------------------------------------


def test_sqlite_writes_ahead_and_checks_foreign_keys(tmp_path: Path) -> None:
    engine = open_desk(f"sqlite:///{tmp_path / 'desk.db'}")
    with reading(engine) as connection:
        assert connection.execute(text("PRAGMA journal_mode")).scalar_one() == "wal"
        assert connection.execute(text("PRAGMA foreign_keys")).scalar_one() == 1
    engine.dispose()


def test_the_sqlite_file_is_for_its_user_alone(tmp_path: Path) -> None:
    path = tmp_path / "data" / "desk.db"
    before = os.umask(0)
    try:
        engine = open_desk(f"sqlite:///{path}")
        insert_order(engine)
        files = {file.name: stat.S_IMODE(file.stat().st_mode) for file in path.parent.iterdir()}
        engine.dispose()
    finally:
        os.umask(before)
    assert files == {"desk.db": 0o600, "desk.db-wal": 0o600, "desk.db-shm": 0o600}
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_money_on_sqlite_is_never_a_float(tmp_path: Path) -> None:
    engine = open_desk(f"sqlite:///{tmp_path / 'desk.db'}")
    insert_order(engine, declared_value=Decimal("12.50"))
    with reading(engine) as connection:
        stored = connection.execute(text("SELECT typeof(declared_value), declared_value FROM orders")).one()
    engine.dispose()
    assert tuple(stored) == ("text", "12.50")


@pytest.mark.parametrize("place", ["a-file/desk.db", "a-folder", "/proc/nowhere/desk.db"])
def test_a_path_that_can_not_be_written_is_refused(tmp_path: Path, place: str) -> None:
    (tmp_path / "a-file").write_text("x")
    (tmp_path / "a-folder").mkdir()
    with pytest.raises(DeskSettingsError, match=r"can't be written .*DESK_DATABASE_URL"):
        open_desk(f"sqlite:///{tmp_path / place}")


def test_a_file_that_is_no_database_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "desk.db"
    path.write_bytes(b"Dear diary, today I wrote no database.\n" * 100)
    before = path.read_bytes()
    with pytest.raises(DeskSettingsError, match="is not a desk database"):
        open_desk(f"sqlite:///{path}")
    assert path.read_bytes() == before


@pytest.mark.usefixtures("hasty")
def test_a_locked_database_may_be_free_later(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'desk.db'}"
    open_desk(url).dispose()
    holder = sqlite3.connect(tmp_path / "desk.db", isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    engine = open_desk(url)  # reading goes on beside a writer
    with pytest.raises(RetriableDeskError, match="locked by another program"):
        insert_with_writing_lock(engine)
    holder.execute("ROLLBACK")
    insert_with_writing_lock(engine)
    holder.close()
    engine.dispose()


def insert_with_writing_lock(engine: Engine) -> None:
    with writing(engine) as connection:
        connection.execute(text("INSERT INTO folders (name, name_key) VALUES ('Later', 'later')"))


@pytest.mark.usefixtures("hasty")
def test_a_database_that_is_locked_while_it_is_new_may_be_free_later(tmp_path: Path) -> None:
    holder = sqlite3.connect(tmp_path / "desk.db", isolation_level=None)
    holder.execute("BEGIN EXCLUSIVE")
    with pytest.raises(RetriableDeskError, match="locked by another program"):
        open_desk(f"sqlite:///{tmp_path / 'desk.db'}")
    holder.close()
    open_desk(f"sqlite:///{tmp_path / 'desk.db'}").dispose()


def test_an_error_of_a_sqlite_file_is_told_by_its_code_and_may_be_tried_again(tmp_path: Path) -> None:
    engine = make_engine(f"sqlite:///{tmp_path / 'desk.db'}")
    with pytest.raises(RetriableDeskError) as caught, writing(engine) as connection:
        connection.exec_driver_sql("BEGIN")  # an operational error that is no lock
    engine.dispose()
    assert str(caught.value).startswith("the desk's SQLite file could not be read or written (SQLITE_ERROR)")
    assert caught.value.retriable


@pytest.mark.parametrize(("state", "told"), [("57P01", " (SQLSTATE 57P01)"), (None, "")])
def test_an_error_of_postgresql_is_told_by_its_code(state: str | None, told: str) -> None:
    original = Exception("terminating connection: value 'secret'")
    original.sqlstate = state  # type: ignore[attr-defined]  # as psycopg has it
    error = named_error(OperationalError("SELECT 1", {}, original))
    assert str(error) == f"the desk's database did not answer{told}: check that it runs, then try again"


def test_opening_the_desk_again_keeps_the_locks_of_this_process(tmp_path: Path) -> None:
    """Else the next process that closes it takes itself for the last, and deletes the write-ahead log."""
    path = tmp_path / "desk.db"
    with opened_desk(f"sqlite:///{path}") as first, opened_desk(f"sqlite:///{path}"):
        with writing(first) as connection:
            connection.execute(text("UPDATE folders SET name = 'Incoming' WHERE name = 'New'"))
        look = "c.execute('SELECT 1 FROM folders').fetchall(); c.close()"
        other = f"import sqlite3; c = sqlite3.connect({str(path)!r}); {look}"
        subprocess.run([sys.executable, "-c", other], check=True, timeout=60)
        assert path.with_name("desk.db-wal").exists()
