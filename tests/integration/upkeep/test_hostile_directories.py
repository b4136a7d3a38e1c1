"""Attacks by another user who can write to a directory of ours: none reaches a file that is not meant.

Links are planted by the test's own user, who may do more than another one could.
"""

from __future__ import annotations

import errno
import os
import sqlite3
import stat
import subprocess
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import typer
from sqlalchemy import Engine

from deployments.cli.new_file import new_file
from deployments.stack.up import child
from tasks.desk.browse import export_orders
from tasks.desk.engine import make_engine
from tasks.desk.errors import DeskRefusedError, DeskSettingsError
from tasks.fulfilment.channels.folder import Folder
from tasks.fulfilment.queue import promise_references
from tasks.tracking import drop_folder
from tasks.tracking.drop_folder import DropFolderError, FileResult, take_folder
from tasks.tracking.intake import take_file
from tasks.tracking.shipment_list import list_shipments
from tasks.upkeep.backup import back_up
from tasks.upkeep.restore import restore
from tests.support.builders import insert_order
from tests.support.commands import RunDesk, refused
from tests.support.folders import visible, way_to
from tests.support.sending import queue, send, states

NOW = datetime(2026, 11, 26, 12, 0, tzinfo=UTC)
SECRET = "PODOS_API_TOKEN=planted-4711\n"
NOBODY = 65534
Plant = Callable[[Path, Path], None]
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can act as another user")


@pytest.fixture
def victim(tmp_path: Path) -> Iterator[Path]:
    """A private file of the desk's user, which must be the same at the end."""
    file = tmp_path / "private" / "settings.env"
    file.parent.mkdir()
    file.write_text(SECRET)
    file.chmod(0o600)
    before = file.stat()
    yield file
    after = file.stat()
    assert file.read_text() == SECRET
    assert (after.st_ino, stat.S_IMODE(after.st_mode)) == (before.st_ino, 0o600)
    assert [path.name for path in file.parent.iterdir()] == [file.name]


@pytest.fixture
def hot(tmp_path: Path) -> Path:
    """A directory that everybody can write to."""
    directory = tmp_path / "hot"
    directory.mkdir()
    directory.chmod(0o777)
    return directory


def plant_link(name: Path, target: Path) -> None:
    name.symlink_to(target)


def plant_hard_link(name: Path, target: Path) -> None:
    name.hardlink_to(target)


def plant_pipe(name: Path, target: Path) -> None:
    os.mkfifo(name)


@pytest.fixture(params=[plant_link, plant_hard_link, plant_pipe], ids=lambda plant: plant.__name__)
def plant(request: pytest.FixtureRequest) -> Plant:
    """What is planted under a name."""
    planted: Plant = request.param
    return planted


def swap(directory: Path, target: Path) -> None:
    """Put a link to another directory in the place of one."""
    directory.rename(directory.with_name("moved"))
    directory.symlink_to(target)


def clean_up_links(name: Path) -> None:
    with suppress(FileNotFoundError):
        name.unlink()


# --- The folder fulfiller -----------------------------------------------------------------------------------


def stopped_before_the_names(desk: Engine, hot: Path, *, as_csv: bool, noted: bool) -> set[str]:
    """Stage orders and stop, before or after the desk notes the names; return these."""
    names: set[str] = set()

    async def promise(references: Mapping[int, str]) -> None:
        names.update(references.values())
        if noted:
            promise_references(desk, references)
        raise OSError(5, "stopped")

    with pytest.raises(OSError, match="stopped"):
        send(desk, lambda: Folder(hot, as_csv=as_csv, promise=promise))
    return names


@pytest.mark.parametrize("as_csv", [False, True])
@pytest.mark.parametrize("noted", [False, True])
def test_what_is_planted_under_the_hidden_name_is_not_written_to(
    cli_engine: Engine, hot: Path, victim: Path, plant: Plant, as_csv: bool, noted: bool
) -> None:
    queue(cli_engine, 2)
    names = stopped_before_the_names(cli_engine, hot, as_csv=as_csv, noted=noted)
    for name in names:
        (hot / f".{name}.new").unlink()
        plant(hot / f".{name}.new", victim)
    send(cli_engine, lambda: way_to(cli_engine, hot, as_csv=as_csv))
    assert {path.name for path in hot.iterdir()} == names
    for file in visible(hot):
        assert not file.is_symlink()
        assert b"idempotency_key" in file.read_bytes()
        assert stat.S_IMODE(file.stat().st_mode) == 0o640
    assert [state for state, _, _ in states(cli_engine)] == ["sent", "sent"]


@pytest.mark.parametrize("as_csv", [False, True])
def test_what_is_planted_under_the_name_itself_is_replaced(
    cli_engine: Engine, hot: Path, victim: Path, plant: Plant, as_csv: bool
) -> None:
    queue(cli_engine, 1)
    (name,) = stopped_before_the_names(cli_engine, hot, as_csv=as_csv, noted=True)
    plant(hot / name, victim)
    send(cli_engine, lambda: way_to(cli_engine, hot, as_csv=as_csv))
    assert stat.S_ISREG((hot / name).lstat().st_mode)
    assert b"idempotency_key" in (hot / name).read_bytes()


def test_a_directory_that_is_replaced_while_files_are_written_leads_nowhere(
    cli_engine: Engine, hot: Path, victim: Path
) -> None:
    async def promise(references: Mapping[int, str]) -> None:
        promise_references(cli_engine, references)
        swap(hot, victim.parent)

    queue(cli_engine, 1)
    send(cli_engine, lambda: Folder(hot, as_csv=False, promise=promise))
    assert len(visible(hot.with_name("moved"))) == 1
    assert [state for state, _, _ in states(cli_engine)] == ["sent"]


def test_a_hot_folder_that_is_a_link_gets_nothing_and_orders_wait(
    cli_engine: Engine, hot: Path, victim: Path
) -> None:
    queue(cli_engine, 1)
    swap(hot, victim.parent)
    send(cli_engine, lambda: way_to(cli_engine, hot, as_csv=False))
    ((state, reason, _),) = states(cli_engine)
    assert state == "waiting"
    assert "it is a link" in str(reason)


@as_root
def test_another_user_can_not_have_a_private_file_overwritten(cli_engine: Engine, victim: Path) -> None:
    with tempfile.TemporaryDirectory() as place:
        hot = Path(place) / "hot"
        hot.mkdir()
        for directory in (hot.parent, hot):
            directory.chmod(0o777)
        queue(cli_engine, 1)
        (name,) = stopped_before_the_names(cli_engine, hot, as_csv=False, noted=False)
        attack = ["ln", "-s", "-f", str(victim), f".{name}.new"]
        subprocess.run(attack, cwd=hot, user=NOBODY, group=NOBODY, extra_groups=[], check=True)
        assert (hot / f".{name}.new").lstat().st_uid == NOBODY
        send(cli_engine, lambda: way_to(cli_engine, hot, as_csv=False))
        assert [state for state, _, _ in states(cli_engine)] == ["sent"]
        assert not (hot / name).is_symlink()


# --- The drop folder ----------------------------------------------------------------------------------------


@pytest.fixture
def drop(cli_engine: Engine, hot: Path) -> Path:
    """A drop folder with a file in it."""
    insert_order(cli_engine, order_number="A-1")
    put(hot, "a.csv", "order,courier,code\nA-1,DPD,1\n")
    return hot


def put(drop: Path, name: str, content: str) -> None:
    (drop / name).write_text(content)
    age(drop / name)


def age(file: Path) -> None:
    moment = (NOW - timedelta(minutes=1)).timestamp()
    os.utime(file, (moment, moment), follow_symlinks=False)


def take(engine: Engine, drop: Path) -> list[FileResult]:
    return take_folder(engine, drop, strict=False, now=NOW)


@pytest.mark.parametrize("plant", [plant_link, plant_hard_link])
def test_a_link_among_the_dropped_files_is_not_read_and_the_others_are(
    cli_engine: Engine, drop: Path, victim: Path, plant: Plant
) -> None:
    plant(drop / "0.csv", victim)
    age(drop / "0.csv")
    link, file = take(cli_engine, drop)
    assert "a link" in str(link.problem) or "a hard link" in str(link.problem)
    assert (link.taken.added, file.taken.added) == (0, 1)
    said = (drop / "failed" / "0.errors.txt").read_text()
    assert "link" in said
    assert "planted" not in said
    assert take(cli_engine, drop) == []
    if plant is plant_hard_link:
        (drop / "failed" / "0.csv").unlink()


def test_a_pipe_among_the_dropped_files_keeps_nobody_waiting(cli_engine: Engine, drop: Path) -> None:
    os.mkfifo(drop / "0.csv")
    age(drop / "0.csv")
    assert [result.name for result in take(cli_engine, drop)] == ["a.csv"]


@pytest.mark.parametrize("leads_to", ["a file", "nowhere"])
def test_a_list_of_bad_rows_is_not_written_through_a_link(
    cli_engine: Engine, drop: Path, victim: Path, leads_to: str
) -> None:
    (drop / "failed").mkdir()
    target = victim if leads_to == "a file" else victim.with_name("authorized_keys")
    (drop / "failed" / "b.errors.txt").symlink_to(target)
    put(drop, "b.csv", "order,courier,code\nssh-rsa AAAA,DPD,1\n")
    _, bad = take(cli_engine, drop)
    assert not target.exists() or target == victim
    assert bad.moved_to.name == "b.20261126T120000Z-1.csv"
    assert "ssh-rsa AAAA" in (drop / "failed" / "b.20261126T120000Z-1.errors.txt").read_text()


@pytest.mark.parametrize("name", ["done", "failed"])
def test_no_file_is_moved_through_a_link(cli_engine: Engine, drop: Path, victim: Path, name: str) -> None:
    if name == "failed":
        put(drop, "a.csv", "order,courier,code\nA-9,DPD,1\n")
    (drop / name).symlink_to(victim.parent)
    with pytest.raises(DropFolderError, match=f"{name} in it: it is a link"):
        take(cli_engine, drop)
    assert (drop / "a.csv").exists()


def test_a_drop_folder_that_is_a_link_is_refused(cli_engine: Engine, drop: Path, victim: Path) -> None:
    swap(drop, victim.parent)
    with pytest.raises(DropFolderError, match="it is a link"):
        take(cli_engine, drop)


def test_a_drop_folder_that_is_replaced_meanwhile_leads_nowhere(
    cli_engine: Engine, drop: Path, victim: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def taken(*arguments: Any, **options: Any) -> Any:
        swap(drop, victim.parent)
        return take_file(*arguments, **options)

    monkeypatch.setattr(drop_folder, "take_file", taken)
    assert take(cli_engine, drop)[0].taken.added == 1
    assert (drop.with_name("moved") / "done" / "a.csv").exists()


@pytest.mark.parametrize("how", ["replaced", "written to"])
def test_a_file_that_comes_while_its_predecessor_is_taken_is_taken_next(
    cli_engine: Engine, drop: Path, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    def taken(*arguments: Any, **options: Any) -> Any:
        if how == "replaced":
            put(drop, "new", "order,courier,code\nA-1,DPD,2\n")
            (drop / "new").rename(drop / "a.csv")
        else:
            with (drop / "a.csv").open("a") as file:
                file.write("A-1,DPD,2\n")
        monkeypatch.undo()
        return take_file(*arguments, **options)

    monkeypatch.setattr(drop_folder, "take_file", taken)
    take(cli_engine, drop)
    age(drop / "a.csv")
    take(cli_engine, drop)
    assert {shipment.code for shipment in list_shipments(cli_engine)} == {"1", "2"}
    assert [path.name for path in drop.iterdir()] == ["done"]


# --- Exports ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("leads_to", ["a file", "nowhere"])
def test_an_export_is_not_written_through_a_link(
    desk_command: RunDesk, cli_engine: Engine, hot: Path, victim: Path, leads_to: str
) -> None:
    target = victim if leads_to == "a file" else victim.with_name("new")
    (hot / "orders.csv").symlink_to(target)
    said = refused(desk_command("orders", "export", "--output", str(hot / "orders.csv")))
    assert "can't be written (it is a link: name the file itself)" in said


def test_an_export_leaves_the_other_name_of_a_hard_link_as_it_was(
    desk_command: RunDesk, cli_engine: Engine, hot: Path, victim: Path
) -> None:
    insert_order(cli_engine)
    (hot / "orders.csv").hardlink_to(victim)
    assert desk_command("orders", "export", "--output", str(hot / "orders.csv")).code == 0
    assert "source_id" in (hot / "orders.csv").read_text()


def test_an_export_into_a_directory_that_is_replaced_meanwhile_leads_nowhere(hot: Path, victim: Path) -> None:
    with new_file(hot / "settings.env") as file:
        swap(hot, victim.parent)
        file.write("orders")
    assert (hot.with_name("moved") / "settings.env").read_text() == "orders"


@as_root
def test_an_export_is_not_written_into_the_pipe_of_another_user(hot: Path) -> None:
    os.mkfifo(hot / "orders.csv")
    os.chown(hot / "orders.csv", NOBODY, NOBODY)
    reader = os.open(hot / "orders.csv", os.O_RDONLY | os.O_NONBLOCK)
    with pytest.raises(typer.BadParameter, match="another user"), new_file(hot / "orders.csv") as file:
        file.write("orders")
    assert os.read(reader, 10) == b""
    os.close(reader)


def test_an_export_into_a_pipe_of_ours_and_a_device_works(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    read: list[str] = []
    reader = threading.Thread(target=lambda: read.append((tmp_path / "pipe").read_text()))
    reader.start()
    with new_file(tmp_path / "pipe") as file:
        file.write("orders")
    reader.join()
    assert read == ["orders"]
    with new_file(Path(os.devnull)) as file:
        file.write("orders")


# --- Backup, restore, logs ----------------------------------------------------------------------------------


def silent(_done: int, _total: int) -> None:
    """Nobody watches."""


@pytest.fixture
def other_database(tmp_path: Path) -> Iterator[Path]:
    """Another SQLite file of the desk's user, which must be the same at the end."""
    path = tmp_path / "other" / "prefect.db"
    path.parent.mkdir()
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE secrets (value TEXT)")
    connection.close()
    before = path.read_bytes()
    yield path
    assert path.read_bytes() == before
    assert [file.name for file in path.parent.iterdir()] == ["prefect.db"]


def test_a_backup_is_not_written_through_a_link(cli_engine: Engine, hot: Path, victim: Path) -> None:
    for target in (victim, victim.with_name("new")):
        clean_up_links(hot / "desk.db")
        (hot / "desk.db").symlink_to(target)
        for force in (False, True):
            with pytest.raises(DeskRefusedError, match="is a link"):
                back_up(cli_engine, hot / "desk.db", force=force, on_progress=silent)


@pytest.mark.parametrize("ending", ["", "-journal", "-wal"])
def test_what_is_planted_where_a_backup_is_made_is_not_written_to(
    cli_engine: Engine, hot: Path, other_database: Path, ending: str
) -> None:
    insert_order(cli_engine)
    (hot / f".backup.db.unfinished{ending}").symlink_to(other_database)
    back_up(cli_engine, hot / "backup.db", force=False, on_progress=silent)
    assert stat.S_IMODE((hot / "backup.db").lstat().st_mode) == 0o600
    with sqlite3.connect(hot / "backup.db") as copy:
        assert copy.execute("SELECT count(*) FROM orders").fetchone() == (1,)
    copy.close()


def test_in_a_directory_of_ours_a_planted_link_stops_the_backup(
    cli_engine: Engine, tmp_path: Path, other_database: Path
) -> None:
    (tmp_path / "kept").mkdir(mode=0o700)
    (tmp_path / "kept" / ".backup.db.unfinished").symlink_to(other_database)
    with pytest.raises(DeskSettingsError, match="it is a link"):
        back_up(cli_engine, tmp_path / "kept" / "backup.db", force=False, on_progress=silent)
    assert not (tmp_path / "kept" / "backup.db").exists()


def test_where_others_can_write_sqlite_opens_nothing(
    cli_engine: Engine, cli_database: Path, hot: Path, tmp_path: Path
) -> None:
    seen: set[Path] = set()

    def look(_done: int, _total: int) -> None:
        seen.update(path.parent for path in tmp_path.rglob(".*.unfinished"))

    back_up(cli_engine, hot / "backup.db", force=False, on_progress=look)
    assert seen == {cli_database.parent}
    (tmp_path / "kept").mkdir(mode=0o700)
    seen.clear()
    back_up(cli_engine, tmp_path / "kept" / "backup.db", force=False, on_progress=look)
    assert seen == {tmp_path / "kept"}
    assert list(tmp_path.rglob("*.unfinished*")) == []


def test_a_backup_to_another_file_system_is_copied_there_and_whole(
    cli_engine: Engine, hot: Path, other_database: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rename = os.rename

    def other_file_system(old: str, new: str, *, src_dir_fd: int, dst_dir_fd: int) -> None:
        if src_dir_fd != dst_dir_fd:
            (hot / f".{new}.unfinished").symlink_to(other_database)
            raise OSError(errno.EXDEV, os.strerror(errno.EXDEV))
        rename(old, new, src_dir_fd=src_dir_fd, dst_dir_fd=dst_dir_fd)

    insert_order(cli_engine)
    monkeypatch.setattr(os, "rename", other_file_system)
    back_up(cli_engine, hot / "backup.db", force=False, on_progress=silent)
    assert [path.name for path in hot.iterdir()] == ["backup.db"]
    assert stat.S_IMODE((hot / "backup.db").stat().st_mode) == 0o600
    copy = make_engine(f"sqlite:///{hot / 'backup.db'}")
    assert list(export_orders(copy)) == list(export_orders(cli_engine))
    copy.dispose()


def test_a_directory_that_is_replaced_during_a_backup_leads_nowhere(
    cli_engine: Engine, hot: Path, victim: Path
) -> None:
    def replaced(_done: int, _total: int) -> None:
        if not hot.is_symlink():
            swap(hot, victim.parent)

    back_up(cli_engine, hot / "settings.env", force=True, on_progress=replaced)
    assert (hot.with_name("moved") / "settings.env").read_bytes().startswith(b"SQLite format 3")


def test_a_restore_writes_through_no_link(
    cli_engine: Engine, cli_database: Path, tmp_path: Path, other_database: Path
) -> None:
    back_up(cli_engine, tmp_path / "backup.db", force=False, on_progress=silent)
    cli_database.with_name(f".{cli_database.name}.restoring").symlink_to(other_database)
    with pytest.raises(DeskSettingsError, match="it is a link"):
        restore(tmp_path / "backup.db", cli_engine, now=NOW, on_progress=silent)


def test_a_log_is_not_written_through_a_link(
    tmp_path: Path, victim: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from prefect.settings import PREFECT_HOME, temporary_settings

    (tmp_path / "home").mkdir()
    log = tmp_path / "home" / "desk-up-version.log"
    log.symlink_to(victim)
    with temporary_settings({PREFECT_HOME: tmp_path / "home"}), child("prefect", "version") as process:
        process.wait()
    assert not log.is_symlink()
    assert stat.S_IMODE(log.stat().st_mode) == 0o600
    assert log.stat().st_size > 0
