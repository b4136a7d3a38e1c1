"""What an order must have before it goes to a fulfiller: all that is missing, said at once. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

COUNTRIES_WITH_STATE = ("US", "CA", "AU")
WITHOUT_POSTAL_CODE = frozenset(
    code
    for line in (
        "AE AG AN AO AW BF BI BJ BO BS BW BZ CD CF CG CI CK CM DJ DM ER FJ GA GD GH GM GN GQ GY HK IE JM",
        "KI KM KN KP LC ML MO MR MW NA NR NU PA QA RW SB SC SL SR ST SY TF TG TK TL TO TT TV UG VU YE ZW",
    )
    for code in line.split()
)
"""Countries whose addresses have no postal code, or may leave it out."""
_PRINT = re.compile(r"print_(?:url|location|technology|preview|width_mm|height_mm)_(\d{1,6})")
_WORDS = {
    "name": "name",
    "address1": "first address line",
    "city": "city",
    "country": "country",
}


def problems_of(document: dict[str, Any]) -> list[str]:
    """Return every reason why an exported order can't be sent; none: it can.

    The reasons name what is missing, never what is there: they go into the history and into logs.
    """
    if unreadable := document.get("unreadable"):
        return list(unreadable)
    return [*_address_problems(document["shipping"]), *_item_problems(document["items"])]


def _address_problems(address: dict[str, Any]) -> Iterator[str]:
    for part, words in _WORDS.items():
        given = (address[part], address["company"]) if part == "name" else (address[part],)
        if not any(map(_is_given, given)):
            yield f"the address has no {words}"
    country = (address["country"] or "").strip().upper()
    if country and country not in WITHOUT_POSTAL_CODE and not _is_given(address["postal_code"]):
        yield "the address has no postal code"
    if country in COUNTRIES_WITH_STATE and not _is_given(address["state"]):
        yield f"the address has no state, which {country} needs"


def _item_problems(items: list[dict[str, Any]]) -> Iterator[str]:
    if not items:
        yield "the order has no items"
    for number, item in enumerate(items, 1):
        if not item["quantity"] or item["quantity"] < 1:
            yield f"item {number}: the quantity is not above 0"
        metadata = item["metadata"]
        prints = {int(match[1]) for match in map(_PRINT.fullmatch, metadata) if match}
        for print_number in sorted(prints):
            if not _is_given(metadata.get(f"print_url_{print_number}")):
                yield f"item {number}, print {print_number}: no design address"
            if not _is_given(metadata.get(f"print_location_{print_number}")):
                yield f"item {number}, print {print_number}: no print location"


def _is_given(value: str | None) -> bool:
    return bool(value and value.strip())
