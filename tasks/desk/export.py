"""How an order looks from outside: the exported form, and its line in a CSV file. Pure."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from models.unreadable import is_readable, problems_in, readable_or_none
from tasks.text_cells import csv_cell

_EXPORTED = (
    *("integration", "project", "source_id", "order_number", "folder", "podos_status", "podos_created_at"),
    *("imported_at", "email", "phone", "ship_name", "ship_company", "ship_address1", "ship_address2"),
    *("ship_city", "ship_postal_code", "ship_country", "ship_state", "shipping_code", "shipping_name"),
    *("priority", "declared_value", "currency", "package_weight_g", "fulfiller_reference"),
    *("merchant_reference", "deadline", "service_level_hours", "source_platform", "hold_reason", "metadata"),
    "extras",
)
"""Columns that an exported order shows; what cannot be read of the others does not matter to it."""
_EXTRAS = ("packing_notes", "additional_files")
_NESTED = ("shipping", "shipping_method")
_AS_JSON = ("metadata", "items", "packing_notes", "additional_files")

CSV_COLUMNS = (
    "id",
    "integration",
    "project",
    "source_id",
    "order_number",
    "folder",
    "podos_status",
    "created_at",
    "imported_at",
    "email",
    "phone",
    "shipping_name",
    "shipping_company",
    "shipping_address1",
    "shipping_address2",
    "shipping_city",
    "shipping_postal_code",
    "shipping_country",
    "shipping_state",
    "shipping_method_code",
    "shipping_method_name",
    "priority",
    "declared_value",
    "currency",
    "package_weight_g",
    "fulfiller_reference",
    "merchant_reference",
    "deadline",
    "service_level_hours",
    "source_platform",
    "hold_reason",
    "metadata",
    "packing_notes",
    "additional_files",
    "items",
)

_ITEM = ("sku", "name", "quantity", "variant_ref", "notes", "metadata")
ITEM_COLUMNS = (*CSV_COLUMNS[:-1], "item", *(f"item_{name}" for name in _ITEM))
"""Of a CSV file with a line an item; ``item`` is its number in the order, from 1."""


def exported_order(row: Mapping[Any, Any], items: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return an order as it is exported; every value is ready for JSON.

    What another program wrote and nobody can read is absent. ``unreadable``, a key that other orders have
    not, then names it.

    Args:
        row: the columns of table ``orders``, and ``folder``, the folder's name.
        items: its items (``exported_item``), in the order's sequence.
    """
    unreadable = [*_unreadable_in(row), *_unreadable_items(items)]
    if unreadable:
        row = {name: readable_or_none(value) for name, value in row.items()}
        items = [_readable_item(item) for item in items]
    document = _document(row, items)
    return document | {"unreadable": unreadable} if unreadable else document


def _unreadable_in(row: Mapping[Any, Any]) -> list[str]:
    found = problems_in({name: row[name] for name in _EXPORTED})
    found += [] if row["folder"] else ["folder_id can't be read: the desk has no such folder"]
    extras = row["extras"] or {}
    odd = [name for name in _EXTRAS if not isinstance(extras.get(name, []), list)]
    return found + [f"extras can't be read: its {name} is no list" for name in odd]


def _unreadable_items(items: Sequence[Mapping[str, Any]]) -> list[str]:
    return [
        f"item {number}: {problem}" for number, item in enumerate(items, 1) for problem in problems_in(item)
    ]


def _readable_item(item: Mapping[str, Any]) -> dict[str, Any]:
    readable = {name: readable_or_none(value) for name, value in item.items()}
    return readable | {"metadata": readable["metadata"] or {}}


def _document(row: Mapping[Any, Any], items: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    extras = row["extras"] or {}
    return {
        **{name: row[name] for name in ("id", "integration", "project", "source_id", "order_number")},
        **{name: row[name] for name in ("folder", "podos_status")},
        "created_at": iso(row["podos_created_at"]),
        "imported_at": iso(row["imported_at"]),
        "email": row["email"],
        "phone": row["phone"],
        "shipping": {
            part: row[f"ship_{part}"]
            for part in (
                *("name", "company", "address1", "address2"),
                *("city", "postal_code", "country", "state"),
            )
        },
        "shipping_method": {"code": row["shipping_code"], "name": row["shipping_name"]},
        "priority": row["priority"],
        "declared_value": amount_text(row["declared_value"]),
        "currency": row["currency"],
        "package_weight_g": _number(row["package_weight_g"]),
        "fulfiller_reference": row["fulfiller_reference"],
        "merchant_reference": row["merchant_reference"],
        "deadline": row["deadline"],
        "service_level_hours": _number(row["service_level_hours"]),
        "source_platform": row["source_platform"],
        "hold_reason": row["hold_reason"],
        "metadata": row["metadata"] or {},
        **{name: _list_of(extras.get(name)) for name in _EXTRAS},
        "items": list(items),
    }


def _list_of(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def exported_item(row: Mapping[Any, Any]) -> dict[str, Any]:
    """Return what is exported of an item, from the columns of table ``order_items``."""
    return {name: row[name] for name in _ITEM}


def csv_text(
    orders: Iterable[Mapping[str, Any]], *, by_item: bool = False, bom: bool = False
) -> Iterator[str]:
    """Give exported orders as CSV: the names of the columns, then order by order; memory stays flat.

    Args:
        orders: as ``exported_order`` returns them.
        by_item: a line an item; False: a line an order, with its items as JSON.
        bom: begin with the byte order mark that Excel looks for.
    """
    yield ("\ufeff" if bom else "") + _csv([ITEM_COLUMNS if by_item else CSV_COLUMNS])
    for order in orders:
        yield _csv(item_lines(order) if by_item else [csv_line(order)])


def _csv(lines: Iterable[Sequence[object]]) -> str:
    text = io.StringIO()
    csv.writer(text).writerows(lines)
    return text.getvalue()


def csv_line(order: Mapping[str, Any]) -> list[str | int | float]:
    """Return an exported order as the values of one CSV line, in the sequence of ``CSV_COLUMNS``.

    Text that a spreadsheet would run as a formula begins with an apostrophe (``tasks.text_cells``).
    """
    flat = _flat(order)
    return [csv_cell(flat[name]) for name in CSV_COLUMNS]


def item_lines(order: Mapping[str, Any]) -> Iterator[list[str | int | float]]:
    """Return an exported order as CSV lines of ``ITEM_COLUMNS``: one an item, and one where it has none."""
    flat = _flat(order)
    of_order = [csv_cell(flat[name]) for name in CSV_COLUMNS[:-1]]
    for number, item in enumerate(order["items"], 1):
        metadata = _json_or_none(item["metadata"])
        of_item = (number, *(item[name] for name in _ITEM[:-1]), metadata)
        yield of_order + [csv_cell(value) for value in of_item]
    if not order["items"]:
        yield of_order + [csv_cell(None)] * (1 + len(_ITEM))


def _flat(order: Mapping[str, Any]) -> dict[str, Any]:
    flat = dict(order)
    for group in _NESTED:
        flat.update({f"{group}_{name}": value for name, value in order[group].items()})
    return flat | {name: _json_or_none(order[name]) for name in _AS_JSON}


def _json_or_none(value: Any) -> str | None:
    return json.dumps(value, ensure_ascii=False) if value else None


def iso(instant: datetime | None) -> str | None:
    """Return an aware instant as ISO 8601 in UTC, with its offset; None for one that can't be read."""
    return instant.astimezone(UTC).isoformat() if instant and is_readable(instant) else None


def amount_text(amount: Decimal | None) -> str | None:
    """Return an exact amount as decimal text, never with an exponent."""
    return None if amount is None else format(amount, "f")


def _number(value: float | None) -> int | float | None:
    """Return a whole number as int; what JSON has no number for is nothing."""
    if value is None or not math.isfinite(value):
        return None
    return int(value) if value.is_integer() else value
