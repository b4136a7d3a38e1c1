"""The sandbox's invented orders: repeatable, plausible, and with every trait that real ones have."""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from deployments.sandbox import catalogue, quirks
from deployments.sandbox.generator import BIG_BURST, GeneratorOptions, generate_orders
from deployments.sandbox.wire import Order, epoch, render

NOW = datetime(2026, 11, 23, 10, 15, tzinfo=UTC)
SANDBOX = Path(__file__).parents[3] / "deployments" / "sandbox"


def make_orders(count: int = 1000, **options: Any) -> list[Order]:
    return list(generate_orders(GeneratorOptions(now=NOW, orders=count, **options)))


@pytest.fixture(scope="module", params=[1, 2, 77])
def orders(request: pytest.FixtureRequest) -> list[Order]:
    return make_orders(seed=request.param)


def all_items(orders: list[Order]) -> Iterator[Order]:
    return (item for order in orders for item in order["items"])


def all_prints(orders: list[Order]) -> Iterator[Order]:
    return (made for item in all_items(orders) for made in item["applications"])


def test_same_seed_and_now_give_the_same_bytes() -> None:
    assert render(make_orders(60, broken=3)) == render(make_orders(60, broken=3))


def test_another_seed_gives_other_orders() -> None:
    ours = {order["id"] for order in make_orders(60)}
    assert not ours & {order["id"] for order in make_orders(60, seed=2)}


def test_ids_are_unique(orders: list[Order]) -> None:
    assert len({order["id"] for order in orders}) == len(orders)


def test_every_status_occurs_and_about_half_are_paid(orders: list[Order]) -> None:
    counts = Counter(order["status"] for order in orders)
    assert set(counts) == catalogue.STATUSES
    assert 500 <= counts["paid"] <= 600


def test_orders_go_to_many_countries_and_most_to_britain(orders: list[Order]) -> None:
    counts = Counter(order["shippingAddress"]["country"] for order in orders)
    assert len(counts) >= 24
    assert counts.most_common(1)[0][0] == "GB"


def test_states_are_given_where_they_exist(orders: list[Order]) -> None:
    with_state = {
        order["shippingAddress"]["country"] for order in orders if order["shippingAddress"]["state"]
    }
    assert with_state == {"US", "CA", "AU"}


def test_dates_are_in_order_and_never_after_now(orders: list[Order]) -> None:
    oldest = int((NOW - timedelta(days=30)).timestamp())
    for order in orders:
        created, changed, updated = (
            epoch(order[f"{name}At"]) for name in ("created", "statusChanged", "updated")
        )
        assert oldest <= created <= changed <= updated <= NOW.timestamp()
        assert order["statusHistory"][-1]["status"] == order["status"]
    assert [order["createdAt"] for order in orders] == sorted(order["createdAt"] for order in orders)


def test_updates_are_spread(orders: list[Order]) -> None:
    ages = Counter(epoch(order["updatedAt"]) - epoch(order["createdAt"]) for order in orders)
    assert ages[0] > 0
    assert len(ages) > 100


def test_some_seconds_hold_several_orders_and_one_more_than_a_page(orders: list[Order]) -> None:
    seconds = Counter(order["createdAt"] for order in orders)
    assert max(seconds.values()) >= BIG_BURST > 150
    assert sum(1 for count in seconds.values() if 2 <= count <= 10) > 5


def test_items_and_prints_have_the_usual_numbers(orders: list[Order]) -> None:
    assert {len(order["items"]) for order in orders} == {1, 2, 3, 4}
    assert {len(item["applications"]) for item in all_items(orders)} == {0, 1, 2, 3, 4}
    prints = sum(1 for _ in all_prints(orders)) / len(orders)
    assert 3 <= prints <= 4


def test_an_order_takes_about_three_kilobytes(orders: list[Order]) -> None:
    average = sum(len(render(order)) for order in orders) / len(orders)
    assert 2500 <= average <= 3300


TRAITS: dict[str, Any] = {
    "a company": lambda order: order["shippingAddress"].get("company"),
    "an empty company": lambda order: order["shippingAddress"].get("company") == "",
    "a second line": lambda order: order["shippingAddress"].get("line2"),
    "no postal code": lambda order: not order["shippingAddress"].get("postalCode"),
    "a leading zero": lambda order: (order["shippingAddress"].get("postalCode") or "").startswith("0"),
    "a name with leading white space": lambda order: order["shippingAddress"]["contactName"].startswith(" "),
    "letters beyond ASCII": lambda order: not order["shippingAddress"]["contactName"].isascii(),
    "no phone": lambda order: "phone" not in order["contactInformation"],
    "a null phone": lambda order: order["contactInformation"].get("phone", 0) is None,
    "frozen": lambda order: order["frozen"] and order["frozenReasons"],
    "no fulfiller reference": lambda order: "fulfillerReference" not in order,
    "priority": lambda order: order["priorityLevel"] == "priority",
    "no deadline": lambda order: order["deadline"] is None and order["serviceLevel"] is None,
    "a deadline": lambda order: order["deadline"] and order["serviceLevel"],
    "packing notes": lambda order: order["packingNotes"],
    "additional files": lambda order: order["additionalFiles"],
    "a source platform": lambda order: order["sourcePlatform"],
    "no source platform": lambda order: order["sourcePlatform"] is None,
    "tracking": lambda order: order["tracking"],
    "complete without tracking": lambda order: order["status"] == "complete" and not order["tracking"],
}


@pytest.mark.parametrize("trait", TRAITS)
def test_order_trait_occurs(orders: list[Order], trait: str) -> None:
    assert any(TRAITS[trait](order) for order in orders)


PRINT_TRAITS: dict[str, Any] = {
    "withdrawn": lambda made: made.get("deletedAt"),
    "no design": lambda made: "design" not in made,
    "an empty design": lambda made: made.get("design") == "",
    "a null design": lambda made: made.get("design", "") is None,
    "no mockup": lambda made: "mockup" not in made,
    "null dimensions": lambda made: made["dimensions"] is None,
    "no print area": lambda made: "printArea" not in made,
    "an unknown placement": lambda made: made["placement"] in quirks.UNKNOWN_PLACEMENTS,
}


@pytest.mark.parametrize("trait", PRINT_TRAITS)
def test_print_trait_occurs(orders: list[Order], trait: str) -> None:
    assert any(PRINT_TRAITS[trait](made) for made in all_prints(orders))


def test_every_technology_occurs_and_an_unknown_one(orders: list[Order]) -> None:
    known = {technology for product in catalogue.PRODUCTS for technology in product.technologies}
    assert len(known) == 11
    assert {made["technology"] for made in all_prints(orders)} == known | {quirks.UNKNOWN_TECHNOLOGY}


def test_merchant_references_are_shared_with_the_same_buyer(orders: list[Order]) -> None:
    groups: dict[str, list[Order]] = {}
    for order in orders:
        groups.setdefault(order.get("merchantReference") or order["id"], []).append(order)
    shared = [group for group in groups.values() if len(group) > 1]
    assert len(shared) > 30
    assert any(len(group) == 3 for group in shared)
    assert all(len({order["contactInformation"]["email"] for order in group}) == 1 for group in shared)


def test_amounts_are_decimal_strings_that_add_up(orders: list[Order]) -> None:
    for order in orders:
        pence = sum(
            item["quantity"] * int(item["declaredValue"]["amount"].replace(".", ""))
            for item in order["items"]
        )
        assert re.fullmatch(r"\d+\.\d\d", order["declaredValue"]["amount"])
        assert int(order["declaredValue"]["amount"].replace(".", "")) == pence
        assert order["packageWeight"] > 0


def test_addresses_of_the_net_are_reserved_for_tests(orders: list[Order]) -> None:
    text = render(orders).decode().replace("\\/", "/")
    hosts = set(re.findall(r"https?://([^/\"]+)", text)) | set(re.findall(r"@([a-z.]+)\"", text))
    assert hosts
    assert all(host.endswith("example.test") for host in hosts)


def test_nulls_and_unknown_values_can_be_switched_off() -> None:
    orders = make_orders(400, nulls=False, unknown_values=False)
    assert {made["placement"] for made in all_prints(orders)} == {"front", "back"}
    assert all(made.get("design", "") is not None for made in all_prints(orders))


def test_broken_orders_turn_through_every_breakage_and_are_ready_to_import() -> None:
    orders = make_orders(200, broken=4)
    broken = [
        order
        for order in orders
        if "id" not in order
        or order["items"] == 7
        or isinstance(order["items"], str)
        or any(item["quantity"] == "two" for item in order["items"])
    ]
    assert len(broken) == 4
    assert all(order["status"] == "paid" and not order["frozen"] for order in broken)


def test_slashes_are_escaped() -> None:
    assert render({"url": "https://a/b"}) == rb'{"url":"https:\/\/a\/b"}'


@pytest.mark.parametrize("module", sorted(SANDBOX.glob("*.py")), ids=lambda path: path.stem)
def test_sandbox_shares_no_code_with_the_importer(module: Path) -> None:
    imported: set[str] = set()
    for node in ast.walk(ast.parse(module.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            imported |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            imported.add(node.module or "")
    assert not {name for name in imported if name.split(".")[0] in {"tasks", "flows", "models"}}
    assert all(name.startswith("deployments.sandbox") for name in imported if name.startswith("deployments"))
