"""Every released schema, with rows in all its tables, is brought up to date, whole or not at all."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from alembic import command
from sqlalchemy import Engine, event

from models import migrations
from models.reports import Outcome
from tasks.desk.browse import export_orders, find_order, list_orders
from tasks.desk.engine import make_engine, open_desk, upgrade, writing
from tasks.desk.errors import DeskError
from tasks.desk.folders import list_folders
from tasks.desk.run_history import list_runs
from tasks.fulfilment.store import list_handovers
from tasks.imports.rejected_list import list_rejected
from tasks.tracking.shipment_list import list_shipments
from tests.support import example_desk
from tests.support.old_desks import (
    CHANGED_BY_A_MIGRATION,
    FIRST_ID,
    ROWS,
    alembic_config,
    build,
    revisions,
    rows_of,
    schema_of,
)

ORDERS = 30


@pytest.fixture
def empty(empty_url: str) -> Iterator[Engine]:
    """A database with nothing in it."""
    engine = make_engine(empty_url)
    yield engine
    engine.dispose()


def kept(before: dict[str, dict[str, list[str]]], after: dict[str, dict[str, list[str]]]) -> None:
    """Make sure that every value that was there still is."""
    for table, columns in before.items():
        if table == "alembic_version":
            continue
        for column, values in columns.items():
            if f"{table}.{column}" not in CHANGED_BY_A_MIGRATION:
                assert after[table][column] == values, f"{table}.{column}"


@pytest.mark.parametrize("revision", revisions())
def test_a_desk_of_any_revision_keeps_its_rows_and_works(
    empty: Engine, empty_url: str, revision: str
) -> None:
    build(empty, revision)
    before = rows_of(empty)
    tables = [columns for name, columns in before.items() if name != "alembic_version"]
    assert all(len(values) >= ROWS for columns in tables for values in columns.values())

    open_desk(empty_url).dispose()

    kept(before, rows_of(empty))
    config = alembic_config()
    with writing(empty) as connection:
        config.attributes["connection"] = connection
        command.check(config)
    imported = example_desk.fill(empty, orders=ORDERS).counts[Outcome.IMPORTED]
    assert imported
    assert len(list(export_orders(empty))) == len(list_orders(empty, limit=1000)) == imported + ROWS
    assert find_order(empty, str(FIRST_ID)).order["order_number"] == "orders order_number 0"
    listed: list[Any] = [list_folders(empty), list_runs(empty), list_rejected(empty)]
    listed += [list(list_shipments(empty, limit=9)), list(list_handovers(empty, limit=9))]
    assert all(listed[:3])


class CutOffError(Exception):
    """The power goes."""


@pytest.mark.parametrize("revision", revisions()[1:])
def test_a_migration_that_is_cut_off_leaves_the_old_schema_whole(
    empty: Engine, empty_url: str, revision: str
) -> None:
    build(empty, revisions()[revisions().index(revision) - 1])
    rows, schema = rows_of(empty), schema_of(empty)

    def cut_off(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if statement.startswith("UPDATE alembic_version") and revision in statement:
            raise CutOffError  # all that this migration does was done

    event.listen(empty, "before_cursor_execute", cut_off)
    with pytest.raises(CutOffError):
        upgrade(empty)
    event.remove(empty, "before_cursor_execute", cut_off)

    assert (rows_of(empty), schema_of(empty)) == (rows, schema)
    open_desk(empty_url).dispose()
    kept(rows, rows_of(empty))
    assert rows_of(empty)["alembic_version"] == {"version_num": [repr(migrations.HEAD)]}


def test_the_check_of_kept_rows_finds_a_lost_one() -> None:
    with pytest.raises(AssertionError, match=r"orders\.name"):
        kept({"orders": {"name": ["1", "2"]}}, {"orders": {"name": ["1"]}})


def test_an_error_of_a_migration_is_the_desks_own(empty: Engine) -> None:
    build(empty, "0001")
    with writing(empty) as connection:  # in the way of what 0002 makes
        connection.exec_driver_sql("CREATE TABLE shipments (id INTEGER)")
    schema = schema_of(empty)
    with pytest.raises(DeskError):
        upgrade(empty)
    assert schema_of(empty) == schema
