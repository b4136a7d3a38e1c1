"""Nothing that strangers write costs more than its length.

Each piece of work is done for an input and for one that is four times as long. Processor time of this thread
alone is compared, the best of several turns; a square would take sixteen times as long, and half of that is
the limit. What takes too little to be measured passes.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from models.maps import MapForm
from models.podos import Application, Fulfillment, FulfillmentItem
from models.rules import RuleEvent, RuleForm
from models.shipments import Parcel, Sibling
from models.tables import metadata
from models.tables.outbox import OutboxState
from tasks.desk.export import csv_line, exported_order
from tasks.fulfilment.check import problems_of
from tasks.imports.transform import prepare
from tasks.podos.client import ListQuery
from tasks.podos.paging import WindowScan
from tasks.podos.parsing import NotAPageError, ParsedPage, Unreadable, parse_page, parse_row
from tasks.podos.remote_tracking import parse_held_page
from tasks.podos.scan import Batch
from tasks.rules.conditions import ConditionError, compile_condition
from tasks.rules.engine import compile_rule, run_event
from tasks.rules.maps import apply_maps
from tasks.rules.maps_file import load_maps, maps_of
from tasks.rules.patterns import MAX_TEXT, compile_pattern
from tasks.rules.rules_file import cycle_warnings, load_rules
from tasks.rules.yaml_lines import RulesFileError
from tasks.text_cells import csv_cell, from_csv_cell, markdown_cell, one_line, terminal_cell
from tasks.tracking.carriers import tracking_address
from tasks.tracking.policy import before_asking, place_of
from tasks.tracking.shipment_file import read_rows
from tasks.tracking.tables import ShipmentFileError
from tasks.tracking.values import (
    UnfitShipmentError,
    clean_code,
    clean_courier,
    clean_url,
    shipped_moment,
)
from tasks.visible_text import visible
from tests.support.loading import SETTINGS, fulfillment

TIMES = 4
LIMIT = TIMES**2 / 2
SHORTEST_SECONDS = 0.004
TURNS = 3
REFUSALS = (
    *(ConditionError, NotAPageError, RulesFileError, ShipmentFileError, UnfitShipmentError, ValueError),
)


def seconds(work: Callable[[], object]) -> float:
    """Return the processor time of some work, at its best."""
    best = float("inf")
    for _ in range(TURNS):
        began = time.thread_time()
        with contextlib.suppress(*REFUSALS):
            work()
        best = min(best, time.thread_time() - began)
    return best


def grows_with_its_length(make: Callable[[int], Any], work: Callable[[Any], object], size: int) -> None:
    short, long = make(size), make(size * TIMES)
    for _ in range(3):  # a machine that does something else in between is given another look
        taken = seconds(lambda: work(long))
        if taken < SHORTEST_SECONDS or taken / seconds(lambda: work(short)) < LIMIT:
            return
    pytest.fail(f"{TIMES} times the length takes over {LIMIT} times as long: {taken:.3f} s")


CATASTROPHES = (
    *("(a+)+$", "(a|a)*$", "(a|aa)+$", "(a*)*b", "^(([a-z])+.)+[A-Z]([a-z])+$", r"(\w+\s?)+$", "(x+x+)+y"),
    *(r"^(\S+ ?)+$", ".*.*.*=.*", r"\b(\w+\b ?)+$", r"^(a?){30}a{30}$", r"(.*)(.*)(.*)(.*)(.*)x"),
)


@pytest.mark.parametrize("pattern", CATASTROPHES)
@pytest.mark.parametrize("sign", ["a", "ä", "a ", "x", "\n"])
def test_no_pattern_of_a_rule(pattern: str, sign: str) -> None:
    fits = compile_pattern(pattern)
    size = MAX_TEXT // TIMES // len(sign) - 1
    grows_with_its_length(lambda count: sign * count + "!", fits, size)


LONG_WORDS = {
    "letters": lambda count: "a" * count,
    "spaces": lambda count: " " * count,
    "spaces behind a letter": lambda count: "a" + " " * count,
    "words": lambda count: "a " * (count // 2),
    "line breaks": lambda count: "\n" * count,
    "quotation marks": lambda count: '"' * count,
    "commas": lambda count: "a," * (count // 2),
    "digits": lambda count: "9" * count,
    "dots": lambda count: "a." * (count // 2),
    "brackets": lambda count: "[" * count,
    "braces": lambda count: "{" * count,
    "groups": lambda count: "((" * (count // 2),
    "backslashes": lambda count: "\\" * count,
    "percent signs": lambda count: "%1" * (count // 2),
    "dashes": lambda count: "-" * count,
    "equals": lambda count: "a=" * (count // 2),
    "controls": lambda count: "\x00\x1b" * (count // 2),
    "dotted capitals": lambda count: "İ" * count,
    "accents": lambda count: "e" + "\u0301" * count,
}
FIELD = "shipping.name"
OPERATORS = (
    *("= x", "!= x", "in [x, y]", "not in [x, y]", "> 5", "<= 5", "contains aaab", "not contains b"),
    *("starts with b", "ends with b", "exists", "not exists", "matches b$", "not matches ^b"),
)
READERS: dict[str, Callable[[str], object]] = {
    "a condition": compile_condition,
    "a list in a condition": lambda text: compile_condition(f"priority in [{text}]"),
    "a courier": clean_courier,
    "a code": clean_code,
    "an address": clean_url,
    "an address with a host": lambda text: clean_url(f"https://{text}"),
    "a date": shipped_moment,
    "a tracking address": lambda text: tracking_address("DPD", text),
    "a name for a tracking address": lambda text: tracking_address(text, "1"),
    "words of somebody else": one_line,
    "text on a terminal": terminal_cell,
    "text on a page of Prefect": markdown_cell,
    "text in a CSV file": csv_cell,
    "a cell of a CSV file": from_csv_cell,
    "visible text": visible,
    "a rules file": lambda text: load_rules(text, folders=["New"], fulfillers=[]),
    "a value in a rules file": lambda text: load_rules(f"rules: {text}", folders=["New"], fulfillers=[]),
    "a text in a rules file": lambda text: load_rules(f"rules: |\n  {text}", folders=["New"], fulfillers=[]),
    "a maps file": lambda text: load_maps(text, is_csv=False),
    "a maps file in CSV": lambda text: load_maps(f"fulfiller,map,from,to\n{text}", is_csv=True),
    "a shipments file": lambda text: read_rows(f"order,courier,code\n{text}".encode()),
    "a header of a shipments file": lambda text: read_rows(text.encode()),
    "a row of a shipments file": lambda text: read_rows(f"order,courier,code\nA,B,{text}\n".encode()),
    "a page": lambda text: parse_page(text.encode()),
    "rows of a page": lambda text: parse_page(f'{{"fulfillments": [{text}]}}'.encode()),
    "a text in a page": lambda text: parse_page(
        b'{"fulfillments": [{"id": %s}]}' % json.dumps(text).encode()
    ),
    "a name in a page": lambda text: parse_page(b'{"fulfillments": [{%s: 1}]}' % json.dumps(text).encode()),
    "an amount in a row": lambda text: parse_row(
        b'{"id": "a", "status": "paid", "createdAt": "2026-01-01T00:00:00Z", "declaredValue": {"amount": %s}}'
        % json.dumps(text).encode()
    ),
    "a date in a row": lambda text: parse_row(
        b'{"id": "a", "status": "paid", "createdAt": %s}' % json.dumps(text).encode()
    ),
    "a page of what podOS holds": lambda text: parse_held_page(f'{{"fulfillments": [{text}]}}'.encode()),
}


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("kind", LONG_WORDS)
def test_no_reader(reader: str, kind: str) -> None:
    grows_with_its_length(LONG_WORDS[kind], READERS[reader], 5_000)


@pytest.mark.parametrize("operator", OPERATORS)
@pytest.mark.parametrize("kind", LONG_WORDS)
def test_no_condition(operator: str, kind: str) -> None:
    condition = compile_condition(f"{FIELD} {operator}")
    size = MAX_TEXT // TIMES - 1
    grows_with_its_length(
        lambda count: {"shipping": {"name": LONG_WORDS[kind](count)}}, condition.holds, size
    )


def order_of(count: int) -> Fulfillment:
    """An order of so many items with a print each, whose designs are missing."""
    return fulfillment(
        "a",
        items=[
            FulfillmentItem(quantity=1, applications=[Application(placement="front")]) for _ in range(count)
        ],
    )


def prints_of(count: int) -> Fulfillment:
    """An order of one item with so many prints."""
    item = FulfillmentItem(quantity=1, applications=[Application(placement="front") for _ in range(count)])
    return fulfillment("a", items=[item])


@pytest.mark.parametrize("make", [order_of, prints_of])
def test_no_order_on_its_way_in(make: Callable[[int], Fulfillment]) -> None:
    grows_with_its_length(
        lambda count: Batch(1, [make(count)], None), lambda batch: prepare(batch, SETTINGS), 500
    )


def document_of(count: int) -> dict[str, Any]:
    """An exported order of so many items."""
    prints = {f"print_location_{number}": "front" for number in range(5)}
    row = dict.fromkeys(
        ("integration", "project", "source_id", "order_number", "podos_status", "currency", "priority"), "x"
    )
    whole = dict.fromkeys(metadata.tables["orders"].columns.keys()) | row | {"folder": "New", "id": 1}
    item = {"sku": "A", "name": "x", "quantity": 1, "variant_ref": None, "notes": None, "metadata": prints}
    return exported_order(whole, [item] * count)


SET_ALL = RuleForm.model_validate(
    {
        "name": "all",
        "event": "order imported",
        "any": ["any item.sku = a"],
        "actions": [{"set_item_metadata": {"x": "1"}}, {"set_metadata": {"y": "2"}}],
    }
)
MAPS = maps_of([MapForm.model_validate({"fulfiller": "a", "map": "print location", "lines": ["front = F"]})])
WORK_ON_ORDERS: dict[str, Callable[[dict[str, Any]], object]] = {
    "a rule that changes every item": lambda order: run_event(
        order, [compile_rule(SET_ALL)], RuleEvent.IMPORTED
    ),
    "the check before sending": problems_of,
    "maps": lambda order: apply_maps(order, MAPS),
    "a line of CSV": csv_line,
}


@pytest.mark.parametrize("name", WORK_ON_ORDERS)
def test_no_order_on_its_way_out(name: str) -> None:
    grows_with_its_length(document_of, WORK_ON_ORDERS[name], 500)


def rules_file(count: int) -> str:
    rules = "".join(
        f"  - name: r{number}\n    event: folder changed\n    all: [folder = f{number}]\n"
        f"    actions:\n      - move_to: Nwe{number}\n"
        for number in range(count)
    )
    return f"rules:\n{rules}"


def test_no_rules_file_with_all_that_can_be_wrong_in_it() -> None:
    folders = [f"New{number}" for number in range(200)]
    grows_with_its_length(rules_file, lambda text: load_rules(text, folders=folders, fulfillers=[]), 240)


def test_circles_of_rules() -> None:
    """The pairs of rules are a square; what is found in them must be no more."""

    def chain(count: int) -> list[Any]:
        forms = [
            RuleForm.model_validate(
                {
                    "name": f"r{number}",
                    "event": "folder changed",
                    "any": [f"folder = f{number}", "priority = x"],
                    "actions": [{"move_to": f"f{number + 1}"}],
                }
            )
            for number in range(count)
        ]
        return [compile_rule(form) for form in forms]

    short, long = chain(60), chain(240)
    assert len(cycle_warnings(long)) <= 20
    assert seconds(lambda: cycle_warnings(long)) / seconds(lambda: cycle_warnings(short)) < TIMES**3 / 1.5


def test_no_order_with_ever_so_many_parcels() -> None:
    def family(count: int) -> list[Sibling]:
        return [
            Sibling(number, 1, f"D{number}", OutboxState.WAITING.value, overwrite=False)
            for number in range(count)
        ]

    def sift(siblings: list[Sibling]) -> None:
        place = place_of(siblings)
        for sibling in siblings:
            parcel = Parcel(
                *(sibling.id, 1, "s", "n", "p", "DPD", sibling.code, None, sibling.overwrite, 0, None)
            )
            before_asking(parcel, "p", place)

    grows_with_its_length(family, sift, 500)


def test_no_scan_of_rows_without_a_date() -> None:
    """Every page has rows that nobody can read; none of them is looked at again and again."""
    began = datetime(2026, 1, 1, tzinfo=UTC)

    def pages(count: int) -> list[ParsedPage]:
        return [
            ParsedPage(
                [
                    fulfillment(f"o-{number}", created_at=began + timedelta(minutes=number)),
                    *(Unreadable("{}", "no date", f"u-{number}-{other}", None, None) for other in range(30)),
                    fulfillment(f"p-{number}", created_at=began + timedelta(minutes=number, seconds=30)),
                ],
                number + 2 if number < count - 1 else None,
            )
            for number in range(count)
        ]

    def scan(answers: list[ParsedPage]) -> None:
        given = iter(answers)

        async def fetch(_query: ListQuery) -> ParsedPage:
            return next(given)

        async def read() -> None:
            window = WindowScan(fetch, field="createdAt", since=None, until=None)
            while not window.finished:
                await window.next_rows()

        asyncio.run(read())

    grows_with_its_length(pages, scan, 100)
