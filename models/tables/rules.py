"""The desk's tables of rules, of what they still have to look at, and of the fulfillers' maps."""

from __future__ import annotations

from datetime import datetime
from typing import Any, ClassVar

from sqlalchemy import Column, ForeignKey, UniqueConstraint
from sqlmodel import Field, SQLModel

from models.types import BigId, Flag, JsonObject, PlainText, RowRef, UtcDateTime, Whole


class Rule(SQLModel, table=True):
    """One rule of the desk; ``definition`` is the rule as it is written, ``name_key`` its case-blind name."""

    __tablename__: ClassVar[str] = "rules"

    id: int | None = Field(default=None, sa_column=Column(BigId, primary_key=True))
    name: str = Field(sa_column=Column(PlainText, nullable=False))
    name_key: str = Field(sa_column=Column(PlainText, nullable=False, unique=True))
    event: str = Field(sa_column=Column(PlainText, nullable=False))
    position: int = Field(sa_column=Column(Whole, nullable=False))
    enabled: bool = Field(sa_column=Column(Flag, nullable=False))
    definition: dict[str, Any] = Field(sa_column=Column(JsonObject(required=True), nullable=False))


class RuleEventRow(SQLModel, table=True):
    """Something that happened to an order and that the rules have not looked at yet."""

    __tablename__: ClassVar[str] = "rule_events"

    id: int | None = Field(default=None, sa_column=Column(BigId, primary_key=True))
    order_id: int = Field(sa_column=Column(RowRef, ForeignKey("orders.id"), nullable=False))
    event: str = Field(sa_column=Column(PlainText, nullable=False))
    created_at: datetime = Field(sa_column=Column(UtcDateTime, nullable=False))


class FulfillerMap(SQLModel, table=True):
    """One map of a fulfiller; ``definition`` is the map as it is written."""

    __tablename__: ClassVar[str] = "fulfiller_maps"
    __table_args__ = (UniqueConstraint("fulfiller", "map"),)

    id: int | None = Field(default=None, sa_column=Column(BigId, primary_key=True))
    fulfiller: str = Field(sa_column=Column(PlainText, nullable=False))
    map: str = Field(sa_column=Column(PlainText, nullable=False))
    definition: dict[str, Any] = Field(sa_column=Column(JsonObject(required=True), nullable=False))
