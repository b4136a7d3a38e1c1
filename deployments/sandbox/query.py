"""What a list request asks for: reading its parameters strictly, so that a client's mistake shows."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TypeVar

from deployments.sandbox.catalogue import PRIORITY_LEVELS, STATUSES

Pairs = list[tuple[str, str]]
_T = TypeVar("_T")

DEFAULT_PAGE_SIZE = 100
MAX_PAGE_SIZE = 1000
"""A larger `pageSize` is answered with pages of this size. podOS documents no maximum."""
DATE_FIELDS = ("createdAt", "updatedAt", "statusChangedAt")
SORT_FIELDS = ("createdAt", "updatedAt", "priorityLevel", "status", "merchantReference", "fulfillerReference")
_LIST_PARAMETERS = ("statuses", "ids", "priorityLevels", "sortBy")
_DATE = re.compile(r"\d{4}-\d\d-\d\d(T\d\d:\d\d(:\d\d(\.\d{1,6})?)?(Z|[+-]\d\d:?\d\d)?)?")


class BadRequestError(Exception):
    """The request can't be answered; the message says why. Becomes a 400."""


@dataclass(frozen=True)
class Sort:
    """One key of the order asked for."""

    field: str
    descending: bool


DEFAULT_SORT = (Sort("createdAt", descending=True),)
"""Without `sortBy[]`: newest first. podOS does not document it; nobody may rely on it."""


@dataclass(frozen=True)
class Filter:
    """Which orders, in which order. `start` and `end` are seconds since 1970."""

    statuses: frozenset[str] = frozenset()
    ids: tuple[str, ...] = ()
    priority_levels: frozenset[str] = frozenset()
    start: float | None = None
    end: float | None = None
    date_field: str = "createdAt"
    sort: tuple[Sort, ...] = DEFAULT_SORT
    start_exclusive: bool = False
    end_exclusive: bool = False


@dataclass(frozen=True)
class ListQuery:
    """One list request."""

    filter: Filter
    page: int = 1
    page_size: int = DEFAULT_PAGE_SIZE
    fields: tuple[str, ...] = ()


def parse_query(pairs: Pairs) -> ListQuery:
    """Read the parameters of a list request; unknown parameters are ignored, as web services do.

    Raises:
        BadRequestError: A known parameter has a value, or lacks the brackets, that podOS would not take.
    """
    for name in _LIST_PARAMETERS:
        if _values(pairs, name):
            raise BadRequestError(f"{name} must be sent as {name}[]")
    return ListQuery(
        filter=Filter(
            statuses=_choices(pairs, "statuses[]", STATUSES),
            ids=tuple(dict.fromkeys(_values(pairs, "ids[]"))),
            priority_levels=_choices(pairs, "priorityLevels[]", PRIORITY_LEVELS),
            start=_single(pairs, "start", _moment),
            end=_single(pairs, "end", _moment),
            date_field=_single(pairs, "dateFilterType", _date_field) or "createdAt",
            sort=tuple(_sort(value) for value in _values(pairs, "sortBy[]")) or DEFAULT_SORT,
        ),
        page=_single(pairs, "pageToken", _positive) or 1,
        page_size=min(_single(pairs, "pageSize", _positive) or DEFAULT_PAGE_SIZE, MAX_PAGE_SIZE),
        fields=_single(pairs, "fields", _names) or (),
    )


def _values(pairs: Pairs, name: str) -> list[str]:
    return [value for key, value in pairs if key == name]


def _single(pairs: Pairs, name: str, read: Callable[[str], _T]) -> _T | None:
    values = _values(pairs, name)
    if not values:
        return None
    try:
        return read(values[-1])
    except ValueError as error:
        raise BadRequestError(f"{name}: {error}") from None


def _choices(pairs: Pairs, name: str, known: frozenset[str]) -> frozenset[str]:
    asked = frozenset(_values(pairs, name))
    if asked - known:
        raise BadRequestError(f"{name}: unknown value {sorted(asked - known)[0]!r}")
    return asked


def _moment(text: str) -> float:
    if not _DATE.fullmatch(text):
        raise ValueError("not an ISO 8601 date")
    moment = datetime.fromisoformat(text)
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def _date_field(text: str) -> str:
    if text not in DATE_FIELDS:
        raise ValueError(f"must be one of {', '.join(DATE_FIELDS)}")
    return text


def _positive(text: str) -> int:
    if not re.fullmatch(r"[0-9]{1,9}", text) or int(text) == 0:
        raise ValueError("must be a whole number from 1")
    return int(text)


def _names(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(",") if name.strip())


def _sort(text: str) -> Sort:
    field = text.removeprefix("-")
    if field not in SORT_FIELDS:
        raise BadRequestError(f"sortBy[]: unknown field {field!r}")
    return Sort(field, descending=text.startswith("-"))
