"""`desk sync` and the settings of shipping, on the command line."""

from __future__ import annotations

import json

import pytest
from sqlalchemy import Engine

from deployments.sandbox.server import Sandbox
from tests.support.builders import insert_order, insert_shipment
from tests.support.commands import RunDesk
from tests.support.connected import Connected


@pytest.fixture
def shipped(connected: Connected, engine: Engine) -> str:
    """A shipment that waits; the source id of its order."""
    source_id = next(order["id"] for order in connected.sandbox.store.all() if order.get("status") == "paid")
    insert_shipment(engine, insert_order(engine, source_id=source_id, project=connected.sandbox.project))
    return str(source_id)


def test_the_report_is_one_json_document(desk_command: RunDesk, shipped: str) -> None:
    result = desk_command("sync", "--json")
    report = json.loads(result.out)
    assert (result.code, result.err) == (0, "")
    assert list(report) == [
        *("run_id", "integration", "pending", "sent", "already_there"),
        *("waiting", "failed", "superseded", "seconds"),
    ]
    assert (report["pending"], report["sent"]) == (1, 1)
    assert "sync" in desk_command("runs").out


def test_nothing_to_send_is_done(desk_command: RunDesk, connected: Connected) -> None:
    result = desk_command("sync", "default")
    assert (result.code, result.err) == (0, "")
    assert "nothing to send" in result.out


@pytest.mark.parametrize(("fault", "code"), [("401", 3), ("403", 3), ("404", 4)])
def test_an_error_has_its_exit_code_and_the_report_all_the_same(
    desk_command: RunDesk, sandbox: Sandbox, shipped: str, fault: str, code: int
) -> None:
    sandbox.faults.then(fault, method="GET")
    result = desk_command("sync", "--json")
    assert (result.code, json.loads(result.out)["waiting"]) == (code, 1)
    assert result.err.startswith("Error: podOS ")


def test_podos_out_of_reach(desk_command: RunDesk, sandbox: Sandbox, shipped: str) -> None:
    import stamina

    sandbox.stop()
    with stamina.set_testing(True, attempts=2):
        result = desk_command("sync")
    assert result.code == 5
    assert "could not be reached" in result.err


@pytest.mark.parametrize("name", ["nobody", "No Name"])
def test_an_integration_that_does_not_exist(desk_command: RunDesk, connected: Connected, name: str) -> None:
    result = desk_command("sync", name, "--json")
    assert (result.code, result.out) == (2, "")


def test_read_only_mode_and_the_other_settings_are_set_by_connect(
    desk_command: RunDesk, sandbox: Sandbox, shipped: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    result = desk_command(
        *("connect", "--read-only", "--courier", "RM24=Royal Mail", "--courier", "EV = Evri"),
        *("--move-to", "NONE", "--connections", "4", "--requests-per-second", "50", "--json"),
    )
    shown = json.loads(result.out)
    assert (shown["read_only"], shown["couriers"]) == (True, {"RM24": "Royal Mail", "EV": "Evri"})
    assert (shown["after_shipment_folder"], shown["connections"], shown["requests_per_second"]) == ("", 4, 50)
    synced = desk_command("sync", "--json")
    assert json.loads(synced.out)["would_send"] == 1
    assert "nothing was sent, 1 would be" in synced.err
    assert sandbox.store.patches == []
    settings = desk_command("settings").out
    assert "Read-Only Mode" in settings
    assert "RM24: Royal Mail" in settings


@pytest.mark.parametrize("arguments", [("--courier", "RM24"), ("--connections", "0"), ("--move-to", "a\nb")])
def test_settings_that_make_no_sense_are_refused(
    desk_command: RunDesk, connected: Connected, arguments: tuple[str, ...]
) -> None:
    result = desk_command("connect", *arguments)
    assert result.code == 2
    assert "Error: " in result.err
