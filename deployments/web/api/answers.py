"""What the HTTP API answers, for its document. Orders are as ``desk orders --json`` prints them."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

Moment = Annotated[str, Field(json_schema_extra={"format": "date-time"})]
DeskId = Annotated[int, Field(description="The desk's own number.")]
NullableText = Annotated[str | None, Field()]


class Answer(BaseModel):
    """An answer; new keys may come."""

    model_config = ConfigDict(extra="allow")


class Address(Answer):
    """Where an order goes."""

    name: NullableText
    company: NullableText
    address1: NullableText
    address2: NullableText
    city: NullableText
    postal_code: NullableText
    country: NullableText
    state: NullableText


class ShippingMethod(Answer):
    """How an order goes."""

    code: NullableText
    name: NullableText


class Item(Answer):
    """A line of an order; ``metadata`` has its prints."""

    sku: NullableText
    name: NullableText
    quantity: int
    variant_ref: NullableText
    notes: NullableText
    metadata: dict[str, str]


class OrderAnswer(Answer):
    """An order as `desk orders --json` prints it.

    Where another program wrote what nobody can read, `unreadable` names it, and that value is null.
    """

    id: DeskId
    integration: str
    project: str
    source_id: Annotated[str, Field(description="podOS id of the fulfillment.")]
    order_number: Annotated[str, Field(description="For people; several orders can share one.")]
    folder: NullableText
    podos_status: str
    created_at: Moment
    imported_at: Moment
    email: NullableText
    phone: NullableText
    shipping: Address
    shipping_method: ShippingMethod
    priority: NullableText
    declared_value: Annotated[str | None, Field(description="Exact decimal text.")]
    currency: NullableText
    package_weight_g: float | None
    fulfiller_reference: NullableText
    merchant_reference: NullableText
    deadline: NullableText
    service_level_hours: float | None
    source_platform: NullableText
    hold_reason: NullableText
    metadata: dict[str, str]
    packing_notes: list[Any]
    additional_files: list[Any]
    items: list[Item]
    unreadable: list[str] = []


class HistoryAnswer(Answer):
    """What happened to an order."""

    at: Moment
    event: str
    text: str


class ChangeAnswer(Answer):
    """A change in podOS that waits for a person."""

    id: int
    kind: str
    state: str
    at: Moment
    old_values: dict[str, str | None]
    new_values: dict[str, str | None]


class OneOrderAnswer(OrderAnswer):
    """An order as `desk order --json` prints it."""

    history: list[HistoryAnswer]
    changes: list[ChangeAnswer]


class OrdersAnswer(Answer):
    """A page of orders, the newest import first."""

    orders: list[OrderAnswer]
    next: Annotated[str | None, Field(description="For `page` of the next page; null: this is the last.")]


class ShipmentAnswer(Answer):
    """A shipment as `desk ship --json` prints it; `order` is the order number."""

    id: DeskId
    order: NullableText
    source_id: NullableText
    country: NullableText
    courier: str
    code: str
    url: NullableText
    state: Annotated[str, Field(description="waiting, sent, already_there, failed, superseded or voided.")]
    attempts: int
    next_attempt_at: NullableText
    reason: NullableText
    sent_at: NullableText


class AddedAnswer(Answer):
    """A shipment that was added, or that the desk had; the same for the same request, whenever it comes."""

    id: DeskId
    order: NullableText
    source_id: NullableText
    courier: str
    code: str
    url: NullableText
    added: Annotated[bool, Field(description="false: the desk had this order, courier and code already.")]


class FolderAnswer(Answer):
    """A folder."""

    name: str
    orders: int


class FoldersAnswer(Answer):
    """All folders, oldest first."""

    folders: list[FolderAnswer]


class MovedAnswer(Answer):
    """How many orders were moved; one that was there already is not counted."""

    moved: int


class PrintedAnswer(Answer):
    """How many orders were noted as printed; one that was noted already is not counted."""

    printed: int


class ErrorAnswer(Answer):
    """Why not; nothing was done."""

    error: Annotated[str, Field(description="In the words of the commands.")]
    field: Annotated[str | None, Field(description="The field or header that is wrong.")]
