"""What podOS changes after the import, through checks, imports and commands as people run them."""

from __future__ import annotations

import json
from typing import Any

import pytest
from sqlalchemy import Engine, text

from flows import import_orders
from models.reports import ImportReport, Outcome
from models.upstream import HELD_FROZEN, Noted
from tasks.desk.browse import export_orders, find_order
from tasks.imports.report import report_page
from tests.support.commands import RunDesk, refused
from tests.support.connected import Connected


@pytest.fixture
def announced(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """The events that would go to a server."""
    events: list[dict[str, Any]] = []

    async def emit_events_of(new: list[dict[str, Any]]) -> bool:
        events.extend(new)
        return True

    monkeypatch.setattr(import_orders, "emit_order_events", emit_events_of)
    return events


def noted(report: ImportReport) -> dict[str, int]:
    return {name: count for name, count in report.as_dict()["changed_upstream"].items() if count}


def change(connected: Connected, source_id: str, **fields: Any) -> None:
    connected.sandbox.store.update(source_id, **fields)


def move_house(connected: Connected, source_id: str, city: str) -> None:
    address = (connected.sandbox.store.get(source_id) or {})["shippingAddress"]
    change(connected, source_id, shippingAddress=address | {"city": city})


def new_artwork(connected: Connected, source_id: str, design: str) -> None:
    items = (connected.sandbox.store.get(source_id) or {})["items"]
    prints = [{**item, "design": design} for item in items[0]["applications"]]
    change(connected, source_id, items=[{**items[0], "applications": prints}, *items[1:]])


def printed(engine: Engine, folder: str = "New") -> list[dict[str, Any]]:
    """Orders whose first item has a print."""
    return [
        order
        for order in export_orders(engine, folder=folder)
        if "print_url_1" in order["items"][0]["metadata"]
    ]


def test_a_check_notes_what_changed_once_and_every_order_has_one_outcome(
    connected: Connected, engine: Engine, announced: list[dict[str, Any]]
) -> None:
    connected.set(canceled_folder="Refunds")
    connected.check()
    ids = [order["source_id"] for order in printed(engine)[:4]]
    change(connected, ids[0], status="refunded")
    change(connected, ids[1], frozen=True, frozenReasons=["fraud"])
    move_house(connected, ids[2], "Newtown Sample")
    new_artwork(connected, ids[3], "https://artwork.example.test/new.png")

    report, again = connected.check(), connected.check()

    assert noted(report) == {"canceled": 1, "held": 1, "address": 1, "artwork": 1}
    assert noted(again) == {}
    assert report.fetched == sum(report.counts.values())
    assert report.counts[Outcome.ALREADY_IMPORTED] >= 4
    assert report.one_line().endswith("changed upstream: canceled 1, held 1, address 1, artwork 1")
    assert "| Changed upstream: refunded before it shipped | 1 |" in str(report_page(report))
    assert sorted(change["change"] for change in announced) == ["address", "artwork", "canceled", "held"]
    assert set(announced[0]) == {"event", "id", "source_id", "project", "integration", "change"}
    orders = {order["source_id"]: order for order in export_orders(engine)}
    assert orders[ids[0]]["folder"] == "Refunds"
    assert orders[ids[1]]["hold_reason"] == HELD_FROZEN
    assert orders[ids[2]]["shipping"]["city"] != "Newtown Sample"


def test_a_scan_from_the_start_and_a_manual_import_see_changes_as_well(
    connected: Connected, engine: Engine
) -> None:
    """After changed filters nothing later would look at what changed before."""
    connected.check()
    first, second, third = (order["source_id"] for order in printed(engine)[:3])
    change(connected, first, status="refunded")
    connected.set(statuses=["paid", "printed"])
    assert noted(connected.check()) == {"canceled": 1}

    change(connected, second, status="refunded")
    assert noted(connected.manual_import("2020-01-01", dry_run=True)) == {"canceled": 1}
    assert noted(connected.manual_import("2020-01-01")) == {"canceled": 1}
    change(connected, third, status="refunded")
    assert noted(connected.import_single(third)) == {"canceled": 1}
    assert noted(connected.check()) == {}
    assert find_order(engine, third).order["folder"] == "Canceled"


def test_tracking_that_we_sent_ourselves_is_no_change(connected: Connected, engine: Engine) -> None:
    from tests.support.builders import insert_shipment

    connected.check()
    orders = printed(engine)[:3]
    for order in orders:
        insert_shipment(engine, order["id"], code=f"CODE{order['id']}")
    connected.sync()
    before = [find_order(engine, order["source_id"]).history for order in orders]
    assert noted(connected.check()) == {}
    assert [find_order(engine, order["source_id"]).history for order in orders] == before
    change(connected, orders[0]["source_id"], status="refunded")
    assert noted(connected.check()) == {"after_shipping": 1}
    assert find_order(engine, orders[0]["source_id"]).order["folder"] == "Closed"


def test_a_person_lists_takes_and_keeps(connected: Connected, engine: Engine, desk_command: RunDesk) -> None:
    connected.check()
    first, second = printed(engine)[:2]
    for order in (first, second):
        move_house(connected, order["source_id"], "Newtown Sample")
    result = desk_command("check")
    assert "Changed upstream: address" in result.out

    listed = json.loads(desk_command("changes", "--json").out)
    assert {change["order_id"] for change in listed} == {first["id"], second["id"]}
    assert "Newtown" not in desk_command("changes").out
    assert len(json.loads(desk_command("orders", "--changed", "--json").out)) == 2
    shown = desk_command("order", str(first["id"])).out
    assert f"  ship_city: {first['shipping']['city']} -> Newtown Sample" in shown
    assert f"desk changes take desk:{first['id']}" in shown

    assert desk_command("changes", "take", str(first["id"])).out == "1 change taken over\n"
    kept = desk_command("changes", "keep", str(second["id"]), "--json")
    assert json.loads(kept.out) == {
        "changes": [listed[0 if listed[0]["order_id"] == second["id"] else 1]["id"]]
    }
    assert "no change that waits for anybody" in refused(desk_command("changes", "keep", str(second["id"])))
    assert json.loads(desk_command("orders", "--changed", "--json").out) == []
    assert len(json.loads(desk_command("changes", "--all", "--json").out)) == 2
    cities = [find_order(engine, order["source_id"]).order["shipping"]["city"] for order in (first, second)]
    assert cities == ["Newtown Sample", second["shipping"]["city"]]
    refused(desk_command("changes", "--all", "take", "1"))


def test_the_setting_is_made_shown_and_emptied(
    desk_command: RunDesk, connected: Connected, engine: Engine
) -> None:
    assert json.loads(desk_command("settings", "--json").out)["canceled_folder"] == "Canceled"
    shown = json.loads(desk_command("connect", "default", "--if-canceled", "NONE", "--json").out)
    assert shown["canceled_folder"] == ""
    assert "orders stay, and are held" in desk_command("settings").out
    connected.set(canceled_folder="")
    connected.check()
    source_id = printed(engine)[0]["source_id"]
    change(connected, source_id, status="refunded")
    assert connected.check().changed[Noted.CANCELED] == 1
    order = find_order(engine, source_id).order
    assert (order["folder"], order["hold_reason"]) == ("New", "refunded in podOS")


def test_reconcile_knows_what_a_check_has_seen(
    connected: Connected, engine: Engine, desk_command: RunDesk
) -> None:
    connected.set(canceled_folder="Refunds")
    connected.check()
    refunded, moved, completed = (order["source_id"] for order in printed(engine)[:3])
    change(connected, refunded, status="refunded")
    move_house(connected, moved, "Newtown Sample")
    change(connected, completed, status="complete")
    connected.check()
    found = json.loads(desk_command("reconcile", "--json").out)["differences"]
    assert (found["refunded_there"], found["address_differs"], found["complete_there_only"]) == (0, 1, 1)
    with engine.connect() as connection:
        flags = connection.execute(text("SELECT count(*) FROM order_changes WHERE state = 'open'"))
        assert flags.scalar_one() == 1
