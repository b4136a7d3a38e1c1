"""The soak's comparison finds what it looks for: each kind of loss is planted."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Engine, text

from tests.soak.compare import AttemptOutcome, compare
from tests.soak.plan import FAULTS, make_plan
from tests.support.builders import IMPORTED, PROJECT, insert_order, insert_run, insert_shipment

CODE = "SOAK-1"
BEFORE = IMPORTED.timestamp() - 60


def podos_order(id_: str, **changes: Any) -> dict[str, Any]:
    """An order whose item is the one of the builders."""
    prints = [
        {"design": "https://cdn.example/0.png", "placement": "back", "deletedAt": "2026-11-01"},
        {"design": " https://cdn.example/1.png", "placement": "front", "technology": ""},
    ]
    items = [{"quantity": 2, "applications": prints}]
    return {"id": id_, "status": "paid", "shippingAddress": {}, "items": items, "tracking": None} | changes


def judged(desk: Engine, orders: list[dict[str, Any]], **known: Any) -> AttemptOutcome:
    """Compare; orders that are not said to have changed were paid before the check of the builders."""
    facts = {"patches": [], "changes": [[order["id"], "paid", False, BEFORE] for order in orders]} | known
    told = facts.pop("told", {})
    url = desk.url.render_as_string(hide_password=False)
    return compare({"orders": orders} | facts, url, PROJECT, told)


def test_a_desk_that_has_all_of_it_is_lossless(desk: Engine) -> None:
    sent = insert_order(desk, source_id="b")
    insert_order(desk, source_id="a")
    insert_shipment(desk, sent, CODE)
    with desk.begin() as connection:
        connection.execute(text("UPDATE shipments SET state = 'sent'"))
    body = {"status": "complete", "tracking": {"courier": "c", "code": CODE}}
    orders = [podos_order("a"), podos_order("b", **body)]
    verdict = judged(desk, orders, patches=[["b", body], ["b", body]], told={"b": CODE})
    assert not any(verdict.losses.values())
    assert (verdict.orders, verdict.due, verdict.shipments, verdict.repeats) == (2, 2, 1, 1)


def test_orders_that_are_missing_or_have_no_business_here_are_named(desk: Engine) -> None:
    insert_order(desk, source_id="never paid")
    insert_run(desk)
    orders = [podos_order(name) for name in ("gone", "too short", "frozen", "never paid")]
    orders.append(podos_order("broken", items=7))
    at = IMPORTED.timestamp()
    changes = [
        ["gone", "paid", False, BEFORE],
        ["gone", "refunded", False, at + 10],
        ["too short", "paid", False, at + 1],
        ["too short", "refunded", False, at + 2],
        ["frozen", "paid", True, BEFORE],
        ["never paid", "new", False, BEFORE],
        ["broken", "paid", False, BEFORE],
    ]
    verdict = judged(desk, orders, changes=changes)
    assert verdict.missed == ["gone"]
    assert verdict.never_due == ["never paid"]


def test_changed_items_are_named(desk: Engine) -> None:
    insert_order(desk, source_id="quantity", items=[{"quantity": 3}])
    insert_order(desk, source_id="keys", items=[{"item_metadata": {"print_url_2": "x"}}])
    insert_order(desk, source_id="items", items=[{}, {}])
    verdict = judged(desk, [podos_order(name) for name in ("quantity", "keys", "items")])
    assert verdict.changed == ["items", "keys", "quantity"]


def test_tracking_that_is_lost_or_went_twice_is_named(desk: Engine) -> None:
    for id_ in ("forgotten", "not there", "refunded"):
        order = insert_order(desk, source_id=id_)
        if id_ != "forgotten":
            insert_shipment(desk, order, CODE)
    with desk.begin() as connection:
        connection.execute(text("UPDATE shipments SET state = 'failed'"))
    orders = [podos_order("forgotten"), podos_order("not there"), podos_order("refunded", status="refunded")]
    patches = [["twice", {"status": "complete"}], ["twice", {"status": "printed"}]]
    told = dict.fromkeys(("forgotten", "not there", "refunded"), CODE)
    verdict = judged(desk, orders, told=told, patches=patches)
    assert verdict.tracking_lost == ["forgotten", "not there"]
    assert verdict.explained == 1
    assert verdict.tracking_twice == ["twice"]


def test_a_seed_repeats_the_plan_and_every_fault_has_its_turn() -> None:
    plans = [make_plan(seed, 600, ["check", "sync"], ["server"], 7) for seed in (3, 3, 4)]
    as_text = [str(plan) for plan in plans]
    assert as_text[0] == as_text[1] != as_text[2]
    played = {name for event in plans[0] if event.kind == "faults" for name in event.facts["rates"]}
    assert played == set(FAULTS)
    jumps = [event.facts["ahead_seconds"] for event in plans[0] if event.kind == "clock"]
    assert set(jumps) == {3600, 0, -3600}
    assert jumps[-1] == 0
