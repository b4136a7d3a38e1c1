"""What a person may write into an order, and what it needs attention for afterwards."""

from __future__ import annotations

from typing import Any

import pytest

from models.edits import Edit
from tasks.editing.policy import EditError, checked, still_needed

NOTHING = Edit({}, {}, None, {}, {})


def order(**values: str | None) -> Edit:
    return NOTHING._replace(order=values)


def item(metadata: dict[str, str | None] | None = None, **values: str | None) -> Edit:
    return NOTHING._replace(position=1, item=values, item_metadata=metadata or {})


@pytest.mark.parametrize(
    ("edit", "kept"),
    [
        (order(ship_city="  Leeds "), {"ship_city": "Leeds"}),
        (order(ship_company=""), {"ship_company": None}),
        (order(ship_country="United Kingdom"), {"ship_country": "GB"}),
        (item(sku="\u200bTEE-L "), {"sku": "TEE-L"}),
        (item(quantity="007"), {"quantity": "7"}),
        (item(notes="line one\r\nline two"), {"notes": "line one\nline two"}),
        (
            item({"print_url_1": "https://x.example.test/1.png"}),
            {"print_url_1": "https://x.example.test/1.png"},
        ),
        (item({"print_location_1": ""}), {"print_location_1": None}),
    ],
)
def test_values_are_cleaned(edit: Edit, kept: dict[str, Any]) -> None:
    found = checked(edit)
    assert {**found.order, **found.item, **found.item_metadata} == kept


@pytest.mark.parametrize(
    ("edit", "problem"),
    [
        (NOTHING, "nothing to edit was given"),
        (NOTHING._replace(item={"sku": "x"}), "say which with --item N"),
        (order(ship_country="Atlantis"), "ship_country names no country"),
        (order(ship_city="Lee\nds"), "ship_city holds control characters"),
        (order(ship_city="x" * 501), "ship_city is longer than 500 characters"),
        (order(podos_status="paid"), "podos_status is no field that can be edited"),
        (item(quantity="0"), "quantity must be a whole number from 1 to 1,000,000"),
        (item(quantity="1000001"), "quantity must be"),
        (item(quantity="two"), "quantity must be"),
        (item({"print_url_1": "1.png"}), "print_url_1 must be an address that begins with https://"),
        (item({"print_url_1": "javascript:alert(1)"}), "print_url_1 must be an address"),
        (item({"print_url_1": "https://x.example.test/a b"}), "print_url_1 must be an address"),
        (item({"1 key": "x"}), "a key of metadata"),
        (item({"quantity": "two"}), "quantity is a field of the item, no metadata: give it as --quantity"),
        (item({"sku": "x"}), "sku is a field of the item"),
        (item({"note": "a\x1b[0m"}), "note holds control characters"),
    ],
)
def test_a_value_that_can_not_be_used_is_named(edit: Edit, problem: str) -> None:
    with pytest.raises(EditError, match=problem) as caught:
        checked(edit)
    assert "javascript" not in str(caught.value), "a value may be personal"


REASON = "the country is none that is known; no design address: item 1, print 2; item 2, print 1"


@pytest.mark.parametrize(
    ("country", "items", "needs"),
    [
        ("ATLANTIS", {}, [*REASON.split("; ")[:2], "no design address: item 2, print 1"]),
        ("GB", {1: {"print_url_2": "https://x.example.test/2"}}, ["no design address: item 2, print 1"]),
        ("GB", {1: {"print_url_2": "u"}, 2: {"print_url_1": "u"}}, []),
        (None, {1: {"print_url_2": "u"}, 2: {"print_url_1": "u"}}, ["the country is none that is known"]),
    ],
)
def test_what_is_still_needed(
    country: str | None, items: dict[int, dict[str, str | None]], needs: list[str]
) -> None:
    assert still_needed(REASON, country, items) == needs


def test_what_nobody_can_tell_to_be_mended_stays() -> None:
    reason = "frozen is text, not yes or no: it is left out"
    assert still_needed(reason, "GB", {}) == [reason]
