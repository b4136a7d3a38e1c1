"""The desk's tables of rules, of what they still have to look at, and of the fulfillers' maps."""

from __future__ import annotations

from datetime import datetime
from typing import Any, ClassVar

from sqlalchemy import Boolean, Column, ForeignKey, Integer, Text, UniqueConstraint
from sqlmodel import Field, SQLModel

from models.types import BigId, JsonValue, UtcDateTime


class Rule(SQLModel, table=True):
    """One rule of the desk; ``definition`` is the rule as it is written, ``name_key`` its case-blind name."""

    __tablename__: ClassVar[str] = "rules"

    id: int | None = Field(default=None, sa_column=Column(BigId, primary_key=True))
    name: str = Field(sa_column=Column(Text, nullable=False))
    name_key: str = Field(sa_column=Column(Text, nullable=False, unique=True))
    event: str = Field(sa_column=Column(Text, nullable=False))
    position: int = Field(sa_column=Column(Integer, nullable=False))
    enabled: bool = Field(sa_column=Column(Boolean, nullable=False))
    definition: dict[str, Any] = Field(sa_column=Column(JsonValue, nullable=False))


class RuleEventRow(SQLModel, table=True):
    """Something that happened to an order and that the rules have not looked at yet."""

    __tablename__: ClassVar[str] = "rule_events"

    id: int | None = Field(default=None, sa_column=Column(BigId, primary_key=True))
    order_id: int = Field(sa_column=Column(BigId, ForeignKey("orders.id"), nullable=False))
    event: str = Field(sa_column=Column(Text, nullable=False))
    created_at: datetime = Field(sa_column=Column(UtcDateTime, nullable=False))


class FulfillerMap(SQLModel, table=True):
    """One map of a fulfiller; ``definition`` is the map as it is written."""

    __tablename__: ClassVar[str] = "fulfiller_maps"
    __table_args__ = (UniqueConstraint("fulfiller", "map"),)

    id: int | None = Field(default=None, sa_column=Column(BigId, primary_key=True))
    fulfiller: str = Field(sa_column=Column(Text, nullable=False))
    map: str = Field(sa_column=Column(Text, nullable=False))
    definition: dict[str, Any] = Field(sa_column=Column(JsonValue, nullable=False))
