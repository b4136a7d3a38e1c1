"""Edits that people made to orders."""

from __future__ import annotations

from datetime import datetime
from typing import ClassVar

from sqlalchemy import Column, ForeignKey
from sqlmodel import Field, SQLModel

from models.types import BigId, PlainText, RowRef, TextOrNullMap, UtcDateTime


class OrderEdit(SQLModel, table=True):
    """One edit: the values before and after it, by field; empty once the personal data was erased."""

    __tablename__: ClassVar[str] = "order_edits"

    id: int | None = Field(default=None, sa_column=Column(BigId, primary_key=True))
    order_id: int = Field(sa_column=Column(RowRef, ForeignKey("orders.id"), nullable=False, index=True))
    at: datetime = Field(sa_column=Column(UtcDateTime, nullable=False))
    by: str = Field(sa_column=Column(PlainText, nullable=False))
    old_values: dict[str, str | None] = Field(sa_column=Column(TextOrNullMap(required=True), nullable=False))
    new_values: dict[str, str | None] = Field(sa_column=Column(TextOrNullMap(required=True), nullable=False))
    undone_at: datetime | None = Field(default=None, sa_column=Column(UtcDateTime))
