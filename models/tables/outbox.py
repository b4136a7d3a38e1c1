"""The outbox: tracking and orders that wait to leave the desk."""

from datetime import datetime
from enum import StrEnum
from typing import ClassVar

from sqlalchemy import (
    CheckConstraint,
    Column,
    ForeignKey,
    Index,
    UniqueConstraint,
    false,
    func,
    text,
)
from sqlmodel import Field, SQLModel

from models.types import BigId, Flag, PlainText, RowRef, UtcDateTime, Whole


class OutboxState(StrEnum):
    """Where something that leaves the desk stands. Only what waits is ever sent."""

    WAITING = "waiting"
    SENT = "sent"
    ALREADY_THERE = "already_there"
    FAILED = "failed"
    SUPERSEDED = "superseded"
    VOIDED = "voided"


UNSENT = "state IN ('waiting', 'failed')"
"""What an index of its own counts; a query must say it in these words to use it."""
_OUTBOX_STATES = ", ".join(f"'{state.value}'" for state in OutboxState)


def erased_code(shipment_id: int) -> str:
    """Return what stands for the tracking code of a shipment whose personal data was erased."""
    return f"erased-{shipment_id}"


class Shipment(SQLModel, table=True):
    """Tracking of one parcel on its way to podOS; any program may insert (order_id, courier, code).

    The defaults make such a row complete: it waits, and the next sync trims it, fills in the tracking
    address and sends it. ``overwrite`` lets it replace another tracking that podOS holds.
    """

    __tablename__: ClassVar[str] = "shipments"
    __table_args__ = (
        UniqueConstraint("order_id", "courier", "code"),
        CheckConstraint("trim(courier) <> ''", name="courier_given"),
        CheckConstraint("trim(code) <> ''", name="code_given"),
        CheckConstraint(f"state IN ({_OUTBOX_STATES})", name="state_known"),
        Index("ix_shipments_state_next_attempt_at", "state", "next_attempt_at"),
    )

    id: int | None = Field(default=None, sa_column=Column(BigId, primary_key=True))
    order_id: int = Field(sa_column=Column(RowRef, ForeignKey("orders.id"), nullable=False))
    courier: str = Field(sa_column=Column(PlainText, nullable=False))
    code: str = Field(sa_column=Column(PlainText, nullable=False))
    url: str | None = Field(default=None, sa_column=Column(PlainText))
    shipped_at: datetime | None = Field(default=None, sa_column=Column(UtcDateTime))
    overwrite: bool = Field(default=False, sa_column=Column(Flag, nullable=False, server_default=false()))
    state: str = Field(
        default="waiting", sa_column=Column(PlainText, nullable=False, server_default="waiting")
    )
    attempts: int = Field(default=0, sa_column=Column(Whole, nullable=False, server_default="0"))
    first_attempt_at: datetime | None = Field(default=None, sa_column=Column(UtcDateTime))
    next_attempt_at: datetime | None = Field(default=None, sa_column=Column(UtcDateTime))
    reason: str | None = Field(default=None, sa_column=Column(PlainText))
    created_at: datetime | None = Field(
        default=None,
        sa_column=Column(UtcDateTime, nullable=False, server_default=func.current_timestamp()),
    )
    sent_at: datetime | None = Field(default=None, sa_column=Column(UtcDateTime))
    rules_seen: bool = Field(default=False, sa_column=Column(Flag, nullable=False, server_default=false()))


class Handover(SQLModel, table=True):
    """An order on its way to a fulfiller, once for each; any program may insert (order_id, fulfiller).

    ``reference`` is what the fulfiller calls the order, where it said so.
    """

    __tablename__: ClassVar[str] = "handovers"
    __table_args__ = (
        UniqueConstraint("order_id", "fulfiller"),
        CheckConstraint("trim(fulfiller) <> ''", name="fulfiller_given"),
        CheckConstraint(f"state IN ({_OUTBOX_STATES})", name="state_known"),
        Index("ix_handovers_fulfiller_state_next_attempt_at", "fulfiller", "state", "next_attempt_at"),
        Index("ix_handovers_unsent", "state", sqlite_where=text(UNSENT), postgresql_where=text(UNSENT)),
    )

    id: int | None = Field(default=None, sa_column=Column(BigId, primary_key=True))
    order_id: int = Field(sa_column=Column(RowRef, ForeignKey("orders.id"), nullable=False))
    fulfiller: str = Field(sa_column=Column(PlainText, nullable=False))
    reference: str | None = Field(default=None, sa_column=Column(PlainText))
    state: str = Field(
        default="waiting", sa_column=Column(PlainText, nullable=False, server_default="waiting")
    )
    attempts: int = Field(default=0, sa_column=Column(Whole, nullable=False, server_default="0"))
    first_attempt_at: datetime | None = Field(default=None, sa_column=Column(UtcDateTime))
    next_attempt_at: datetime | None = Field(default=None, sa_column=Column(UtcDateTime))
    reason: str | None = Field(default=None, sa_column=Column(PlainText))
    created_at: datetime | None = Field(
        default=None,
        sa_column=Column(UtcDateTime, nullable=False, server_default=func.current_timestamp()),
    )
    sent_at: datetime | None = Field(default=None, sa_column=Column(UtcDateTime))


class ProductionState(SQLModel, table=True):
    """A status of production on its way to podOS: once for each order and status."""

    __tablename__: ClassVar[str] = "production_states"
    __table_args__ = (
        UniqueConstraint("order_id", "status"),
        CheckConstraint("status IN ('processing', 'printed')", name="status_known"),
        CheckConstraint(f"state IN ({_OUTBOX_STATES})", name="state_known"),
        Index("ix_production_states_state_next_attempt_at", "state", "next_attempt_at"),
    )

    id: int | None = Field(default=None, sa_column=Column(BigId, primary_key=True))
    order_id: int = Field(sa_column=Column(RowRef, ForeignKey("orders.id"), nullable=False))
    status: str = Field(sa_column=Column(PlainText, nullable=False))
    state: str = Field(
        default="waiting", sa_column=Column(PlainText, nullable=False, server_default="waiting")
    )
    attempts: int = Field(default=0, sa_column=Column(Whole, nullable=False, server_default="0"))
    first_attempt_at: datetime | None = Field(default=None, sa_column=Column(UtcDateTime))
    next_attempt_at: datetime | None = Field(default=None, sa_column=Column(UtcDateTime))
    reason: str | None = Field(default=None, sa_column=Column(PlainText))
    created_at: datetime | None = Field(
        default=None,
        sa_column=Column(UtcDateTime, nullable=False, server_default=func.current_timestamp()),
    )
    sent_at: datetime | None = Field(default=None, sa_column=Column(UtcDateTime))
