"""Who works with the desk from outside: API tokens, and what requests of theirs have already done."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import ClassVar

from sqlalchemy import CheckConstraint, Column, ForeignKey
from sqlmodel import Field, SQLModel

from models.types import BigId, Flag, PlainText, RowRef, UtcDateTime


class Scope(StrEnum):
    """What a token may do; who may write may read."""

    READ = "read"
    WRITE = "write"


class ApiToken(SQLModel, table=True):
    """A token of the HTTP API: ``digest`` is its SHA-256, ``name_key`` the case-blind name.

    A revoked one stays, because the history of orders names it.
    """

    __tablename__: ClassVar[str] = "api_tokens"
    __table_args__ = (CheckConstraint("scope IN ('read', 'write')", name="scope_known"),)

    id: int | None = Field(default=None, sa_column=Column(BigId, primary_key=True))
    name: str = Field(sa_column=Column(PlainText, nullable=False))
    name_key: str = Field(sa_column=Column(PlainText, nullable=False, unique=True))
    scope: str = Field(sa_column=Column(PlainText, nullable=False))
    digest: str = Field(sa_column=Column(PlainText, nullable=False, unique=True))
    created_at: datetime = Field(sa_column=Column(UtcDateTime, nullable=False))
    last_used_at: datetime | None = Field(default=None, sa_column=Column(UtcDateTime))
    revoked_at: datetime | None = Field(default=None, sa_column=Column(UtcDateTime))


class ShipmentRequest(SQLModel, table=True):
    """A request that added a shipment: its Idempotency-Key and its body as SHA-256, and what came of it."""

    __tablename__: ClassVar[str] = "shipment_requests"

    token_id: int = Field(sa_column=Column(RowRef, ForeignKey("api_tokens.id"), primary_key=True))
    key_digest: str = Field(sa_column=Column(PlainText, primary_key=True))
    body_digest: str = Field(sa_column=Column(PlainText, nullable=False))
    shipment_id: int | None = Field(default=None, sa_column=Column(RowRef, ForeignKey("shipments.id")))
    added: bool | None = Field(default=None, sa_column=Column(Flag))
    created_at: datetime = Field(sa_column=Column(UtcDateTime, nullable=False, index=True))
