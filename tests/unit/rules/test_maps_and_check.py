"""A fulfiller's maps applied to an order, and the check before sending: pure."""

from __future__ import annotations

from typing import Any

import pytest

from models.maps import MapKind, Maps, Missing, WordMap
from tasks.fulfilment.check import problems_of
from tasks.rules.maps import Problem, apply_maps, map_carrier

STOP = Missing.STOP


def item(**changes: Any) -> dict[str, Any]:
    metadata = {"print_url_1": "https://art.example.test/1.png", "print_location_1": "front"}
    plain = {"sku": "TEE-M", "name": "Tee", "quantity": 1, "variant_ref": None, "notes": None}
    return {**plain, "metadata": metadata, **changes}


def order(*items: dict[str, Any], **shipping: Any) -> dict[str, Any]:
    address = {
        **dict.fromkeys(("company", "address2", "state")),
        **{"name": "Ada", "address1": "1 Road", "city": "Town", "postal_code": "02134", "country": "GB"},
    }
    method = {"code": "std", "name": "Standard"}
    return {"shipping": address | shipping, "shipping_method": method, "items": list(items or (item(),))}


def test_words_are_replaced_case_blind_and_the_order_given_stays_as_it_is() -> None:
    maps: Maps = {
        MapKind.PRINT_LOCATION: WordMap({"front": "CF"}),
        MapKind.PRINT_SKU: WordMap({"tee-m": "GILDAN-M"}),
        MapKind.SHIPPING_METHOD: WordMap({"standard": "ROYAL48"}),
    }
    given = order(item(metadata={"print_location_1": "FRONT", "print_location_2": "sleeve"}))
    mapped = apply_maps(given, maps)
    assert mapped.document["items"][0]["metadata"] == {
        "print_location_1": "CF",
        "print_location_2": "sleeve",
        "print_sku": "GILDAN-M",
    }
    assert mapped.document["shipping_method"] == {"code": "ROYAL48", "name": "ROYAL48"}
    assert mapped.problems == []
    assert mapped.notes == [
        "shipping method std = ROYAL48",
        "item 1: print location FRONT = CF",
        "item 1: SKU TEE-M = GILDAN-M",
    ]
    assert given["items"][0]["metadata"]["print_location_1"] == "FRONT"
    assert apply_maps(mapped.document, {}) == (mapped.document, [], [])


def test_what_has_no_mapping_stops_the_order_with_all_reasons_where_the_map_says_so() -> None:
    kinds = (MapKind.PRINT_LOCATION, MapKind.PRINT_SKU, MapKind.SHIPPING_METHOD)
    mapped = apply_maps(order(item(), item(sku=None)), {kind: WordMap(missing=STOP) for kind in kinds})
    assert [problem.text for problem in mapped.problems] == [
        "shipping method std has no mapping",
        "item 1: print location front has no mapping",
        "item 1: SKU TEE-M has no mapping to a print SKU",
        "item 2: print location front has no mapping",
        "item 2: SKU (none) has no mapping to a print SKU",
    ]
    assert [problem.told for problem in mapped.problems] == [
        "its shipping method has no mapping",
        "item 1: a print location has no mapping",
        "item 1: its SKU has no mapping to a print SKU",
        "item 2: a print location has no mapping",
        "item 2: its SKU has no mapping to a print SKU",
    ]


def test_a_default_is_taken_before_the_order_stops() -> None:
    mapped = apply_maps(order(), {MapKind.PRINT_LOCATION: WordMap(default="CF", missing=STOP)})
    assert mapped.document["items"][0]["metadata"]["print_location_1"] == "CF"
    assert mapped.problems == []


def test_items_on_the_skip_list_are_left_out_and_an_order_of_nothing_else_stops() -> None:
    maps: Maps = {MapKind.PRINT_SKU: WordMap(skip=frozenset({"gift"}), missing=Missing.PASS)}
    mapped = apply_maps(order(item(sku="Gift"), item()), maps)
    assert [item["sku"] for item in mapped.document["items"]] == ["TEE-M"]
    assert mapped.notes == ["item 1 left out: SKU Gift is on the skip list"]
    nothing_left = Problem.own("every item is on the skip list: nothing is left to send")
    assert apply_maps(order(item(sku="GIFT")), maps).problems == [nothing_left]


@pytest.mark.parametrize(
    ("maps", "expected"),
    [
        ({}, "ups ground"),
        ({MapKind.CARRIER: WordMap({"ups ground": "UPS"})}, "UPS"),
        ({MapKind.CARRIER: WordMap(missing=STOP)}, None),
        ({MapKind.CARRIER: WordMap(default="Other", missing=STOP)}, "Other"),
    ],
)
def test_a_carrier_gets_the_desks_name(maps: Maps, expected: str | None) -> None:
    assert map_carrier(maps, "ups ground") == expected


def test_a_whole_order_has_no_problems_and_a_plain_item_needs_no_print() -> None:
    assert problems_of(order(item(), item(metadata={"print_sku": "X"}))) == []
    assert problems_of(order(name=None, company="Acme")) == []
    assert problems_of(order(country="IE", postal_code=None)) == []


def test_everything_that_is_missing_is_said_at_once() -> None:
    no_place = {"print_url_1": "https://art.example.test/1.png", "print_location_2": "back"}
    bad = order(
        item(quantity=0, metadata=no_place),
        name=" ",
        address1=None,
        city=None,
        postal_code=None,
        country="us",
    )
    assert problems_of(bad) == [
        "the address has no name",
        "the address has no first address line",
        "the address has no city",
        "the address has no postal code",
        "the address has no state, which US needs",
        "item 1: the quantity is not above 0",
        "item 1, print 1: no print location",
        "item 1, print 2: no design address",
    ]
    assert problems_of(order(country=None) | {"items": []}) == [
        "the address has no country",
        "the order has no items",
    ]
