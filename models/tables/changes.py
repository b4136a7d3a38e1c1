"""The desk's table of changes that podOS made to orders after their import."""

from __future__ import annotations

from datetime import datetime
from typing import ClassVar

from sqlalchemy import Column, ForeignKey, Index, text
from sqlmodel import Field, SQLModel

from models.types import BigId, PlainText, RowRef, TextOrNullMap, UtcDateTime

_OPEN = text("state = 'open'")


class OrderChange(SQLModel, table=True):
    """One change: the values of that moment beside podOS's new ones. An order with an open one is flagged."""

    __tablename__: ClassVar[str] = "order_changes"
    __table_args__ = (
        Index(
            "uq_order_changes_open",
            "order_id",
            "kind",
            unique=True,
            sqlite_where=_OPEN,
            postgresql_where=_OPEN,
        ),
    )

    id: int | None = Field(default=None, sa_column=Column(BigId, primary_key=True))
    order_id: int = Field(sa_column=Column(RowRef, ForeignKey("orders.id"), nullable=False, index=True))
    run_id: int = Field(sa_column=Column(RowRef, ForeignKey("import_runs.id"), nullable=False))
    at: datetime = Field(sa_column=Column(UtcDateTime, nullable=False))
    kind: str = Field(sa_column=Column(PlainText, nullable=False))
    state: str = Field(sa_column=Column(PlainText, nullable=False))
    old_values: dict[str, str | None] = Field(sa_column=Column(TextOrNullMap(required=True), nullable=False))
    new_values: dict[str, str | None] = Field(sa_column=Column(TextOrNullMap(required=True), nullable=False))
