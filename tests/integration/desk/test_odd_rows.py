"""Whatever another program wrote into whatever column: every list shows all rows, the odd one too."""

from __future__ import annotations

import io
import json
import shutil
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine

from deployments.cli.orders import Rows, _write_csv, _write_jsonl
from models import migrations
from models.rules import RuleEvent
from models.tables import metadata
from tasks.desk.browse import export_orders, find_order, list_orders
from tasks.desk.engine import make_engine, reading
from tasks.desk.events import has_rules
from tasks.desk.folders import list_folders
from tasks.desk.leases import at_work
from tasks.desk.open_changes import list_changes
from tasks.desk.run_history import list_runs
from tasks.desk.runs import last_complete_check, past_checks
from tasks.fulfilment.check import problems_of
from tasks.fulfilment.queue import due_for_a_look, take_due
from tasks.fulfilment.store import list_handovers
from tasks.imports.rejected import waiting_rows
from tasks.imports.rejected_list import list_rejected
from tasks.imports.store import last_looks
from tasks.monitoring.store import take_snapshot
from tasks.reconciliation.store import orders_here
from tasks.rules.apply import apply_rules
from tasks.rules.maps_store import UnusableMapError, list_maps, read_maps
from tasks.rules.store import list_rules
from tasks.tracking.shipment_list import list_shipments
from tasks.upkeep.backup import back_up
from tasks.upkeep.erase import count_erasable, older_than
from tests.support.odd_values import columns_of, plant, values_for
from tests.support.old_desks import FIRST_ID, ROWS, build

NOW = datetime(2026, 11, 25, tzinfo=UTC)
ODD = 1
"""The row that is changed; the rows of one number belong together, in all tables."""
GOOD = {FIRST_ID, FIRST_ID + 2}
OF_ORDERS = ("orders", "order_items", "folders", "order_history", "order_changes", "import_runs")


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An SQLite desk with rows in all tables."""
    path = tmp_path_factory.mktemp("filled") / "desk.db"
    engine = make_engine(f"sqlite:///{path}")
    build(engine, migrations.HEAD)
    engine.dispose()
    return path


@pytest.fixture
def desk(database: str, filled: Path, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Engine]:
    """A desk with rows in all tables."""
    if database == "sqlite":
        shutil.copy(filled, tmp_path / "desk.db")
        engine = make_engine(f"sqlite:///{tmp_path / 'desk.db'}")
    else:
        engine = make_engine(request.getfixturevalue("empty_url"))
        build(engine, migrations.HEAD)
    yield engine
    engine.dispose()


def shown(rows: Iterable[Any]) -> set[int]:
    """Write rows as `--json` does, and return their ids."""
    documents = [row if isinstance(row, dict) else row.as_dict() for row in rows]
    json.dumps(documents, ensure_ascii=False, allow_nan=False).encode()
    return {document["id"] for document in documents if "id" in document}


def see_orders(engine: Engine) -> None:
    orders = list(export_orders(engine))
    assert shown(orders) == {order.id for order in list_orders(engine)} == GOOD | {FIRST_ID + ODD}
    _write_jsonl(orders, io.StringIO())
    _write_csv(orders, io.StringIO())
    _write_csv(orders, io.StringIO(), rows=Rows.ITEMS)
    for order in orders:
        shown([find_order(engine, str(order["id"])).as_dict()])
        problems_of(order)
    shown(list_changes(engine, only_open=False))
    list_folders(engine)
    sources = [f"orders source_id {number}" for number in range(ROWS)]
    with reading(engine) as connection:
        for number in range(ROWS):
            last_looks(connection, f"orders project {number}", sources)
            orders_here(connection, f"orders project {number}", sources)


def see_lists(engine: Engine) -> None:
    for rows in (list_shipments(engine), list_handovers(engine), list_runs(engine), list_rejected(engine)):
        assert shown(rows) == GOOD | {FIRST_ID + ODD}
    assert len(list_rules(engine)) == len(list_maps(engine)) == ROWS


def look_around(engine: Engine) -> None:
    """Ask what runs ask before their own work."""
    take_snapshot(engine, now=NOW)
    count_erasable(engine, older_than(NOW))
    at_work(engine, now=NOW)
    for number in range(ROWS):
        past_checks(engine, f"import_runs integration {number}")
        last_complete_check(engine, f"import_runs integration {number}")
        waiting_rows(engine, f"rejected_orders project {number}")
        take_due(engine, f"handovers fulfiller {number}", now=NOW, limit=9)
        due_for_a_look(engine, f"handovers fulfiller {number}", now=NOW, limit=9)
    with reading(engine) as connection:
        assert all(has_rules(connection, event) for event in [RuleEvent.IMPORTED])


@pytest.mark.parametrize("table", sorted(metadata.tables))
def test_every_list_survives_every_value_in_every_column(desk: Engine, table: str, tmp_path: Path) -> None:
    key = next(iter(metadata.tables[table].primary_key))
    row = str(FIRST_ID + ODD) if "INT" in str(key.type) else f"'{table} {key.name} {ODD}'"
    planted = 0
    for column in columns_of(table):
        for value in values_for(column, desk.dialect.name):
            if plant(desk, table, row, column.name, value, key.name):
                planted += 1
                see_orders(desk) if table in OF_ORDERS else see_lists(desk)
                look_around(desk)
    assert planted
    see_orders(desk)  # by now the whole row is odd
    see_lists(desk)
    if desk.dialect.name == "sqlite":
        back_up(desk, tmp_path / "backup.db", force=False, on_progress=lambda _done, _total: None)


def test_a_map_that_can_not_be_read_keeps_the_orders_of_its_fulfiller_only(desk: Engine) -> None:
    for number in range(ROWS):
        plant(desk, "fulfiller_maps", str(FIRST_ID + number), "definition", """'{"map": "carrier"}'""")
    with pytest.raises(UnusableMapError, match="desk maps load"):
        read_maps(desk, "fulfiller_maps fulfiller 1")
    assert read_maps(desk, "somebody else") == {}


def test_rules_that_can_not_be_read_let_all_that_happened_wait(desk: Engine) -> None:
    result = apply_rules(desk, now=NOW)
    assert "can't be used: definition can't be read: it is not a rule" in str(result.problem)
    assert "desk rules off NAME" in str(result.problem)
    with reading(desk) as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM rule_events").scalar() == ROWS
