"""Stand-ins for values that a column holds and its type does not allow.

SQLite keeps whatever another program writes, of any type; PostgreSQL has times and numbers that Python has
not. A stand-in is the empty value of its type: code that only lists a row works with it as it is. Code that
acts on a value asks ``problems_in`` first, and fails that row alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Self


class Unreadable:
    """A value that can't be read. ``problem`` says what is wrong with it, without the value."""

    problem: str


class UnreadableText(Unreadable, str):
    """Text that can't be read; as text it says so."""

    def __new__(cls, problem: str) -> Self:
        """Return the stand-in."""
        self = super().__new__(cls, f"(unreadable: {problem})")
        self.problem = problem
        return self


class UnreadableTime(Unreadable, datetime):
    """A time that can't be read: the first moment of year 1, which is long over."""

    def __new__(cls, problem: str, *_moment: object) -> Self:
        """Return the stand-in. ``datetime`` calls this with a moment when it computes one from another."""
        self = super().__new__(cls, 1, 1, 1, tzinfo=UTC)
        self.problem = problem
        return self


class UnreadableNumber(Unreadable, int):
    """A whole number or a switch that can't be read: 0."""

    def __new__(cls, problem: str) -> Self:
        """Return the stand-in."""
        self = super().__new__(cls, 0)
        self.problem = problem
        return self


class UnreadableMeasure(Unreadable, float):
    """A measure that can't be read: not a number."""

    def __new__(cls, problem: str) -> Self:
        """Return the stand-in."""
        self = super().__new__(cls, "nan")
        self.problem = problem
        return self


class UnreadableAmount(Unreadable, Decimal):
    """An amount that can't be read: 0."""

    def __new__(cls, problem: str) -> Self:
        """Return the stand-in."""
        self = super().__new__(cls, 0)
        self.problem = problem
        return self


class UnreadableMap(Unreadable, dict[str, Any]):
    """A JSON object that can't be read: empty."""

    def __init__(self, problem: str) -> None:
        super().__init__()
        self.problem = problem


def problems_in(values: Mapping[str, Any]) -> list[str]:
    """Return a sentence for each value that can't be read.

    Args:
        values: by the name of the column.
    """
    return [
        f"{name} can't be read: {value.problem}"
        for name, value in values.items()
        if isinstance(value, Unreadable)
    ]


def is_readable(value: object) -> bool:
    """Return whether a value is what its column's type allows."""
    return not isinstance(value, Unreadable)


def readable_or_none(value: Any) -> Any:
    """Return the value, None where it can't be read."""
    return None if isinstance(value, Unreadable) else value
