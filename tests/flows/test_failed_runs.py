"""A run that failed never ends with exit code 0, whatever it had done and said by then."""

from __future__ import annotations

import asyncio
import importlib
import inspect
import json
import pkgutil
import re
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from prefect import Flow
from sqlalchemy import Engine

import flows
from deployments.sandbox.server import Sandbox
from models.forms import Reconcile
from models.rules import RuleForm
from tasks.rules.store import save_rules
from tasks.tracking.shipment_list import list_shipments
from tests.support.builders import insert_order, insert_rejected, insert_shipment
from tests.support.commands import RunDesk
from tests.support.connected import Connected
from tests.support.odd_values import NO_TEXT, plant
from tests.support.sending import queue

SINCE = "2020-01-01"


class Run(NamedTuple):
    """A command that starts a run, and where a fault is planted in it: as late as it comes."""

    flow: str
    command: tuple[str, ...]
    fault: str


RUNS = [
    Run("check-for-new-orders", ("check",), "flows.import_orders.publish_report"),
    Run("manual-import", ("import", "--since", SINCE), "flows.import_orders.publish_report"),
    Run("manual-import", ("import", "--since", SINCE, "--json"), "flows.import_orders.react"),
    Run("import-single-orders", ("import", "--order", "ORDER"), "flows.import_orders.publish_report"),
    Run("replay-rejected", ("rejected", "replay"), "flows.import_orders.note_gone"),
    Run("sync-tracking", ("sync",), "tasks.tracking.send.sift"),
    Run("sync-tracking", ("sync", "--json"), "flows.sync_tracking.publish_sync_report"),
    Run("send-orders", ("send",), "flows.send_orders.hand_over"),
    Run("send-orders", ("send", "--to", "press"), "flows.send_orders.publish_send_report"),
    Run("reconcile", ("reconcile",), "flows.reconcile_orders.publish_reconcile_report"),
    Run("reconcile", ("reconcile", "--fix", "--json"), "flows.reconcile_orders.recorded_import"),
    Run("backfill-orders", ("backfill", "--since", SINCE), "flows.backfill_orders.check_workers"),
    Run("", ("rules", "run", "Hold", "--folder", "New"), "tasks.rules.apply._look"),
    Run("", ("move", "desk:1", "--to", "Closed"), "tasks.rules.apply.apply_rules"),
    Run("", ("ship", "--watch", "DIRECTORY"), "tasks.tracking.drop_folder.take_folder"),
]
NO_COMMAND = {
    "watch-shipments": "a deployment only: test_a_flow_without_a_command_fails_as_well",
    "import-window": "the backfill starts it on workers: tests/flows/test_backfill.py",
}


@pytest.fixture
def floor(
    connected: Connected, engine: Engine, desk_command: RunDesk, tmp_path: Path
) -> tuple[Engine, dict[str, str]]:
    """A desk with work for every command, and what stands for words of its commands."""
    (tmp_path / "press").mkdir()
    added = desk_command("fulfillers", "add", "folder", "press", "--directory", str(tmp_path / "press"))
    assert added.code == 0, added.err
    paid = next(order["id"] for order in connected.sandbox.store.all() if order.get("status") == "paid")
    order = insert_order(engine, source_id=paid, project=connected.sandbox.project)
    insert_shipment(engine, order)
    queue(engine, 1, "press")
    insert_rejected(engine, project=connected.sandbox.project, source_id="gone")
    hold = {"name": "Hold", "event": "folder changed", "actions": [{"hold": "look"}]}
    save_rules(engine, [RuleForm.model_validate(hold)])
    return engine, {"ORDER": str(paid), "DIRECTORY": str(tmp_path)}


@pytest.mark.parametrize("run", RUNS, ids=lambda run: " ".join(run.command))
def test_a_fault_of_the_program_ends_in_a_sentence_and_an_exit_code(
    run: Run,
    floor: tuple[Engine, dict[str, str]],
    desk_command: RunDesk,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    module, _, name = run.fault.rpartition(".")

    def fault(*_args: object, **_named: object) -> None:
        raise ZeroDivisionError("planted")

    monkeypatch.setattr(importlib.import_module(module), name, fault)
    result = desk_command(*(floor[1].get(word, word) for word in run.command))
    last = result.err.strip().splitlines()[-1]
    assert result.code == 1, result
    assert re.match(r"Error: unexpected ZeroDivisionError in \w+\.py, line \d+: ", last), last
    assert "Traceback" not in result.err
    if run.flow:  # the sentence sends people to the log of the run
        (logged,) = [
            record.getMessage() for record in caplog.records if record.name.endswith("foreign_errors")
        ]
        assert ", in fault\n" in logged
        assert '"planted"' in logged  # a line of this program; not what the error said
        assert "ZeroDivisionError: planted" not in logged


def test_every_flow_is_among_them() -> None:
    modules = [
        importlib.import_module(f"flows.{found.name}") for found in pkgutil.iter_modules(flows.__path__)
    ]
    found = {
        value.name
        for module in modules
        for _, value in inspect.getmembers(module, lambda value: isinstance(value, Flow))
    }
    assert found == {run.flow for run in RUNS if run.flow} | NO_COMMAND.keys()


def test_a_flow_without_a_command_fails_as_well(
    cli_database: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from flows import collect_shipments as module

    def fault(*_args: object, **_named: object) -> None:
        raise ZeroDivisionError("planted")

    monkeypatch.setattr(module, "take_folder", fault)
    state = asyncio.run(_state_of(module.watch_shipments, str(tmp_path)))
    assert state.is_failed()


async def _state_of(flow: Any, *args: Any) -> Any:
    return await flow(*args, return_state=True)


def test_bytes_in_one_shipment_fail_it_alone_and_the_command_says_so(
    floor: tuple[Engine, dict[str, str]], desk_command: RunDesk, cli_database: Path, sandbox: Sandbox
) -> None:
    paid = [order["id"] for order in sandbox.store.all() if order.get("status") == "paid"]
    order = insert_order(floor[0], source_id=paid[1], project=sandbox.project)
    with closing(sqlite3.connect(cli_database)) as connection:
        connection.execute("INSERT INTO shipments (order_id, courier, code) VALUES (?, 'DPD', '1')", [order])
        connection.commit()
    assert plant(floor[0], "shipments", 2, "code", "CAST('15501234567890' AS BLOB)")
    report = json.loads(desk_command("sync", "--json").out)
    assert (report["sent"], report["failed"]) == (1, 1)
    failed = desk_command("shipments", "--failed")
    assert "code can't be read: it is bytes or a number, not text" in failed.out
    assert json.loads(desk_command("shipments", "--failed", "--json").out)[0]["id"] == 2


@pytest.mark.parametrize(
    ("flow", "name", "fault"),
    [
        ("sync_tracking", "sync_tracking", "tasks.tracking.send.sift"),
        ("check_orders", "check_for_new_orders", "flows.check_orders.check"),
        ("reconcile_orders", "reconcile_orders", "flows.reconcile_orders.newest_date"),
    ],
)
def test_a_fault_at_one_integration_is_not_the_others(
    floor: tuple[Engine, dict[str, str]],
    sandbox: Sandbox,
    monkeypatch: pytest.MonkeyPatch,
    flow: str,
    name: str,
    fault: str,
) -> None:
    """The first of two integrations fails unexpectedly; the second has its turn, and the run fails."""
    Connected("another", sandbox)
    where, _, what = fault.rpartition(".")
    module = importlib.import_module(where)
    usual, turns = getattr(module, what), []

    def first_fails(*args: Any, **named: Any) -> Any:
        turns.append(args)
        if len(turns) == 1:
            raise ZeroDivisionError("planted")
        return usual(*args, **named)

    monkeypatch.setattr(module, what, first_fails)
    engine = floor[0]
    plant(engine, "orders", 1, "integration", "'another'")
    paid = [order["id"] for order in sandbox.store.all() if order.get("status") == "paid"]
    insert_shipment(engine, insert_order(engine, source_id=paid[1], project=sandbox.project), "D2")
    argument = Reconcile(integration="") if flow == "reconcile_orders" else ""
    state = asyncio.run(_state_of(getattr(importlib.import_module(f"flows.{flow}"), name), argument))
    assert state.is_failed()
    assert len(turns) >= 2
    assert "ZeroDivisionError" in state.message
    assert "another: " in state.message
    assert "default: " in state.message
    if flow == "sync_tracking":
        assert sorted(shipment.state for shipment in list_shipments(engine)) == ["sent", "waiting"]


def test_bytes_do_not_stop_the_tracking_of_the_flow(
    connected: Connected, engine: Engine, sandbox: Sandbox
) -> None:
    paid = [order["id"] for order in sandbox.store.all() if order.get("status") == "paid"]
    for number, source_id in enumerate(paid[:3]):
        insert_shipment(
            engine, insert_order(engine, source_id=source_id, project=sandbox.project), f"D{number}"
        )
    plant(engine, "shipments", 2, "code", NO_TEXT["bytes"])
    connected.sync()
    assert [shipment.state for shipment in list_shipments(engine)] == ["sent", "failed", "sent"]
