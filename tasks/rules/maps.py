"""A fulfiller's maps, applied to an order: its words for print locations, SKUs and shipping methods. Pure."""

from __future__ import annotations

import re
from typing import Any, NamedTuple

from models.maps import MapKind, Maps, Missing, WordMap

_LOCATION = re.compile(r"print_location_\d+")
_NO_MAP = WordMap()


class Problem(NamedTuple):
    """Why an order can't be sent.

    Attributes:
        text: in words, the order's own among them, for whoever mends the order or the map.
        told: the same in this program's own words alone, which may go into reports, logs and Prefect.
    """

    text: str
    told: str

    @classmethod
    def own(cls, text: str) -> Problem:
        """Return a problem that is told without any word of the order."""
        return cls(text, text)


class Mapped(NamedTuple):
    """An order after the maps: a new document, what was changed, and why it can't be sent."""

    document: dict[str, Any]
    notes: list[str]
    problems: list[Problem]


def apply_maps(document: dict[str, Any], maps: Maps) -> Mapped:
    """Return an exported order in a fulfiller's own words.

    Args:
        document: the order as it is exported; it stays as it is.
        maps: the fulfiller's.

    Returns:
        The new document without the items on the skip list, what was changed in words for the history, and
        the words that have no mapping where the map stops the order.
    """
    mapped = Mapped({**document, "items": []}, [], [])
    _map_method(mapped, maps)
    for number, item in enumerate(document["items"], 1):
        sku_map = maps.get(MapKind.PRINT_SKU, _NO_MAP)
        if (item["sku"] or "").strip().casefold() in sku_map.skip:
            mapped.notes.append(f"item {number} left out: SKU {item['sku']} is on the skip list")
            continue
        mapped.document["items"].append(_mapped_item(mapped, maps, number, item))
    if document["items"] and not mapped.document["items"]:
        mapped.problems.append(Problem.own("every item is on the skip list: nothing is left to send"))
    return mapped


def map_carrier(maps: Maps, carrier: str) -> str | None:
    """Return the desk's name of a fulfiller's carrier; None where its map stops what it does not know."""
    carriers = maps.get(MapKind.CARRIER, _NO_MAP)
    found = carriers.find(carrier)
    if found is None and carriers.missing is Missing.STOP:
        return None
    return found or carrier


def _map_method(mapped: Mapped, maps: Maps) -> None:
    methods = maps.get(MapKind.SHIPPING_METHOD)
    method = mapped.document["shipping_method"]
    words = [word for word in (method["code"], method["name"]) if word]
    if methods is None or not words:
        return
    found = next((methods.lines[key] for key in map(_key, words) if key in methods.lines), methods.default)
    if found is not None:
        mapped.document["shipping_method"] = {"code": found, "name": found}
        if set(words) != {found}:
            mapped.notes.append(f"shipping method {words[0]} = {found}")
    elif methods.missing is Missing.STOP:
        told = "its shipping method has no mapping"
        mapped.problems.append(Problem(f"shipping method {words[0]} has no mapping", told))


def _mapped_item(mapped: Mapped, maps: Maps, number: int, item: dict[str, Any]) -> dict[str, Any]:
    metadata = dict(item["metadata"])
    _map_locations(mapped, maps, number, metadata)
    skus = maps.get(MapKind.PRINT_SKU)
    if skus:
        sku = item["sku"] or ""
        found = skus.find(sku)
        if found is not None and metadata.get("print_sku") != found:
            metadata["print_sku"] = found
            mapped.notes.append(f"item {number}: SKU {sku or '(none)'} = {found}")
        elif found is None and skus.missing is Missing.STOP:
            text = f"item {number}: SKU {sku or '(none)'} has no mapping to a print SKU"
            mapped.problems.append(Problem(text, f"item {number}: its SKU has no mapping to a print SKU"))
    return {**item, "metadata": metadata}


def _map_locations(mapped: Mapped, maps: Maps, number: int, metadata: dict[str, str]) -> None:
    locations = maps.get(MapKind.PRINT_LOCATION)
    if locations is None:
        return
    for key in filter(_LOCATION.fullmatch, list(metadata)):
        word = metadata[key]
        found = locations.find(word)
        if found is None and locations.missing is Missing.STOP:
            text = f"item {number}: print location {word} has no mapping"
            mapped.problems.append(Problem(text, f"item {number}: a print location has no mapping"))
        elif found is not None and found != word:
            metadata[key] = found
            mapped.notes.append(f"item {number}: print location {word} = {found}")


def _key(word: str) -> str:
    return word.strip().casefold()
