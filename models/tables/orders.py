"""Orders, their items, folders and history, and what could not be read."""

from datetime import datetime
from decimal import Decimal
from typing import Any, ClassVar

from sqlalchemy import (
    CheckConstraint,
    Column,
    ForeignKey,
    Index,
    Integer,
    UniqueConstraint,
    text,
)
from sqlmodel import Field, SQLModel

from models.types import (
    BigId,
    Flag,
    JsonObject,
    Measure,
    Money,
    PlainText,
    RowRef,
    TextMap,
    UtcDateTime,
    Whole,
)

FIRST_FOLDERS = ("New", "Prepared", "Closed", "Canceled")
NEEDS_ATTENTION = "Needs Attention"
HELD = "hold_reason IS NOT NULL"
MAX_ORDER_NUMBER_LENGTH = 200
"""PostgreSQL can't index texts of a few thousand bytes: one such number would stop its whole batch."""
BY_FULFILLER_REFERENCE, BY_MERCHANT_REFERENCE = (
    f"{name} <> order_number AND length({name}) <= {MAX_ORDER_NUMBER_LENGTH}"
    for name in ("fulfiller_reference", "merchant_reference")
)
"""What the index of a reference holds. The index of order numbers finds the rest."""


class Folder(SQLModel, table=True):
    """A place for orders; ``name_key`` is the case-blind name, unique."""

    __tablename__: ClassVar[str] = "folders"

    id: int | None = Field(default=None, primary_key=True)
    name: str = Field(sa_column=Column(PlainText, nullable=False))
    name_key: str = Field(sa_column=Column(PlainText, nullable=False, unique=True))


class Order(SQLModel, table=True):
    """One imported fulfillment. (project, source_id) is its identity, for ever.

    ``hold_reason`` keeps it from being sent; ``order_metadata`` (column ``metadata``) is the supplier's own;
    ``erased_at`` tells since when it carries no personal data. What podOS said of it last: ``podos_status``,
    ``podos_updated_at``, ``podos_frozen``, digests of address and artwork (people may edit those here).
    """

    __tablename__: ClassVar[str] = "orders"
    __table_args__ = (
        UniqueConstraint("project", "source_id"),
        Index("ix_orders_folder_id_id", "folder_id", "id"),
        Index("ix_orders_order_number", "order_number"),
        Index("ix_orders_held", "id", sqlite_where=text(HELD), postgresql_where=text(HELD)),
        Index(
            "ix_orders_fulfiller_reference",
            "fulfiller_reference",
            sqlite_where=text(BY_FULFILLER_REFERENCE),
            postgresql_where=text(BY_FULFILLER_REFERENCE),
        ),
        Index(
            "ix_orders_merchant_reference",
            "merchant_reference",
            sqlite_where=text(BY_MERCHANT_REFERENCE),
            postgresql_where=text(BY_MERCHANT_REFERENCE),
        ),
    )

    id: int | None = Field(default=None, sa_column=Column(BigId, primary_key=True))
    integration: str = Field(sa_column=Column(PlainText, nullable=False))
    project: str = Field(sa_column=Column(PlainText, nullable=False))
    source_id: str = Field(sa_column=Column(PlainText, nullable=False))
    order_number: str = Field(sa_column=Column(PlainText, nullable=False))
    folder_id: int = Field(sa_column=Column(Whole, ForeignKey("folders.id"), nullable=False))
    import_run_id: int = Field(sa_column=Column(RowRef, ForeignKey("import_runs.id"), nullable=False))
    podos_status: str = Field(sa_column=Column(PlainText, nullable=False))
    podos_created_at: datetime = Field(sa_column=Column(UtcDateTime, nullable=False))
    podos_updated_at: datetime | None = Field(default=None, sa_column=Column(UtcDateTime))
    imported_at: datetime = Field(sa_column=Column(UtcDateTime, nullable=False))
    fulfiller_reference: str | None = Field(default=None, sa_column=Column(PlainText))
    merchant_reference: str | None = Field(default=None, sa_column=Column(PlainText))
    email: str | None = Field(default=None, sa_column=Column(PlainText))
    phone: str | None = Field(default=None, sa_column=Column(PlainText))
    ship_name: str | None = Field(default=None, sa_column=Column(PlainText))
    ship_company: str | None = Field(default=None, sa_column=Column(PlainText))
    ship_address1: str | None = Field(default=None, sa_column=Column(PlainText))
    ship_address2: str | None = Field(default=None, sa_column=Column(PlainText))
    ship_city: str | None = Field(default=None, sa_column=Column(PlainText))
    ship_postal_code: str | None = Field(default=None, sa_column=Column(PlainText))
    ship_country: str | None = Field(default=None, sa_column=Column(PlainText))
    ship_state: str | None = Field(default=None, sa_column=Column(PlainText))
    shipping_code: str | None = Field(default=None, sa_column=Column(PlainText))
    shipping_name: str | None = Field(default=None, sa_column=Column(PlainText))
    priority: str | None = Field(default=None, sa_column=Column(PlainText))
    declared_value: Decimal | None = Field(default=None, sa_column=Column(Money))
    currency: str | None = Field(default=None, sa_column=Column(PlainText))
    package_weight_g: float | None = Field(default=None, sa_column=Column(Measure))
    deadline: str | None = Field(default=None, sa_column=Column(PlainText))
    service_level_hours: float | None = Field(default=None, sa_column=Column(Measure))
    source_platform: str | None = Field(default=None, sa_column=Column(PlainText))
    extras: dict[str, Any] | None = Field(default=None, sa_column=Column(JsonObject))
    hold_reason: str | None = Field(default=None, sa_column=Column(PlainText))
    order_metadata: dict[str, str] | None = Field(default=None, sa_column=Column("metadata", TextMap))
    erased_at: datetime | None = Field(default=None, sa_column=Column(UtcDateTime))
    imported_status: str | None = Field(default=None, sa_column=Column(PlainText))
    podos_seen_at: datetime | None = Field(default=None, sa_column=Column(UtcDateTime))
    podos_frozen: bool | None = Field(default=None, sa_column=Column(Flag))
    address_digest: str | None = Field(default=None, sa_column=Column(PlainText))
    artwork_digest: str | None = Field(default=None, sa_column=Column(PlainText))


class OrderItem(SQLModel, table=True):
    """One line of an order; ``item_metadata`` (column ``metadata``) carries the print keys, text to text."""

    __tablename__: ClassVar[str] = "order_items"
    __table_args__ = (
        CheckConstraint("quantity > 0", name="quantity_positive"),
        {"sqlite_with_rowid": False},
    )

    order_id: int = Field(sa_column=Column(BigId, ForeignKey("orders.id"), primary_key=True))
    position: int = Field(sa_column=Column(Integer, primary_key=True, autoincrement=False))
    source_item_id: str | None = Field(default=None, sa_column=Column(PlainText))
    sku: str | None = Field(default=None, sa_column=Column(PlainText))
    name: str | None = Field(default=None, sa_column=Column(PlainText))
    quantity: int = Field(sa_column=Column(Whole, nullable=False))
    variant_ref: str | None = Field(default=None, sa_column=Column(PlainText))
    notes: str | None = Field(default=None, sa_column=Column(PlainText))
    declared_value: Decimal | None = Field(default=None, sa_column=Column(Money))
    currency: str | None = Field(default=None, sa_column=Column(PlainText))
    item_metadata: dict[str, str] = Field(
        sa_column=Column("metadata", TextMap(required=True), nullable=False)
    )


class OrderHistory(SQLModel, table=True):
    """What happened to an order after its import; the import itself is on the order's row."""

    __tablename__: ClassVar[str] = "order_history"

    id: int | None = Field(default=None, sa_column=Column(BigId, primary_key=True))
    order_id: int = Field(sa_column=Column(RowRef, ForeignKey("orders.id"), nullable=False, index=True))
    at: datetime = Field(sa_column=Column(UtcDateTime, nullable=False))
    event: str = Field(sa_column=Column(PlainText, nullable=False))
    text: str = Field(sa_column=Column(PlainText, nullable=False))


class RejectedOrder(SQLModel, table=True):
    """An order that could not be read, its payload and the reason; ``key`` is its id or payload's hash."""

    __tablename__: ClassVar[str] = "rejected_orders"
    __table_args__ = (UniqueConstraint("project", "key"),)

    id: int | None = Field(default=None, sa_column=Column(BigId, primary_key=True))
    integration: str = Field(sa_column=Column(PlainText, nullable=False))
    project: str = Field(sa_column=Column(PlainText, nullable=False))
    key: str = Field(sa_column=Column(PlainText, nullable=False))
    source_id: str | None = Field(default=None, sa_column=Column(PlainText))
    reason: str = Field(sa_column=Column(PlainText, nullable=False))
    payload: str = Field(sa_column=Column(PlainText, nullable=False))
    first_seen_at: datetime = Field(sa_column=Column(UtcDateTime, nullable=False))
    last_seen_at: datetime = Field(sa_column=Column(UtcDateTime, nullable=False))
    attempts: int = Field(default=1, sa_column=Column(Whole, nullable=False))
    run_id: int = Field(sa_column=Column(RowRef, ForeignKey("import_runs.id"), nullable=False))
