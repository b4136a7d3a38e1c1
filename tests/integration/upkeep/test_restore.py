"""`desk backup` and `desk restore`: whole, checked, at any moment, and whatever dies on the way."""

from __future__ import annotations

import json
import shutil
import signal
import sqlite3
import stat
import subprocess
import sys
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from sqlalchemy import Engine, create_engine

from models import migrations
from tasks.desk.browse import export_orders
from tasks.desk.engine import make_engine, open_desk, reading
from tasks.desk.errors import DeskRefusedError
from tasks.desk.folders import add_folder
from tasks.desk.leases import HeldLease, LeaseHeldError
from tasks.desk.restores import restored_at
from tasks.fulfilment.queue import take_due
from tasks.upkeep import restore as restoring
from tasks.upkeep import sqlite_file as database_file
from tasks.upkeep.backup import back_up
from tasks.upkeep.copy_desk import copy_desk
from tasks.upkeep.restore import finish, restore
from tests.integration.fulfilment.test_channel_orderdesk import way_to
from tests.support import example_desk
from tests.support.builders import fill_folder, insert_lease, insert_order, insert_run
from tests.support.commands import RunDesk, refused
from tests.support.old_desks import alembic_config
from tests.support.order_desk import FakeOrderDesk
from tests.support.sending import queue, send, states

NOW = datetime(2026, 11, 25, 8, tzinfo=UTC)
KILLED = """
import os, signal, sys
from datetime import UTC, datetime
from pathlib import Path
from tasks.upkeep import restore as restoring, sqlite_file as database_file
from tasks.desk.engine import make_engine
database_file.CHUNK_PAGES = 20
def die(*_):
    os.kill(os.getpid(), signal.SIGKILL)
if sys.argv[3] == "staged":
    restoring._ready = die
if sys.argv[3] == "checking":
    restoring.check_whole = lambda connection, rows, what: die() if "restored" in what else None
engine = make_engine(f"sqlite:///{sys.argv[1]}")
restoring.restore(Path(sys.argv[2]), engine, now=datetime.now(UTC), on_progress=
    lambda done, total: die() if sys.argv[3] == "half-way" and done > total / 2 else None)
"""
"""A process that restores and dies: ``python -c KILLED DESK BACKUP STEP``."""


def silent(_done: int, _total: int) -> None:
    """Nobody watches."""


def content(path: Path) -> dict[str, list[Any]]:
    """Return every row of every table of a file, but for the leases."""
    with sqlite3.connect(path) as connection:
        names = [row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        found = {
            name: sorted(map(repr, connection.execute(f"SELECT * FROM {name}")))
            for name in names
            if name != "leases"
        }
    connection.close()
    return found


@pytest.fixture
def backup(cli_engine: Engine, tmp_path: Path) -> Path:
    """A backup of a desk with 3,000 orders; the desk has gone on since."""
    run_id = insert_run(cli_engine)
    with cli_engine.begin() as connection:
        fill_folder(connection, "Closed", run_id=run_id, count=3000)
    insert_order(cli_engine, run_id=run_id, order_number="KEPT-1", items=({}, {}))
    back_up(cli_engine, tmp_path / "backup.db", force=False, on_progress=silent)
    add_folder(cli_engine, "Later")
    insert_order(cli_engine, run_id=run_id, order_number="LATER-1", folder="Later")
    return tmp_path / "backup.db"


def numbers(engine: Engine) -> set[str]:
    return {order["order_number"] for order in export_orders(engine)} & {"KEPT-1", "LATER-1"}


# --- Backup -------------------------------------------------------------------------------------------------


def test_a_backup_during_an_import_is_a_desk_of_one_moment(
    cli_engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database_file, "CHUNK_PAGES", 5)
    reports: list[Any] = []
    importing = threading.Thread(
        target=lambda: reports.append(example_desk.fill(cli_engine, orders=1500, batch_size=50))
    )
    sizes: list[int] = []
    importing.start()
    while importing.is_alive():
        kept = back_up(cli_engine, tmp_path / "backup.db", force=True, on_progress=silent)
        with sqlite3.connect(tmp_path / "backup.db") as copy:
            (orders,) = copy.execute("SELECT count(*) FROM orders").fetchone()
            said = copy.execute("SELECT counts ->> 'imported' FROM import_runs").fetchone()
        copy.close()
        assert kept.rows["orders"] == orders
        assert orders == ((said or [0])[0] or 0)  # written in the transaction of the rows that it counts
        sizes.append(orders)
    importing.join()
    assert reports[0].counts["imported"] == len(list(export_orders(cli_engine))) > 500
    assert sizes


def test_what_is_written_during_a_backup_is_not_in_it(
    cli_engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database_file, "CHUNK_PAGES", 10)
    insert_order(cli_engine, order_number="KEPT-1")
    before = content(tmp_path / "desk.db")
    written: list[int] = []
    kept = back_up(
        cli_engine,
        tmp_path / "backup.db",
        force=False,
        on_progress=lambda *_: written.append(insert_order(cli_engine)),
    )
    assert len(written) > 2
    assert content(tmp_path / "backup.db") == before
    assert kept.rows["orders"] == 1
    assert len(content(tmp_path / "desk.db")["orders"]) == 1 + len(written)


def test_a_backup_is_one_file_for_its_user_alone(desk_command: RunDesk, backup: Path, tmp_path: Path) -> None:
    result = desk_command("backup", str(tmp_path / "other.db"), "--json")
    assert result.code == 0, result.err
    said = json.loads(result.out)
    assert said["schema"] == migrations.HEAD
    assert said["rows"]["orders"] == 3002
    assert said["size_bytes"] == (tmp_path / "other.db").stat().st_size
    assert stat.S_IMODE((tmp_path / "other.db").stat().st_mode) == 0o600
    assert {path.name for path in tmp_path.iterdir()} - {"desk.db-wal", "desk.db-shm"} == {
        *("desk.db", "backup.db", "other.db")
    }


def test_a_file_that_is_there_stays_unless_it_is_forced(desk_command: RunDesk, backup: Path) -> None:
    before = backup.read_bytes()
    assert "--force" in refused(desk_command("backup", str(backup)))
    assert backup.read_bytes() == before
    assert desk_command("backup", str(backup), "--force").code == 0
    assert backup.read_bytes() != before


def test_what_can_not_be_backed_up_or_written_is_refused(
    desk_command: RunDesk, cli_database: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "the desk itself" in refused(desk_command("backup", str(cli_database), "--force"))
    assert "directory" in refused(desk_command("backup", str(tmp_path)))
    assert "can't be written" in refused(desk_command("backup", str(tmp_path / "nowhere" / "x.db")))
    monkeypatch.setenv("DESK_DATABASE_URL", f"sqlite:///{tmp_path / 'none.db'}")
    assert "there is no desk" in refused(desk_command("backup", str(tmp_path / "x.db")))
    assert not (tmp_path / "none.db").exists()
    assert not (tmp_path / "x.db").exists()


def test_what_a_killed_backup_left_is_used_up_by_the_next(cli_engine: Engine, tmp_path: Path) -> None:
    (tmp_path / ".backup.db.unfinished").write_bytes(b"half a page")
    back_up(cli_engine, tmp_path / "backup.db", force=False, on_progress=silent)
    assert content(tmp_path / "backup.db") == content(tmp_path / "desk.db")
    assert not (tmp_path / ".backup.db.unfinished").exists()


@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
def test_on_postgresql_the_commands_name_those_that_do_it(
    desk_url: str, desk_command: RunDesk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DESK_DATABASE_URL", desk_url)
    (tmp_path / "x.db").touch()
    for arguments in (["backup", "y.db"], ["restore", str(tmp_path / "x.db"), "--yes"]):
        said = refused(desk_command(*arguments))
        assert "pg_dump" in said
        assert "docs/workers.md" in said


# --- Restore ------------------------------------------------------------------------------------------------


def test_a_restore_brings_the_desk_of_the_backup_also_to_those_who_have_it_open(
    desk_command: RunDesk, cli_engine: Engine, cli_database: Path, backup: Path
) -> None:
    before = backup.read_bytes()
    assert numbers(cli_engine) == {"KEPT-1", "LATER-1"}
    for _ in range(2):
        result = desk_command("restore", str(backup), "--yes")
        assert result.code == 0, result.err
        assert numbers(cli_engine) == {"KEPT-1"}
        assert content(cli_database) == content(backup)
    insert_order(cli_engine, order_number="LATER-1")
    assert numbers(cli_engine) == {"KEPT-1", "LATER-1"}
    assert backup.read_bytes() == before
    assert stat.S_IMODE(cli_database.stat().st_mode) == 0o600


def test_a_restore_asks_first(desk_command: RunDesk, cli_engine: Engine, backup: Path) -> None:
    assert "--yes" in refused(desk_command("restore", str(backup)))
    assert numbers(cli_engine) == {"KEPT-1", "LATER-1"}


def test_a_desk_that_is_not_there_is_made(
    desk_command: RunDesk, backup: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    new = tmp_path / "made" / "new.db"
    monkeypatch.setenv("DESK_DATABASE_URL", f"sqlite:///{new}")
    assert desk_command("restore", str(backup), "--yes").code == 0
    assert content(new) == content(backup)
    assert [path.name for path in new.parent.iterdir()] == ["new.db"]


def test_the_log_of_the_old_desk_is_not_applied_to_the_new_one(
    cli_engine: Engine, cli_database: Path, backup: Path, tmp_path: Path
) -> None:
    log = cli_database.with_name("desk.db-wal").read_bytes()
    assert log
    left = tmp_path / "left"
    left.mkdir()
    for name in ("desk.db", "desk.db-wal"):  # as a crash leaves them
        shutil.copy(tmp_path / name, left / name)
    (tmp_path / "left" / "gone.db-wal").write_bytes(log)  # whose database was deleted
    for name in ("desk.db", "gone.db"):
        engine = make_engine(f"sqlite:///{left / name}", with_file=False)
        restore(backup, engine, now=NOW, on_progress=silent)
        engine.dispose()
        assert content(left / name) == content(backup)


@pytest.mark.parametrize("step", ["staged", "half-way", "checking"])
def test_killed_in_the_middle_there_is_one_whole_desk_and_the_next_try_works(
    step: str, cli_engine: Engine, cli_database: Path, backup: Path, tmp_path: Path
) -> None:
    old, new = content(cli_database), content(backup)
    killed = subprocess.run([sys.executable, "-c", KILLED, cli_database, backup, step], check=False)
    assert killed.returncode == -signal.SIGKILL
    cli_engine.dispose()
    assert content(cli_database) == (new if step == "checking" else old)
    with HeldLease(cli_engine, "check:default"):  # what the dead one held is free
        pass
    restore(backup, cli_engine, now=NOW, on_progress=silent)
    assert content(cli_database) == new
    assert not list(tmp_path.glob(".desk.db*"))


def test_refused_while_a_run_is_at_work_and_no_run_begins_meanwhile(cli_engine: Engine, backup: Path) -> None:
    with HeldLease(cli_engine, "check:default"), pytest.raises(DeskRefusedError, match="check:default"):
        restore(backup, cli_engine, now=NOW, on_progress=silent)
    assert numbers(cli_engine) == {"KEPT-1", "LATER-1"}
    refusals: list[str] = []
    ready = restoring._ready

    def begin_a_run_first(*args: Any) -> None:
        with pytest.raises(LeaseHeldError) as caught, HeldLease(cli_engine, "check:default"):
            pass
        refusals.append(str(caught.value))
        ready(*args)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(restoring, "_ready", begin_a_run_first)
        restore(backup, cli_engine, now=NOW, on_progress=silent)
    assert "another desk is put in the place of this one" in refusals[0]
    with HeldLease(cli_engine, "check:default"):
        pass


def test_what_is_no_backup_is_refused_and_the_desk_stays(
    desk_command: RunDesk, cli_database: Path, tmp_path: Path
) -> None:
    before = content(cli_database)
    (tmp_path / "letter").write_text("Dear diary\n" * 500)
    with sqlite3.connect(tmp_path / "other.db") as other:
        other.execute("CREATE TABLE orders (id)")
    other.close()
    (tmp_path / "empty.db").touch()
    for name, told in (
        *(("letter", "is not a desk"), ("other.db", "other tables"), ("empty.db", "other tables")),
        *(("nothing.db", "there is no file"), ("desk.db", "the desk itself")),
    ):
        assert told in refused(desk_command("restore", str(tmp_path / name), "--yes")), name
    assert content(cli_database) == before


def test_a_damaged_backup_is_refused(desk_command: RunDesk, cli_database: Path, backup: Path) -> None:
    damaged = bytearray(backup.read_bytes())
    damaged[20 * 4096 : 60 * 4096] = b"\xff" * (40 * 4096)
    backup.write_bytes(damaged)
    before = content(cli_database)
    assert "damaged" in refused(desk_command("restore", str(backup), "--yes"))
    assert content(cli_database) == before


def test_a_file_that_is_no_desk_is_never_replaced(
    desk_command: RunDesk, backup: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with sqlite3.connect(tmp_path / "bookmarks.db") as other:
        other.execute("CREATE TABLE bookmarks (id)")
    other.close()
    monkeypatch.setenv("DESK_DATABASE_URL", f"sqlite:///{tmp_path / 'bookmarks.db'}")
    assert "is not a desk: move it away" in refused(desk_command("restore", str(backup), "--yes"))
    assert content(tmp_path / "bookmarks.db") == {"bookmarks": []}


def test_a_newer_backup_is_refused_and_an_older_one_brought_up_to_date(
    desk_command: RunDesk, cli_engine: Engine, cli_database: Path, backup: Path
) -> None:
    before = content(cli_database)
    with sqlite3.connect(backup) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    connection.close()
    assert "newer version of this program (schema 9999" in refused(
        desk_command("restore", str(backup), "--yes")
    )
    assert content(cli_database) == before

    with sqlite3.connect(backup) as connection:
        connection.execute("UPDATE alembic_version SET version_num = ?", [migrations.HEAD])
    connection.close()
    engine = create_engine(f"sqlite:///{backup}")
    config = alembic_config()
    with engine.begin() as older:
        config.attributes["connection"] = older
        command.downgrade(config, "0003")
    engine.dispose()
    assert desk_command("restore", str(backup), "--yes").code == 0
    assert numbers(cli_engine) == {"KEPT-1"}
    open_desk(f"sqlite:///{cli_database}").dispose()


def test_another_page_size_does_no_harm(cli_engine: Engine, cli_database: Path, backup: Path) -> None:
    with sqlite3.connect(backup, isolation_level=None) as connection:
        connection.execute("PRAGMA page_size=8192")
        connection.execute("VACUUM")
    connection.close()
    restore(backup, cli_engine, now=NOW, on_progress=silent)
    assert content(cli_database) == content(backup)


# --- What was sent after the backup -------------------------------------------------------------------------


def test_an_order_that_went_out_after_the_backup_is_not_made_twice(
    cli_engine: Engine, tmp_path: Path
) -> None:
    """Neither one that waited in the backup, nor one that is imported again after the restore."""
    queue(cli_engine, 1, source_id="in-the-backup")
    back_up(cli_engine, tmp_path / "backup.db", force=False, on_progress=silent)
    queue(cli_engine, 1, source_id="came-after")
    with FakeOrderDesk(knows_sources=False) as store:
        send(cli_engine, lambda: way_to(store))
        assert len(store.orders) == 2
        restore(tmp_path / "backup.db", cli_engine, now=datetime.now(UTC), on_progress=silent)
        queue(cli_engine, 1, source_id="came-after")
        send(cli_engine, lambda: way_to(store))
        assert (store.creates, len(store.orders)) == (2, 2)
        assert states(cli_engine) == [("already_there", None, 1)] * 2

        queue(cli_engine, 1, podos_created_at=datetime.now(UTC) + timedelta(hours=2))
        send(cli_engine, lambda: way_to(store))
        assert store.creates == 3  # a new one is not looked for


def test_after_pg_restore_it_is_noted_too(
    desk: Engine, desk_url: str, desk_command: RunDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DESK_DATABASE_URL", desk_url)
    queue(desk, 1)
    insert_lease(desk, "check:default", expires_at=datetime.now(UTC) + timedelta(days=1))
    assert take_due(desk, "acme", now=NOW, limit=1)[0].first_attempt_at is None
    assert desk_command("restore", "--finish").code == 0
    assert "name the backup" in refused(desk_command("restore"))
    assert take_due(desk, "acme", now=NOW, limit=1)[0].first_attempt_at is not None
    with HeldLease(desk, "check:default"):
        pass


@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
def test_a_copy_into_another_database_keeps_it(cli_engine: Engine, desk: Engine) -> None:
    finish(cli_engine, now=NOW)
    copy_desk(cli_engine, desk, lambda _table, _done: None)
    with reading(desk) as connection:
        assert restored_at(connection) == NOW
