"""Orders with small defects, as real shops send them, come into the desk; the history says what was done."""

from __future__ import annotations

import json
from typing import Any

import pytest
from sqlalchemy import Engine

from models.reports import Outcome
from tasks.desk.browse import OrderDetail, find_order
from tasks.imports.load import load
from tasks.imports.rejected_list import list_rejected
from tasks.imports.transform import prepare
from tasks.podos.parsing import Row, parse_page
from tests.support.loading import CREATED, NOW, SETTINGS, batch, new_run


def wire() -> dict[str, Any]:
    print_ = {
        "design": "https://artwork.example.test/1.png",
        "placement": "front",
        "technology": "dtg",
        "dimensions": {"width": 280, "height": 360},
    }
    return {
        "id": "s-1",
        "status": "paid",
        "createdAt": CREATED.isoformat(),
        "fulfillerReference": "X9001",
        "packageWeight": 210,
        "declaredValue": {"amount": "20.00", "currencyCode": "GBP"},
        "shippingAddress": {"contactName": "Jane Sample", "line1": "1 High Street", "country": "GB"},
        "items": [
            {"quantity": 1, "metadata": {"variantSku": "V-1"}, "applications": [dict(print_)]},
            {"quantity": 1, "metadata": {"variantSku": "V-2"}, "applications": [dict(print_)]},
        ],
    }


def changed(changes: dict[str, Any]) -> dict[str, Any]:
    """Return an order with values at places such as ``items.0.quantity``."""
    order = wire()
    for place, value in changes.items():
        *path, name = place.split(".")
        target: Any = order
        for part in path:
            target = target[int(part)] if part.isdecimal() else target[part]
        target[name] = value
    return order


def rows_of(*orders: dict[str, Any]) -> list[Row]:
    return list(parse_page(json.dumps({"fulfillments": orders}).encode()).rows)


def take(desk: Engine, changes: dict[str, Any]) -> OrderDetail:
    run = new_run(desk)
    load(batch(*rows_of(changed(changes), wire() | {"id": "whole"})), run, now=NOW)
    assert run.report.counts[Outcome.IMPORTED] == 2
    return find_order(desk, "s-1")


def history(detail: OrderDetail) -> list[str]:
    return [entry.text for entry in detail.history if entry.event == "left out or replaced"]


def test_php_writes_an_empty_object_as_a_list(desk: Engine) -> None:
    empty = ("tracking", "items.0.metadata", "shippingAddress.state", "items.0.applications.0.dimensions")
    detail = take(desk, {place: [] for place in empty})
    assert history(detail) == []
    assert detail.order["folder"] == "Incoming"


def test_numbers_and_switches_as_text(desk: Engine) -> None:
    changes = {"packageWeight": "250", "serviceLevel": "48", "frozen": 0, "items.0.quantity": "2"}
    size = {"items.0.applications.0.dimensions": {"width": "280", "height": "360"}}
    detail = take(desk, changes | size | {"declaredValue.amount": 20.0})
    first = detail.order["items"][0]
    assert (detail.order["package_weight_g"], detail.order["service_level_hours"]) == (250, 48)
    assert (first["quantity"], first["metadata"]["print_width_mm_1"]) == (2, "280")
    assert detail.order["declared_value"] == "20.0"
    assert history(detail) == []


def test_half_an_emoji(desk: Engine) -> None:
    detail = take(desk, {"shippingAddress.line1": "1 High Street \ud83d"})
    assert detail.order["shipping"]["address1"] == "1 High Street \ufffd"
    assert history(detail) == ["shippingAddress, line1 holds a broken character: it is replaced"]


def test_a_line_refunded_to_quantity_0(desk: Engine) -> None:
    detail = take(desk, {"items.0.quantity": 0, "items.1.quantity": 2})
    assert [(item["sku"], item["quantity"]) for item in detail.order["items"]] == [("V-2", 2)]
    assert history(detail) == ["item 1 has quantity 0: it is left out"]
    assert detail.order["folder"] == "Incoming"


def test_all_lines_refunded_to_quantity_0(desk: Engine) -> None:
    detail = take(desk, {"items.0.quantity": 0, "items.1.quantity": 0})
    assert (detail.order["folder"], detail.order["items"]) == ("Needs Attention", [])
    assert "every item has quantity 0" in [entry.text for entry in detail.history]


def test_a_quantity_above_the_limit_is_rejected_and_names_it(desk: Engine) -> None:
    load(batch(*rows_of(changed({"items.0.quantity": 2_147_483_648}))), new_run(desk), now=NOW)
    (row,) = list_rejected(desk)
    assert row.reason == "the quantity of item 1 is above the limit of 1,000,000"


def test_a_zero_date_withdraws_no_print(desk: Engine) -> None:
    detail = take(desk, {"items.0.applications.0.deletedAt": "0000-00-00 00:00:00"})
    assert detail.order["items"][0]["metadata"]["print_url_1"] == "https://artwork.example.test/1.png"


def test_prices_that_people_write(desk: Engine) -> None:
    assert take(desk, {"declaredValue.amount": ".50"}).order["declared_value"] == "0.50"


@pytest.mark.parametrize("country", ["UK", "United Kingdom"])
def test_a_country_by_another_name(desk: Engine, country: str) -> None:
    detail = take(desk, {"shippingAddress.country": country})
    assert detail.order["shipping"]["country"] == "GB"
    assert history(detail) == [f"shippingAddress, country is {country!r}: it is taken as GB"]


def test_a_word_that_is_no_country_is_told(desk: Engine) -> None:
    detail = take(desk, {"shippingAddress.country": "Atlantis"})
    assert (detail.order["shipping"]["country"], detail.order["folder"]) == ("ATLANTIS", "Needs Attention")
    assert "the country is none that is known" in [entry.text for entry in detail.history]


def test_invisible_characters_in_a_reference(desk: Engine) -> None:
    take(desk, {"fulfillerReference": "\ufeffX9001\u200b", "id": "s-1"})
    assert {find_order(desk, name).order["source_id"] for name in ("s-1",)} == {"s-1"}
    assert find_order(desk, "s-1").order["fulfiller_reference"] == "X9001"


def test_the_same_page_again_changes_nothing(desk: Engine) -> None:
    defects = {"packageWeight": "heavy", "items.0.quantity": 0, "shippingAddress.country": "UK"}
    before = take(desk, defects)
    run = new_run(desk)
    load(batch(*rows_of(changed(defects))), run, now=NOW)
    assert run.report.counts[Outcome.ALREADY_IMPORTED] == 1
    assert find_order(desk, "s-1").as_dict() == before.as_dict()


def test_transform_of_a_mended_row_is_safe_to_repeat() -> None:
    from tasks.podos.scan import Batch

    rows = rows_of(changed({"packageWeight": "heavy"}))
    again = [prepare(Batch(1, rows, None, came_quickly=True), SETTINGS).orders for _ in range(2)]
    assert again[0] == again[1]
