"""Column types that mean the same on SQLite and PostgreSQL, and how constraints are named."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import msgspec
from sqlalchemy import JSON, BigInteger, Boolean, DateTime, Dialect, Float, Integer, Numeric, Text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.types import TypeDecorator, TypeEngine
from sqlmodel import SQLModel

from models.unreadable import (
    Unreadable,
    UnreadableAmount,
    UnreadableMap,
    UnreadableMeasure,
    UnreadableNumber,
    UnreadableText,
    UnreadableTime,
)

Read = Callable[[Any], Any]
"""How a value of the database's driver is read. It never raises (``models.unreadable``)."""

# Here, because every module with tables imports this one first.
SQLModel.metadata.naming_convention = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}


class PlainText(TypeDecorator[str]):
    """Text. SQLite may hold bytes in its place."""

    impl = Text
    cache_ok = True

    def result_processor(self, dialect: Dialect, coltype: object) -> Read | None:  # noqa: ARG002
        """Return how a value of the driver is read; PostgreSQL has nothing but text here."""
        return _read_text if dialect.name == "sqlite" else None


class UtcDateTime(TypeDecorator[datetime]):
    """An instant: aware in Python, ``timestamptz`` on PostgreSQL, UTC text on SQLite."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Refuse a naive value: it would be an instant in an unknown zone."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a naive datetime was given where an instant is needed")
        value = value.astimezone(UTC)
        return value.replace(tzinfo=None) if dialect.name == "sqlite" else value

    def result_processor(self, dialect: Dialect, coltype: object) -> Read:  # noqa: ARG002
        """Return how a value of the driver is read: as an aware UTC instant."""
        return _read_time


class Whole(TypeDecorator[int]):
    """A whole number. SQLite may hold anything in its place."""

    impl = Integer
    cache_ok = True

    def result_processor(self, dialect: Dialect, coltype: object) -> Read | None:  # noqa: ARG002
        """Return how a value of the driver is read."""
        return _read_whole if dialect.name == "sqlite" else None


class RowRef(TypeDecorator[int]):
    """The id of a row of another table. SQLite may hold anything in its place."""

    impl = BigInteger
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """Choose what SQLite's own ids are."""
        kind: TypeEngine[Any] = Integer() if dialect.name == "sqlite" else BigInteger()
        return dialect.type_descriptor(kind)

    def result_processor(self, dialect: Dialect, coltype: object) -> Read | None:  # noqa: ARG002
        """Return how a value of the driver is read."""
        return _read_whole if dialect.name == "sqlite" else None


class Flag(TypeDecorator[bool]):
    """Yes or no. SQLite may hold anything in its place."""

    impl = Boolean
    cache_ok = True

    def result_processor(self, dialect: Dialect, coltype: object) -> Read | None:  # noqa: ARG002
        """Return how a value of the driver is read."""
        return _read_flag if dialect.name == "sqlite" else None


class Measure(TypeDecorator[float]):
    """A measure. SQLite may hold anything in its place."""

    impl = Float
    cache_ok = True

    def result_processor(self, dialect: Dialect, coltype: object) -> Read | None:  # noqa: ARG002
        """Return how a value of the driver is read."""
        return _read_measure if dialect.name == "sqlite" else None


class Money(TypeDecorator[Decimal]):
    """An exact amount: ``numeric`` on PostgreSQL, decimal text on SQLite, which has no exact numbers."""

    impl = Numeric()
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """Choose the exact storage of the database."""
        kind: TypeEngine[Any] = Text() if dialect.name == "sqlite" else Numeric()
        return dialect.type_descriptor(kind)

    def process_bind_param(self, value: Decimal | None, dialect: Dialect) -> Decimal | str | None:
        """Store text on SQLite, so that the value never passes through a float."""
        if value is None:
            return None
        return str(value) if dialect.name == "sqlite" else value

    def result_processor(self, dialect: Dialect, coltype: object) -> Read:  # noqa: ARG002
        """Return how a value of the driver is read."""
        return _read_amount


class JsonObject(TypeDecorator[dict[str, Any]]):
    """A JSON object: ``jsonb`` on PostgreSQL, text on SQLite.

    Args:
        required: read JSON's own null, which a column without NULL may hold, as an empty object.
    """

    impl = JSON
    cache_ok = True
    _holds: Callable[[dict[str, Any]], dict[str, Any] | None] | None = None
    """Returns the object as this column has it, None if it has something else in it."""

    def __init__(self, *, required: bool = False) -> None:
        super().__init__()
        self.required = required

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """Choose the storage of the database."""
        kind: TypeEngine[Any] = JSONB() if dialect.name == "postgresql" else JSON()
        return dialect.type_descriptor(kind)

    def result_processor(self, dialect: Dialect, coltype: object) -> Read:  # noqa: ARG002
        """Return how a value of the driver is read; PostgreSQL's has decoded it (``read_json``)."""
        is_decoded, holds, required = dialect.name == "postgresql", self._holds, self.required

        def read(raw: Any) -> Any:
            value = raw if raw is None or is_decoded else read_json(raw)
            if value is None:
                return {} if required else None
            if isinstance(value, Unreadable):
                return value
            found = value if isinstance(value, dict) else None
            if found is not None and holds is not None:
                found = holds(found)
            return UnreadableMap(_NOT_THIS_JSON) if found is None else found

        return read


class TextMap(JsonObject):
    """A JSON object of text by text; numbers and switches that another program wrote are read as text."""

    cache_ok = True

    @staticmethod
    def _holds(value: dict[str, Any]) -> dict[str, Any] | None:
        if all(isinstance(part, str) for part in value.values()):
            return value
        if any(isinstance(part, (dict, list)) for part in value.values()):
            return None
        return {name: _as_text(part) for name, part in value.items() if part is not None}


class TextOrNullMap(JsonObject):
    """A JSON object of text or null by text."""

    cache_ok = True

    @staticmethod
    def _holds(value: dict[str, Any]) -> dict[str, Any] | None:
        return value if all(part is None or isinstance(part, str) for part in value.values()) else None


class Counts(JsonObject):
    """A JSON object of whole numbers by text."""

    cache_ok = True

    @staticmethod
    def _holds(value: dict[str, Any]) -> dict[str, Any] | None:
        return value if all(isinstance(part, int) for part in value.values()) else None


_NOT_THIS_JSON = "it is not the JSON that belongs there"
_MOST_DIGITS = 40
_WHOLE = range(-(2**63), 2**63)


def read_json(raw: Any) -> Any:
    """Return what a JSON text holds, or an ``UnreadableMap``."""
    try:
        return msgspec.json.decode(raw)
    except (TypeError, ValueError, RecursionError):
        return UnreadableMap("it is not JSON")


def _as_text(value: float | bool | str) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _read_text(raw: Any) -> str | None:
    if raw is None or isinstance(raw, str):
        return raw
    return UnreadableText("it is bytes or a number, not text")


def _read_time(raw: Any) -> datetime | None:
    if raw is None or isinstance(raw, UnreadableTime):  # the driver's, of PostgreSQL
        return raw
    try:
        moment = raw if isinstance(raw, datetime) else datetime.fromisoformat(raw)
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (TypeError, ValueError, OverflowError):
        return UnreadableTime("it is not a time such as 2026-11-23 17:07:07")


def _read_whole(raw: Any) -> int | None:
    if isinstance(raw, float) and raw.is_integer() and int(raw) in _WHOLE:
        return int(raw)
    return raw if raw is None or isinstance(raw, int) else UnreadableNumber("it is not a whole number")


def _read_flag(raw: Any) -> bool | UnreadableNumber | None:
    if raw is None:
        return None
    return bool(raw) if raw in (0, 1) else UnreadableNumber("it is neither 0 nor 1")


def _read_measure(raw: Any) -> float | None:
    if raw is None:
        return None
    return float(raw) if isinstance(raw, (int, float)) else UnreadableMeasure("it is not a number")


def _read_amount(raw: Any) -> Decimal | None:
    if raw is None:
        return None
    try:
        amount = Decimal(raw)
    except (ArithmeticError, TypeError, ValueError):
        return UnreadableAmount("it is not an amount")
    # Written out, 1e999999999 has a gigabyte of zeros.
    if not amount.is_finite() or abs(amount.adjusted()) > _MOST_DIGITS:
        return UnreadableAmount("it is not an amount that can be written out")
    return amount


BigId = BigInteger().with_variant(Integer(), "sqlite")


def utc_text(instant: datetime) -> str:
    """Return an instant as SQLite's column text, for statements that bypass the column types."""
    at = instant if instant.tzinfo is UTC else instant.astimezone(UTC)
    parts = (at.year, at.month, at.day, at.hour, at.minute, at.second, at.microsecond)
    # Two thirds of the time of isoformat, which asks the zone; an import does it twice an order.
    return "%04d-%02d-%02d %02d:%02d:%02d.%06d" % parts  # noqa: UP031 - an f-string takes longer
