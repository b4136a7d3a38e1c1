"""Edits that a person makes to an order: the fields, and what came of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

ORDER_FIELDS = (
    *("ship_name", "ship_company", "ship_address1", "ship_address2", "ship_city", "ship_postal_code"),
    *("ship_state", "ship_country", "email", "phone", "shipping_code", "shipping_name"),
)
"""The columns of an order that a person may edit."""
ITEM_FIELDS = ("sku", "quantity", "notes")

Values = Mapping[str, str | None]


class Edit(NamedTuple):
    """New values of an order and of one of its items; None empties a field, items count from 1."""

    order: Values
    order_metadata: Values
    position: int | None
    item: Values
    item_metadata: Values


class Edited(NamedTuple):
    """What an edit did.

    Attributes:
        order_id: the desk id.
        fields: the names of what changed: ``ship_city``, ``item 2 sku``, ``item 2 print_url_1``.
        moved_to: the folder that the order went to, because nothing needs attention any more; None: it stays.
        needs: what still needs attention.
    """

    order_id: int
    fields: list[str]
    moved_to: str | None
    needs: list[str]
