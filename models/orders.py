"""Orders on their way into the desk: what transform makes and load writes. Values are clean and exact."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any

import msgspec

MAX_QUANTITY = 1_000_000
"""Of an item: what is above is a mistake, and PostgreSQL's integers end not far from there."""


class NewItem(msgspec.Struct, gc=False):
    """One line of a new order; ``metadata`` carries the print keys, text to text."""

    position: int
    source_item_id: str | None
    sku: str | None
    name: str | None
    quantity: int
    variant_ref: str | None
    notes: str | None
    declared_value: Decimal | None
    currency: str | None
    metadata: dict[str, str]


class NewOrder(msgspec.Struct, gc=False):
    """One order, its columns named as in the table ``orders``.

    ``attention`` is why a person must look at it, ``remarks`` are lines for its history.
    """

    source_id: str
    order_number: str
    podos_status: str
    podos_created_at: datetime
    podos_updated_at: datetime | None
    fulfiller_reference: str | None
    merchant_reference: str | None
    email: str | None
    phone: str | None
    ship_name: str | None
    ship_company: str | None
    ship_address1: str | None
    ship_address2: str | None
    ship_city: str | None
    ship_postal_code: str | None
    ship_country: str | None
    ship_state: str | None
    shipping_code: str | None
    shipping_name: str | None
    priority: str | None
    declared_value: Decimal | None
    currency: str | None
    package_weight_g: float | None
    deadline: str | None
    service_level_hours: float | None
    source_platform: str | None
    extras: dict[str, Any] | None
    items: list[NewItem]
    attention: str | None
    remarks: tuple[str, ...] = ()
