"""The desk's tables. They are built by the migrations beside this file and by nothing else."""

from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any, ClassVar

from sqlalchemy import (
    Boolean,
    CheckConstraint,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    Text,
    UniqueConstraint,
    text,
)
from sqlmodel import Field, SQLModel

from models.change_tables import OrderChange
from models.outbox import Handover, OutboxState, RequestPace, Shipment
from models.rule_tables import FulfillerMap, Rule, RuleEventRow
from models.types import BigId, JsonValue, Money, UtcDateTime
from models.watching import WatchRow

FIRST_FOLDERS = ("New", "Prepared", "Closed", "Canceled")
NEEDS_ATTENTION = "Needs Attention"
HELD = "hold_reason IS NOT NULL"

metadata: MetaData = SQLModel.metadata

__all__ = [
    "FIRST_FOLDERS",
    "NEEDS_ATTENTION",
    "Backfill",
    "BackfillWindow",
    "Folder",
    "FulfillerMap",
    "Handover",
    "ImportRun",
    "Lease",
    "Order",
    "OrderChange",
    "OrderHistory",
    "OrderItem",
    "OutboxState",
    "RejectedOrder",
    "RequestPace",
    "Rule",
    "RuleEventRow",
    "RunState",
    "ScanMark",
    "Shipment",
    "WatchRow",
    "WindowState",
    "metadata",
]


class RunState(StrEnum):
    """Where a run of an import stands."""

    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"
    CRASHED = "crashed"


class Folder(SQLModel, table=True):
    """A place for orders; ``name_key`` is the case-blind name, unique."""

    __tablename__: ClassVar[str] = "folders"

    id: int | None = Field(default=None, primary_key=True)
    name: str = Field(sa_column=Column(Text, nullable=False))
    name_key: str = Field(sa_column=Column(Text, nullable=False, unique=True))


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
    )

    id: int | None = Field(default=None, sa_column=Column(BigId, primary_key=True))
    integration: str = Field(sa_column=Column(Text, nullable=False))
    project: str = Field(sa_column=Column(Text, nullable=False))
    source_id: str = Field(sa_column=Column(Text, nullable=False))
    order_number: str = Field(sa_column=Column(Text, nullable=False))
    folder_id: int = Field(sa_column=Column(Integer, ForeignKey("folders.id"), nullable=False))
    import_run_id: int = Field(sa_column=Column(BigId, ForeignKey("import_runs.id"), nullable=False))
    podos_status: str = Field(sa_column=Column(Text, nullable=False))
    podos_created_at: datetime = Field(sa_column=Column(UtcDateTime, nullable=False))
    podos_updated_at: datetime | None = Field(default=None, sa_column=Column(UtcDateTime))
    imported_at: datetime = Field(sa_column=Column(UtcDateTime, nullable=False))
    fulfiller_reference: str | None = Field(default=None, sa_column=Column(Text))
    merchant_reference: str | None = Field(default=None, sa_column=Column(Text))
    email: str | None = Field(default=None, sa_column=Column(Text))
    phone: str | None = Field(default=None, sa_column=Column(Text))
    ship_name: str | None = Field(default=None, sa_column=Column(Text))
    ship_company: str | None = Field(default=None, sa_column=Column(Text))
    ship_address1: str | None = Field(default=None, sa_column=Column(Text))
    ship_address2: str | None = Field(default=None, sa_column=Column(Text))
    ship_city: str | None = Field(default=None, sa_column=Column(Text))
    ship_postal_code: str | None = Field(default=None, sa_column=Column(Text))
    ship_country: str | None = Field(default=None, sa_column=Column(Text))
    ship_state: str | None = Field(default=None, sa_column=Column(Text))
    shipping_code: str | None = Field(default=None, sa_column=Column(Text))
    shipping_name: str | None = Field(default=None, sa_column=Column(Text))
    priority: str | None = Field(default=None, sa_column=Column(Text))
    declared_value: Decimal | None = Field(default=None, sa_column=Column(Money))
    currency: str | None = Field(default=None, sa_column=Column(Text))
    package_weight_g: float | None = Field(default=None, sa_column=Column(Float))
    deadline: str | None = Field(default=None, sa_column=Column(Text))
    service_level_hours: float | None = Field(default=None, sa_column=Column(Float))
    source_platform: str | None = Field(default=None, sa_column=Column(Text))
    extras: dict[str, Any] | None = Field(default=None, sa_column=Column(JsonValue))
    hold_reason: str | None = Field(default=None, sa_column=Column(Text))
    order_metadata: dict[str, str] | None = Field(default=None, sa_column=Column("metadata", JsonValue))
    erased_at: datetime | None = Field(default=None, sa_column=Column(UtcDateTime))
    imported_status: str | None = Field(default=None, sa_column=Column(Text))
    podos_seen_at: datetime | None = Field(default=None, sa_column=Column(UtcDateTime))
    podos_frozen: bool | None = Field(default=None, sa_column=Column(Boolean))
    address_digest: str | None = Field(default=None, sa_column=Column(Text))
    artwork_digest: str | None = Field(default=None, sa_column=Column(Text))


class OrderItem(SQLModel, table=True):
    """One line of an order; ``item_metadata`` (column ``metadata``) carries the print keys, text to text."""

    __tablename__: ClassVar[str] = "order_items"
    __table_args__ = (
        CheckConstraint("quantity > 0", name="quantity_positive"),
        {"sqlite_with_rowid": False},
    )

    order_id: int = Field(sa_column=Column(BigId, ForeignKey("orders.id"), primary_key=True))
    position: int = Field(sa_column=Column(Integer, primary_key=True, autoincrement=False))
    source_item_id: str | None = Field(default=None, sa_column=Column(Text))
    sku: str | None = Field(default=None, sa_column=Column(Text))
    name: str | None = Field(default=None, sa_column=Column(Text))
    quantity: int = Field(sa_column=Column(Integer, nullable=False))
    variant_ref: str | None = Field(default=None, sa_column=Column(Text))
    notes: str | None = Field(default=None, sa_column=Column(Text))
    declared_value: Decimal | None = Field(default=None, sa_column=Column(Money))
    currency: str | None = Field(default=None, sa_column=Column(Text))
    item_metadata: dict[str, str] = Field(sa_column=Column("metadata", JsonValue, nullable=False))


class OrderHistory(SQLModel, table=True):
    """What happened to an order after its import; the import itself is on the order's row."""

    __tablename__: ClassVar[str] = "order_history"

    id: int | None = Field(default=None, sa_column=Column(BigId, primary_key=True))
    order_id: int = Field(sa_column=Column(BigId, ForeignKey("orders.id"), nullable=False, index=True))
    at: datetime = Field(sa_column=Column(UtcDateTime, nullable=False))
    event: str = Field(sa_column=Column(Text, nullable=False))
    text: str = Field(sa_column=Column(Text, nullable=False))


class ImportRun(SQLModel, table=True):
    """One check or manual import: the history that outlives Prefect's."""

    __tablename__: ClassVar[str] = "import_runs"
    __table_args__ = (Index("ix_import_runs_integration_kind_state", "integration", "kind", "state"),)

    id: int | None = Field(default=None, sa_column=Column(BigId, primary_key=True))
    integration: str = Field(sa_column=Column(Text, nullable=False))
    project: str = Field(sa_column=Column(Text, nullable=False))
    kind: str = Field(sa_column=Column(Text, nullable=False))
    state: str = Field(sa_column=Column(Text, nullable=False))
    lease_name: str = Field(sa_column=Column(Text, nullable=False))
    started_at: datetime = Field(sa_column=Column(UtcDateTime, nullable=False))
    finished_at: datetime | None = Field(default=None, sa_column=Column(UtcDateTime))
    since: datetime | None = Field(default=None, sa_column=Column(UtcDateTime))
    until: datetime | None = Field(default=None, sa_column=Column(UtcDateTime))
    counts: dict[str, int] = Field(sa_column=Column(JsonValue, nullable=False))
    needs_attention: int = Field(default=0, sa_column=Column(Integer, nullable=False))
    mark_before: datetime | None = Field(default=None, sa_column=Column(UtcDateTime))
    mark_after: datetime | None = Field(default=None, sa_column=Column(UtcDateTime))
    settings: dict[str, Any] = Field(sa_column=Column(JsonValue, nullable=False))
    flow_run_id: str | None = Field(default=None, sa_column=Column(Text))
    error: str | None = Field(default=None, sa_column=Column(Text))


class ScanMark(SQLModel, table=True):
    """Up to where an integration's orders were read, and for which filter that holds."""

    __tablename__: ClassVar[str] = "scan_marks"

    integration: str = Field(sa_column=Column(Text, primary_key=True))
    fingerprint: str = Field(sa_column=Column(Text, nullable=False))
    mark_at: datetime = Field(sa_column=Column(UtcDateTime, nullable=False))
    run_id: int = Field(sa_column=Column(BigId, ForeignKey("import_runs.id"), nullable=False))


class Lease(SQLModel, table=True):
    """Who works on something right now; free again when ``expires_at`` has passed."""

    __tablename__: ClassVar[str] = "leases"

    name: str = Field(sa_column=Column(Text, primary_key=True))
    holder: str = Field(sa_column=Column(Text, nullable=False))
    acquired_at: datetime = Field(sa_column=Column(UtcDateTime, nullable=False))
    expires_at: datetime = Field(sa_column=Column(UtcDateTime, nullable=False))


class RejectedOrder(SQLModel, table=True):
    """An order that could not be read, its payload and the reason; ``key`` is its id or payload's hash."""

    __tablename__: ClassVar[str] = "rejected_orders"
    __table_args__ = (UniqueConstraint("project", "key"),)

    id: int | None = Field(default=None, sa_column=Column(BigId, primary_key=True))
    integration: str = Field(sa_column=Column(Text, nullable=False))
    project: str = Field(sa_column=Column(Text, nullable=False))
    key: str = Field(sa_column=Column(Text, nullable=False))
    source_id: str | None = Field(default=None, sa_column=Column(Text))
    reason: str = Field(sa_column=Column(Text, nullable=False))
    payload: str = Field(sa_column=Column(Text, nullable=False))
    first_seen_at: datetime = Field(sa_column=Column(UtcDateTime, nullable=False))
    last_seen_at: datetime = Field(sa_column=Column(UtcDateTime, nullable=False))
    attempts: int = Field(default=1, sa_column=Column(Integer, nullable=False))
    run_id: int = Field(sa_column=Column(BigId, ForeignKey("import_runs.id"), nullable=False))


class WindowState(StrEnum):
    """Where a window of a backfill stands."""

    WAITING = "waiting"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"


class Backfill(SQLModel, table=True):
    """A manual import that was split into windows; ``until`` None is open."""

    __tablename__: ClassVar[str] = "backfills"

    id: int | None = Field(default=None, sa_column=Column(BigId, primary_key=True))
    integration: str = Field(sa_column=Column(Text, nullable=False))
    fingerprint: str = Field(sa_column=Column(Text, nullable=False))
    since: datetime = Field(sa_column=Column(UtcDateTime, nullable=False))
    until: datetime | None = Field(default=None, sa_column=Column(UtcDateTime))
    created_at: datetime = Field(sa_column=Column(UtcDateTime, nullable=False))


class BackfillWindow(SQLModel, table=True):
    """One part of a backfill: a half-open span of ``createdAt`` that one flow run imports."""

    __tablename__: ClassVar[str] = "backfill_windows"

    backfill_id: int = Field(sa_column=Column(BigId, ForeignKey("backfills.id"), primary_key=True))
    number: int = Field(sa_column=Column(Integer, primary_key=True, autoincrement=False))
    since: datetime = Field(sa_column=Column(UtcDateTime, nullable=False))
    until: datetime | None = Field(default=None, sa_column=Column(UtcDateTime))
    state: str = Field(sa_column=Column(Text, nullable=False))
    attempts: int = Field(default=0, sa_column=Column(Integer, nullable=False))
    flow_run_id: str | None = Field(default=None, sa_column=Column(Text))
    counts: dict[str, int] = Field(sa_column=Column(JsonValue, nullable=False))
    needs_attention: int = Field(default=0, sa_column=Column(Integer, nullable=False))
    error: str | None = Field(default=None, sa_column=Column(Text))
