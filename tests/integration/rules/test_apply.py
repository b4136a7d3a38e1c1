"""Rules at work in a desk: each event once, whatever happens between, and all that they change."""

from __future__ import annotations

import threading
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import Engine, text

from models.maps import MapForm, MapKind
from models.reports import ImportReport
from models.rules import RuleForm
from tasks.desk.browse import find_order
from tasks.desk.engine import writing
from tasks.desk.errors import DeskRefusedError
from tasks.desk.events import events_wait
from tasks.desk.folders import delete_folder, move_orders
from tasks.desk.runs import begin_run
from tasks.imports.load import ImportRunContext, load
from tasks.imports.transform import prepare
from tasks.podos.scan import Batch
from tasks.rules import apply as module
from tasks.rules.apply import RulesResult, apply_by_hand, apply_rules
from tasks.rules.effects_store import write_effects
from tasks.rules.maps_store import read_maps, save_maps
from tasks.rules.store import list_rules, save_rules, switch_rule
from tests.support.builders import insert_order, insert_shipment
from tests.support.loading import SETTINGS, fulfillment

NOW = datetime(2026, 11, 23, 10, 15, tzinfo=UTC)


def rule(name: str, *actions: dict[str, Any], event: str = "order imported", **more: Any) -> RuleForm:
    return RuleForm.model_validate({"name": name, "event": event, "actions": list(actions), **more})


def import_orders(desk: Engine, *source_ids: str) -> None:
    """Load orders as an import does, without the rules' step behind it."""
    report = ImportReport("default", "check", dry_run=False)
    report.run_id = begin_run(
        desk, SETTINGS, report, lease_name="check:default", mark_before=None, flow_run_id=None, now=NOW
    )
    run = ImportRunContext(desk, SETTINGS, report)
    load(prepare(Batch(1, tuple(map(fulfillment, source_ids)), None), SETTINGS), run, now=NOW)


def apply(desk: Engine) -> RulesResult:
    return apply_rules(desk, now=NOW)


def fired(desk: Engine, reference: str) -> list[str]:
    return [entry.text for entry in find_order(desk, reference).history if entry.event == "rule"]


HOLD = rule("Hold", {"hold": "look"})


def test_imported_fires_once_for_ever_also_after_a_crash_before_the_rules(desk: Engine) -> None:
    save_rules(desk, [HOLD])
    import_orders(desk, "a", "b")  # and here the power went
    import_orders(desk, "a", "b", "c")
    assert events_wait(desk)
    assert (apply(desk).fired, apply(desk).fired) == (3, 0)
    import_orders(desk, "a", "b", "c")
    assert not events_wait(desk)
    assert apply(desk).orders == 0
    assert fired(desk, "a") == ["Hold: held: look"]
    assert find_order(desk, "a").order["hold_reason"] == "look"


def test_a_crash_in_the_midst_of_the_rules_leaves_the_event_and_no_half_work(
    desk: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_rules(desk, [rule("Rush", {"move_to": "Prepared"}, {"hold": "x"})])
    import_orders(desk, "a")

    def crash(*args: Any, **named: Any) -> None:
        write_effects(*args, **named)
        raise RuntimeError("the power went")

    with monkeypatch.context() as patch:
        patch.setattr(module, "write_effects", crash)
        with pytest.raises(RuntimeError):
            apply(desk)
    assert find_order(desk, "a").order["folder"] == "Incoming"
    assert apply(desk).fired == 1
    assert find_order(desk, "a").order["folder"] == "Prepared"
    assert len(fired(desk, "a")) == 1


def test_two_processes_at_the_same_time_fire_each_event_once(
    desk: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "EVENTS_AT_ONCE", 5)
    save_rules(desk, [HOLD])
    import_orders(desk, *(f"order-{number}" for number in range(60)))
    results: list[int] = []
    threads = [threading.Thread(target=lambda: results.append(apply(desk).fired)) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(results) == 60
    assert not events_wait(desk)
    assert all(len(fired(desk, f"order-{number}")) == 1 for number in range(60))


def test_orders_that_came_while_no_rule_was_on_are_left_alone_but_for_a_run_by_hand(desk: Engine) -> None:
    import_orders(desk, "a")
    save_rules(desk, [HOLD])
    switch_rule(desk, "hold", enabled=False)
    import_orders(desk, "b")
    switch_rule(desk, "HOLD", enabled=True)
    assert not events_wait(desk)
    ids = [find_order(desk, reference).order["id"] for reference in ("a", "b")]
    assert apply_by_hand(desk, "hold", ids, now=NOW).fired == 2
    with pytest.raises(DeskRefusedError, match="there is no rule 'x'; the rules are: Hold"):
        apply_by_hand(desk, "x", ids, now=NOW)


def test_a_rule_that_is_off_stays_off_when_its_file_is_loaded_again(desk: Engine) -> None:
    save_rules(desk, [HOLD, rule("Other", {"hold": "x"}, enabled=False)])
    switch_rule(desk, "Hold", enabled=False)
    save_rules(desk, [rule("Other", {"hold": "x"}, enabled=True), HOLD])
    assert [(rule.name, rule.enabled) for rule in list_rules(desk)] == [("Other", True), ("Hold", False)]
    save_rules(desk, [])
    assert list_rules(desk) == []


def test_all_that_rules_change_is_written(desk: Engine) -> None:
    everything = rule(
        "All",
        {"move_to": "prepared"},
        {"set_metadata": {"lane": "2"}},
        {"set_item_metadata": {"needle": "75"}},
        {"set_shipping_method": {"code": "dhl", "name": "DHL"}},
        {"send_to": "acme"},
        {"emit_event": "order.ready"},
        all=["any item.sku = tee-m"],
    )
    save_rules(
        desk, [everything, rule("Later", {"hold": "x"}, all=["metadata.lane = 2", "folder = prepared"])]
    )
    import_orders(desk, "a")
    result = apply(desk)
    order = find_order(desk, "a").order
    assert (order["folder"], order["hold_reason"], order["metadata"]) == ("Prepared", "x", {"lane": "2"})
    assert order["shipping_method"] == {"code": "dhl", "name": "DHL"}
    assert order["items"][0]["metadata"]["needle"] == "75"
    assert order["items"][0]["metadata"]["print_location_1"] == "front"
    assert (result.fired, result.queued) == (2, {"acme"})
    event = {"id": order["id"], "source_id": "a", "project": order["project"], "integration": "default"}
    assert result.events == [{"event": "order.ready", "rule": "All", **event}]
    with desk.connect() as connection:
        queued = connection.execute(text("SELECT order_id, fulfiller, state FROM handovers")).all()
    assert [tuple(row) for row in queued] == [(order["id"], "acme", "waiting")]
    moved = [entry.text for entry in find_order(desk, "a").history if entry.event == "moved"]
    assert moved == ["moved from Incoming to Prepared (rule All)"]


def test_a_move_is_an_event_but_not_one_by_rules_again(desk: Engine) -> None:
    there = rule("There", {"move_to": "Closed"}, event="folder changed", all=["folder = Prepared"])
    back = rule("Back", {"move_to": "Prepared"}, event="folder changed", all=["folder = Closed"])
    save_rules(desk, [there, back])
    order_id = insert_order(desk, source_id="a")
    move_orders(desk, [str(order_id)], "Prepared")
    move_orders(desk, [str(order_id)], "Prepared")  # it is there already: nothing happened
    assert apply(desk).fired == 2
    assert find_order(desk, "a").order["folder"] == "Prepared"
    assert not events_wait(desk)
    delete_folder(desk, "Prepared", move_to="Closed")
    assert apply(desk).fired == 2


def test_a_deleted_folder_is_made_again_rather_than_an_order_lost(desk: Engine) -> None:
    save_rules(desk, [rule("Away", {"move_to": "Closed"})])
    delete_folder(desk, "Closed", move_to=None)
    import_orders(desk, "a")
    apply(desk)
    assert find_order(desk, "a").order["folder"] == "Closed"


def test_a_shipment_is_an_event_from_the_first_rule_on_also_by_sql(desk: Engine) -> None:
    order_id = insert_order(desk, source_id="a")
    insert_shipment(desk, order_id, "OLD-1")
    shipped = rule("Shipped", {"move_to": "Closed"}, event="shipment added")
    save_rules(desk, [shipped])
    assert not events_wait(desk)
    insert_shipment(desk, order_id, "NEW-1")
    save_rules(desk, [HOLD, shipped])  # a new file forgets nothing that waits
    assert (apply(desk).fired, apply(desk).fired) == (1, 0)
    assert find_order(desk, "a").order["folder"] == "Closed"
    switch_rule(desk, "Shipped", enabled=False)
    insert_shipment(desk, order_id, "NEW-2")
    switch_rule(desk, "Shipped", enabled=True)
    assert not events_wait(desk)


def test_more_events_than_fit_in_one_transaction_are_all_taken(
    desk: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "EVENTS_AT_ONCE", 3)
    save_rules(desk, [HOLD])
    import_orders(desk, *(f"order-{number}" for number in range(10)))
    assert apply(desk).fired == 10
    with writing(desk) as connection:
        assert connection.execute(text("SELECT count(*) FROM rule_events")).scalar() == 0


def test_maps_are_kept_by_fulfiller(desk: Engine) -> None:
    def form(fulfiller: str, **more: Any) -> MapForm:
        return MapForm.model_validate({"fulfiller": fulfiller, "map": "print location", **more})

    save_maps(desk, [form("Acme", lines=["front = CF"]), form("other", default="X")])
    save_maps(desk, [form("ACME", lines=["front = F1"], missing="stop")])
    assert read_maps(desk, "acme")[MapKind.PRINT_LOCATION].find("Front") == "F1"
    assert read_maps(desk, "Other")[MapKind.PRINT_LOCATION].find("back") == "X"
    assert read_maps(desk, "nobody") == {}
