"""What podOS sends: the fulfillment and its parts, as far as this project reads them.

Source: podOS Fulfillments API 1.66.1. Every field is optional here, because real answers hold ``null`` and
leave out what the published schema requires; what an order cannot do without is checked in
``tasks/podos/parsing.py``. Unknown statuses, placements and technologies are data: they are plain ``str``.
"""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

import msgspec


class Wire(msgspec.Struct, rename="camel", gc=False):
    """Base of all wire shapes: camelCase on the wire, unknown fields are passed over."""


class State(Wire):
    """A state or province of an address."""

    name: str | None = None
    code: str | None = None


class Address(Wire):
    """Where a parcel goes; ``country`` is ISO 3166-1 alpha-2."""

    contact_name: str | None = None
    company: str | None = None
    line1: str | None = None
    line2: str | None = None
    city: str | None = None
    postal_code: str | None = None
    country: str | None = None
    state: State | None = None


class ContactInformation(Wire):
    """How to reach the buyer."""

    email: str | None = None
    phone: str | None = None


class ShippingMethod(Wire):
    """The delivery service that the merchant chose."""

    id: str | None = None
    code: str | None = None
    name: str | None = None


class Price(Wire):
    """An amount of money; ``amount`` is a decimal string."""

    amount: str | None = None
    currency_code: str | None = None


class Dimensions(Wire):
    """A size in millimetres."""

    width: float | None = None
    height: float | None = None


class Application(Wire):
    """One print on an item; with ``deleted_at`` set it was withdrawn and must not be printed."""

    design: str | None = None
    placement: str | None = None
    technology: str | None = None
    mockup: str | None = None
    dimensions: Dimensions | None = None
    deleted_at: str | None = None


class ItemMetadata(Wire):
    """What the item is."""

    product_title: str | None = None
    product_sku: str | None = None
    variant_sku: str | None = None


class FulfillmentItem(Wire):
    """One line of an order."""

    id: str | None = None
    variant_ref: str | None = None
    quantity: float | None = None
    notes: str | None = None
    declared_value: Price | None = None
    metadata: ItemMetadata | None = None
    applications: list[Application] | None = None


class Platform(Wire):
    """Where the merchant's order came from."""

    name: str | None = None


class PackingNote(Wire):
    """A note or insert that goes into the parcel."""

    type: str | None = None
    text: str | None = None
    image: str | None = None


class AdditionalFile(Wire):
    """A file that belongs to the order."""

    name: str | None = None
    src: str | None = None


class Tracking(Wire):
    """The one tracking that podOS keeps per fulfillment."""

    courier: str | None = None
    code: str | None = None
    url: str | None = None


class HeldTracking(msgspec.Struct, frozen=True):
    """What podOS shows of one fulfillment, as far as tracking goes."""

    id: str
    status: str | None = None
    courier: str | None = None
    code: str | None = None
    url: str | None = None


class Fulfillment(Wire):
    """One package of one merchant order: what this project imports as an order."""

    id: str | None = None
    status: str | None = None
    created_at: datetime | None = None
    updated_at: datetime | None = None
    fulfiller_reference: str | None = None
    merchant_reference: str | None = None
    order_ref: str | None = None
    frozen: bool | None = None
    frozen_reasons: list[str] | None = None
    contact_information: ContactInformation | None = None
    shipping_address: Address | None = None
    shipping_method: ShippingMethod | None = None
    priority_level: str | None = None
    package_weight: float | None = None
    declared_value: Price | None = None
    tracking: Tracking | None = None
    items: list[FulfillmentItem] | None = None
    deadline: str | None = None
    service_level: float | None = None
    packing_notes: list[PackingNote] | None = None
    additional_files: list[AdditionalFile] | None = None
    source_platform: Platform | None = None


class Remarks(NamedTuple):
    """What was not taken as podOS sent it: lines for the history, and those that a person must see."""

    history: list[str]
    attention: list[str]


class MendedFulfillment(Fulfillment):
    """A fulfillment of which something was left out or replaced. It is never decoded, always made."""

    remarks: Remarks | None = None


class Page(Wire):
    """One page of the list call, every row readable."""

    fulfillments: list[Fulfillment]
    next_page_token: float | None = None


class RawPage(Wire):
    """One page of the list call, rows not yet read: used when a row of the page has a broken shape."""

    fulfillments: list[msgspec.Raw]
    next_page_token: float | None = None
