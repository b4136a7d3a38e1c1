"""Rules: what a file may say, which conditions hold, what fires and what it changes. Pure."""

from __future__ import annotations

import contextlib
import json
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.maps import MapForm, MapKind, Missing, maps_schema
from models.rules import ITEM_FIELDS, ORDER_FIELDS, RuleEvent, RuleForm, rules_schema
from models.tables import metadata
from tasks.desk.export import exported_item, exported_order
from tasks.rules.conditions import ConditionError, compile_condition
from tasks.rules.engine import AttemptOutcome, compile_rule, run_event
from tasks.rules.maps_file import load_maps, maps_of
from tasks.rules.rules_file import load_rules
from tasks.rules.yaml_lines import RulesFileError
from tests.support.documentation import ROOT

FOLDERS = ("New", "Prepared", "Rush")


def order(**changes: Any) -> dict[str, Any]:
    plain: dict[str, Any] = {
        "id": 7,
        "order_number": "A-1",
        "merchant_reference": "SHOP-12",
        "created_at": "2026-11-20T08:30:00+00:00",
        "shipping": {"country": "GB", "state": None},
        "shipping_method": {"code": "std", "name": "Standard"},
        "priority": "Priority",
        "declared_value": "12.50",
        "package_weight_g": None,
        "packing_notes": ["Mind the glass"],
        "folder": "New",
        "hold_reason": None,
        "metadata": {"Lane": "7"},
        "items": [
            {"sku": "TEE-M", "quantity": 10, "metadata": {"print_technology_1": "Embroidery"}},
            {
                "sku": "MUG",
                "quantity": 1,
                "metadata": {"print_technology_1": "dtg", "print_width_mm_1": "90"},
            },
        ],
    }
    return plain | changes


HOLDS = (
    "priority = priority",
    'priority = "priority"',
    "priority==PRIORITY",
    "shipping.country in [ie, gb]",
    "shipping.country not in [US, 'CA']",
    "shipping.country != US",
    "shipping.country = UK",
    "shipping.country in [Ireland, 'United Kingdom']",
    "shipping.country not in [USA, EL]",
    "any item.quantity >= 10",
    "any item.quantity>9.5",
    "all items.quantity <= 10",
    "any item.metadata.print_technology_1 = embroidery",
    "any item.metadata.print_width_mm_1 < 100",
    "declared_value = 12.5",
    "declared_value in [1, 12.500]",
    "created_at >= 2026-11-20",
    "created_at < 2026-11-20T09:31+01:00",
    "merchant_reference matches ^shop-\\d+$",
    "merchant_reference not matches ^x",
    "merchant_reference starts with shop",
    "merchant_reference ends with 12",
    "packing_notes contains GLASS",
    "packing_notes exists",
    "packing_notes not contains wood",
    "metadata.lane = 7",
    "metadata.other not exists",
    "package_weight_g not exists",
    "package_weight_g != 3",
    "shipping.state != MA",
    "hold_reason not exists",
    "Any Item.SKU Contains tee",
)
FAILS = (
    "priority = standard",
    "shipping.country not in [GB]",
    "package_weight_g > 0",
    "package_weight_g = 3",
    "shipping.state in [MA]",
    "shipping.state contains m",
    "shipping.state matches .",
    "all items.quantity > 5",
    "any item.metadata.print_technology_1 > 1",
    "any item.metadata.nothing exists",
    "declared_value < 12.5",
)
BAD = {
    "priorty = x": "an order has no field 'priorty'; did you mean 'priority'?",
    "item.quantity > 1": "say `any item.` or `all items.`",
    "any item.color = red": "an item has no field 'color'",
    "priority equals x": "is not a condition: write FIELD OPERATOR VALUE",
    "priority": "is not a condition",
    "priority =": "`=` needs a value",
    "any item.quantity > many": "'many' is not a number",
    "any item.quantity = many": "'many' is not a number",
    "created_at > yesterday": "is not a date such as 2026-11-23",
    "shipping.country in GB": "'GB' is not a list: write [A, B, C]",
    "shipping.country in []": "is not a list",
    "merchant_reference matches (": "is not a regular expression",
    "hold_reason exists x": "takes no value",
    "packing_notes = x": "this field is a list",
}


@pytest.mark.parametrize("text", HOLDS)
def test_a_condition_holds(text: str) -> None:
    assert compile_condition(text).holds(order())


@pytest.mark.parametrize("text", FAILS)
def test_a_condition_does_not_hold(text: str) -> None:
    assert not compile_condition(text).holds(order())


@pytest.mark.parametrize("text", BAD)
def test_a_condition_that_can_not_be_understood_is_told(text: str) -> None:
    with pytest.raises(ConditionError, match=re.escape(BAD[text])):
        compile_condition(text)


def test_without_items_neither_any_nor_all_holds() -> None:
    for text in ("any item.quantity > 0", "all items.quantity > 0"):
        assert not compile_condition(text).holds(order(items=[]))


@given(st.text(max_size=60))
def test_no_text_is_worse_than_a_condition_error(text: str) -> None:
    with contextlib.suppress(ConditionError):
        compile_condition(text)


def leaves(value: dict[str, Any], group: str = "") -> set[str]:
    return {
        path
        for name, inner in value.items()
        for path in (
            leaves(inner, f"{group}{name}.") if isinstance(inner, dict) and inner else [group + name]
        )
    }


def test_conditions_know_every_exported_field() -> None:
    row = dict.fromkeys(metadata.tables["orders"].columns.keys()) | {"folder": "New"}
    assert leaves(exported_order(row, [])) - {"items", "metadata"} == set(ORDER_FIELDS)
    item = exported_item(dict.fromkeys(metadata.tables["order_items"].columns.keys()))
    assert set(item) - {"metadata"} == set(ITEM_FIELDS)


def rule(name: str, *actions: dict[str, Any], event: str = "order imported", **more: Any) -> RuleForm:
    return RuleForm.model_validate({"name": name, "event": event, "actions": list(actions), **more})


def run(*rules: RuleForm, event: RuleEvent = RuleEvent.IMPORTED, **changes: Any) -> AttemptOutcome:
    return run_event(order(**changes), [compile_rule(rule) for rule in rules], event)


def test_every_action_changes_the_order_and_says_so() -> None:
    given = order()
    before = json.dumps(given)
    all_of_them = rule(
        "all",
        {"move_to": "Rush"},
        {"hold": "look at it"},
        {"set_metadata": {"lane": 9}},
        {"set_item_metadata": {"needle": "75"}},
        {"set_shipping_method": "DHL"},
        {"send_to": "acme"},
        {"emit_event": "order.rush"},
        any=["any item.sku = tee-m"],
    )
    verdict = run_event(given, [compile_rule(all_of_them)], RuleEvent.IMPORTED)
    assert json.dumps(given) == before
    assert verdict.document["folder"] == "Rush"
    assert verdict.document["hold_reason"] == "look at it"
    assert verdict.document["metadata"] == {"Lane": "7", "lane": "9"}
    assert [item["metadata"].get("needle") for item in verdict.document["items"]] == ["75", None]
    assert verdict.document["shipping_method"] == {"code": "DHL", "name": "DHL"}
    assert (verdict.send_to, verdict.events, verdict.mover) == (["acme"], [("order.rush", "all")], "all")
    assert verdict.firings == [
        (
            "all",
            [
                *("moved from New to Rush", "held: look at it", "lane = 9", "item 1: needle = 75"),
                *("shipping method DHL", "to be sent to acme", "event order.rush"),
            ],
        )
    ]


def test_rules_fire_in_their_sequence_and_see_what_those_before_them_did() -> None:
    first = rule("first", {"set_metadata": {"lane": "rush"}}, all=["priority = priority"])
    second = rule("second", {"move_to": "Rush"}, all=["metadata.lane = rush"])
    other = rule("other", {"hold": "x"}, event="shipment added")
    assert [name for name, _ in run(first, second, other).firings] == ["first", "second"]
    assert [name for name, _ in run(second, first, other, metadata={}).firings] == ["first"]
    assert run(first, event=RuleEvent.SHIPMENT_ADDED).firings == []


def test_a_move_by_a_rule_is_a_changed_folder_but_no_rule_fires_twice_for_one_event() -> None:
    start = rule("start", {"move_to": "Rush"})
    there = rule("there", {"move_to": "Prepared"}, event="folder changed", all=["folder = rush"])
    back = rule("back", {"move_to": "Rush"}, event="folder changed", all=["folder = prepared"])
    verdict = run(start, there, back)
    assert [name for name, _ in verdict.firings] == ["start", "there", "back"]
    assert (verdict.document["folder"], verdict.mover) == ("Rush", "back")
    again = run(there, back, event=RuleEvent.FOLDER_CHANGED, folder="Rush")
    assert [name for name, _ in again.firings] == ["there", "back"]


RULES = """\
rules:
  - name: Rush
    event: order imported
    all:
      - shipping.country in [GB, NO]
    actions:
      - move_to: rush
      - set_metadata: {lane: 007, country: NO}
"""


def load(text: str, fulfillers: tuple[str, ...] = ("acme",)) -> Any:
    return load_rules(text, folders=FOLDERS, fulfillers=fulfillers)


def test_a_file_is_read_as_it_is_written() -> None:
    (rule,) = load(RULES).rules
    assert rule.actions[0].move_to == "Rush"
    (sending,) = load(RULES.replace("move_to: rush", "send_to: ACME")).rules
    assert sending.actions[0].send_to == "acme"
    assert rule.actions[1].set_metadata == {"lane": "007", "country": "NO"}
    assert (rule.enabled, rule.event) == (None, RuleEvent.IMPORTED)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("move_to: rush", "move_to: Rsh", "line 7: there is no folder 'Rsh'; did you mean 'Rush'?"),
        ("move_to: rush", "send_to: nobody", "line 7: there is no fulfiller 'nobody'; there are: acme"),
        ("shipping.country in", "shipping.land in", "line 5: an order has no field 'shipping.land'"),
        ("country in", "country within", "line 5: 'shipping.country within [GB, NO]' is not a condition"),
        ("order imported", "order gone", "line 3: rules.event: Input should be 'order imported'"),
        ("    event: order imported\n", "", "line 2: event is missing"),
        ("    actions:", "    action:", "line 6: there is no 'action' here"),
        ("    all:", "    name: Again\n    all:", "line 4: 'name' is said twice"),
        ("move_to: rush", "move_to: rush\n        hold: x", "exactly one thing"),
        ("move_to: rush", "hold: check: this", "line 7: this is not YAML: mapping values"),
        ("move_to: rush", "emit_event: prefect.x", "names that begin with prefect."),
        ("[GB, NO]", "[GB, NO]\n    any: [priority = x]", "by `all` or by `any`, not by both"),
        ("move_to: rush", "move_to: &a rush\n      - move_to: *a", "anchors and aliases"),
        ("rules:", "rules: [", "this is not YAML"),
        (RULES, "", "line 1: "),
        (RULES, "rules: 7", "line 1: rules: Input should be a valid list"),
    ],
)
def test_an_error_of_a_file_is_told_with_its_line(old: str, new: str, message: str) -> None:
    assert old in RULES
    with pytest.raises(RulesFileError, match=re.escape(message)):
        load(RULES.replace(old, new, 1))


def test_all_errors_are_told_at_once_and_a_name_is_there_once() -> None:
    twice = RULES + RULES.removeprefix("rules:\n").replace("Rush", "RUSH").replace("in [GB", "on [GB")
    with pytest.raises(RulesFileError) as caught:
        load(twice)
    assert [line.split(":")[0] for line in str(caught.value).splitlines()] == ["line 9", "line 12"]


def test_a_circle_of_moves_is_warned_about_and_a_chain_is_not() -> None:
    moves = "rules:" + "".join(
        f"\n  - {{name: {pair}, event: folder changed, all: [folder = {pair}], actions: [{{move_to: {to}}}]}}"
        for pair, to in (("New", "Rush"), ("Rush", "Prepared"))
    )
    assert load(moves).warnings == []
    circle = (
        moves + "\n  - {name: back, event: folder changed, any: [priority = x], actions: [{move_to: New}]}"
    )
    (warning,) = [
        warning
        for warning in load(circle).warnings
        if "Prepared" not in warning and "Rush -> back" in warning
    ]
    assert "New -> Rush -> back -> New" in warning or "circle: " in warning


@pytest.mark.parametrize(("name", "schema"), [("rules", rules_schema()), ("maps", maps_schema())])
def test_the_published_schema_is_that_of_the_program(name: str, schema: dict[str, Any]) -> None:
    published = json.loads((ROOT / "docs" / f"{name}.schema.json").read_text("utf-8"))
    assert published == schema


def test_the_published_schema_takes_what_the_program_takes() -> None:
    import jsonschema
    import yaml

    jsonschema.validate(yaml.safe_load(RULES.replace("NO}", "'NO'}").replace(", NO]", "]")), rules_schema())
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(
            {"rules": [{"name": "x", "event": "order imported", "actions": [{}]}]}, rules_schema()
        )


MAPS = """\
maps:
  - fulfiller: acme
    map: print location
    missing: stop
    lines:
      - front = CF
      - Back = CB
  - fulfiller: acme
    map: print sku
    skip: [Gift]
    default: BLANK
"""
AS_CSV = "fulfiller,map,from,to\n" + "\n".join(
    f"acme,{line}"
    for line in (
        *("print location,front,CF", "Print location,Back,CB", "print location,*,(stop)"),
        *("print sku,Gift,(skip)", "print sku,*,BLANK"),
    )
)


@pytest.mark.parametrize(
    ("row", "problem"),
    [
        ("acme,carrier,a\x00,b", "line 3: only printable characters"),
        ("acme,carrier,a,b\x07", "line 3: only printable characters"),
        ("acme,carrier,*,b\x07", "line 3: only printable characters"),
        ("acme,print sku,a\x00,(skip)", "line 3: only printable characters"),
        (f"acme,carrier,a,{'b' * 600}", "line 3: .* should have at most 500"),
        (f"acme,carrier,a,{'b' * 140_000}", "line 3: a value is longer than"),
        ("ac\x00me,carrier,a,b", "line 3: fulfiller: only printable characters"),
    ],
)
def test_a_row_of_a_csv_file_that_yaml_could_not_say_is_told(row: str, problem: str) -> None:
    with pytest.raises(RulesFileError, match=problem):
        load_maps(f"fulfiller,map,from,to\nacme,carrier,UPS Ground,UPS\n{row}\n", is_csv=True)


def test_a_csv_file_may_have_the_line_ends_of_any_machine() -> None:
    assert maps_of(load_maps(AS_CSV.replace("\n", "\r"), is_csv=True)) == maps_of(
        load_maps(AS_CSV, is_csv=True)
    )


def test_a_csv_file_says_the_same_as_yaml() -> None:
    maps = maps_of(load_maps(MAPS, is_csv=False))
    assert maps == maps_of(load_maps(AS_CSV, is_csv=True))
    assert maps[MapKind.PRINT_LOCATION].lines == {"front": "CF", "back": "CB"}
    assert maps[MapKind.PRINT_LOCATION].missing is Missing.STOP
    assert (maps[MapKind.PRINT_SKU].default, maps[MapKind.PRINT_SKU].skip) == ("BLANK", frozenset({"gift"}))
    assert MapForm.model_validate({"fulfiller": "a", "map": "carrier"}).missing is Missing.PASS


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (MAPS.replace("Back = CB", "FRONT = X"), "line 7: 'front' has a line already"),
        (MAPS.replace("Back = CB", "Back"), "line 7: 'Back' is not a line `from = to`"),
        (
            MAPS.replace("print sku", "print location").replace("    skip: [Gift]\n", ""),
            "line 8: there is already",
        ),
        (MAPS.replace("print location", "carrier\n    skip: [x]"), "only a `print sku` map has a skip list"),
        ("a,b\n1,2", "line 1: the column fulfiller is missing"),
        (AS_CSV.replace("front,CF", "front,"), "line 2: from and to must both be given"),
        (AS_CSV.replace("front,CF", "front,(skip)"), "line 2: only a `print sku` map"),
        (AS_CSV.replace("Back", "FRONT"), "line 3: 'front' has a line already"),
        (AS_CSV.replace("acme,print location,front", "acme,colour,front"), "line 2: map: Input should be"),
    ],
)
def test_an_error_of_a_maps_file_is_told_with_its_line(text: str, message: str) -> None:
    with pytest.raises(RulesFileError, match=re.escape(message)):
        load_maps(text, is_csv="," in text.split("\n")[0])
