"""A desk moves from SQLite into PostgreSQL: complete, checked, and resumable."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import Engine, text

from tasks.desk.browse import export_orders
from tasks.desk.engine import make_engine, open_desk
from tasks.desk.errors import DeskRefusedError
from tasks.desk.folders import add_folder
from tasks.desk.leases import HeldLease, LeaseHeldError
from tasks.upkeep import copy_desk as copying
from tasks.upkeep.copy_desk import copy_desk
from tests.conftest import _postgres_database
from tests.support.builders import (
    fill_folder,
    insert_lease,
    insert_order,
    insert_rejected,
    insert_run,
    insert_shipment,
)
from tests.support.commands import RunDesk, refused
from tests.support.odd_values import plant


@pytest.fixture
def source(sqlite_template: Path, tmp_path: Path) -> Iterator[Engine]:
    """A desk on SQLite with something in every table that people fill."""
    shutil.copy(sqlite_template, tmp_path / "source.db")
    engine = make_engine(f"sqlite:///{tmp_path / 'source.db'}")
    add_folder(engine, "Urgent")
    run_id = insert_run(engine)
    with engine.begin() as connection:
        fill_folder(connection, "Closed", run_id=run_id, count=60)
    for number in range(12):
        insert_order(engine, folder="Urgent", run_id=run_id, order_number=f"A-{number}", items=({}, {}))
    insert_rejected(engine, run_id=run_id)
    yield engine
    engine.dispose()


@pytest.fixture
def target(postgres_server: str) -> Iterator[Engine]:
    """A new desk on PostgreSQL."""
    for url in _postgres_database(postgres_server, "template1"):
        engine = open_desk(url)
        yield engine
        engine.dispose()


def silent(_table: str, _done: int) -> None:
    """Nobody watches."""


def test_the_copy_is_the_same_desk_and_goes_on_living(source: Engine, target: Engine) -> None:
    counts = copy_desk(source, target, silent)
    assert counts["orders"] == 72
    assert counts["order_items"] == 24
    assert list(export_orders(target)) == list(export_orders(source))
    new = insert_order(target, folder="Urgent")
    assert new > 72


def test_an_interrupted_copy_goes_on(source: Engine, target: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(copying, "CHUNK_ROWS", 10)

    def stop_in_the_middle(table: str, _done: int) -> None:
        with target.connect() as connection:
            if (
                table == "orders"
                and connection.execute(text("SELECT count(*) FROM orders")).scalar_one() > 25
            ):
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        copy_desk(source, target, stop_in_the_middle)
    again: list[str] = []
    copy_desk(source, target, lambda table, _done: again.append(table))
    assert "folders" not in again
    assert list(export_orders(target)) == list(export_orders(source))


def test_copying_twice_changes_nothing(source: Engine, target: Engine) -> None:
    first = copy_desk(source, target, silent)
    assert copy_desk(source, target, silent) == first


def test_a_target_that_holds_something_else_is_refused(source: Engine, target: Engine) -> None:
    insert_order(target)
    with pytest.raises(DeskRefusedError, match="differs"):
        copy_desk(source, target, silent)


def test_a_desk_at_work_is_not_copied(source: Engine, target: Engine) -> None:
    insert_lease(source, "check:default", expires_at=datetime.now(UTC) + timedelta(minutes=1))
    with pytest.raises(DeskRefusedError, match="at work"):
        copy_desk(source, target, silent)


def test_no_run_begins_while_the_desk_is_copied(source: Engine, target: Engine) -> None:
    refused: list[str] = []

    def check(table: str, _done: int) -> None:
        with pytest.raises(LeaseHeldError), HeldLease(source, "check:default"):
            pass
        refused.append(table)

    copy_desk(source, target, check)
    assert refused
    with HeldLease(source, "check:default"):
        pass


def test_a_target_on_sqlite_is_refused_and_not_made(desk_command: RunDesk, tmp_path: Path) -> None:
    other = tmp_path / "other.db"
    assert "desk backup" in refused(desk_command("copy-to", f"sqlite:///{other}"))
    assert not other.exists()


@pytest.mark.parametrize(
    ("table", "column", "value", "problem"),
    [
        ("shipments", "shipped_at", "'23/11/2026'", "shipped_at can't be read: it is not a time such as"),
        ("shipments", "code", "CAST('155' AS BLOB)", "code can't be read: it is bytes or a number, not text"),
        ("shipments", "code", "'a' || char(0) || 'b'", "the desk's database refused: "),
        ("shipments", "attempts", "4294967296", "the desk's database refused: "),
        ("shipments", "order_id", "4711", "the desk's database refused: "),
        ("orders", "metadata", "'[1]'", "metadata can't be read: it is not the JSON that belongs there"),
    ],
)
def test_what_can_not_be_copied_is_named_by_its_row_and_nothing_else_is_lost(
    source: Engine, target: Engine, table: str, column: str, value: str, problem: str
) -> None:
    for order in range(1, 41):
        insert_shipment(source, order, code=f"D{order}")
    assert plant(source, table, 17, column, value)
    with pytest.raises(DeskRefusedError) as caught:
        copy_desk(source, target, silent)
    message = str(caught.value)
    assert message.startswith(f"table {table}, id 17: {problem}")
    assert message.endswith("; correct it and copy again")
    good = {"shipped_at": "NULL", "code": "'D17'", "attempts": "0", "order_id": "17", "metadata": "'{}'"}
    plant(source, table, 17, column, good[column])
    assert copy_desk(source, target, silent)["shipments"] == 40
