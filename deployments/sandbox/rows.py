"""One stored order as the indexes see it, and the sorted index that keeps big lists fast."""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from operator import attrgetter, itemgetter

from deployments.sandbox.query import Filter
from deployments.sandbox.wire import Order, epoch, render

_BULK = 1000
"""From this many waiting rows on, sorting everything is cheaper than inserting each."""


@dataclass(slots=True, eq=False)
class Row:
    """One order: its JSON, written once, and the values that it is found and sorted by."""

    number: int
    key: str
    body: bytes
    status: str
    priority: str
    merchant: str
    fulfiller: str
    created: int
    updated: int
    changed: int


SORT_VALUES: dict[str, Callable[[Row], str | int]] = {
    "createdAt": attrgetter("created"),
    "updatedAt": attrgetter("updated"),
    "statusChangedAt": attrgetter("changed"),
    "priorityLevel": attrgetter("priority"),
    "status": attrgetter("status"),
    "merchantReference": attrgetter("merchant"),
    "fulfillerReference": attrgetter("fulfiller"),
}
DATE_VALUES: dict[str, Callable[[Row], int]] = {
    "createdAt": attrgetter("created"),
    "updatedAt": attrgetter("updated"),
    "statusChangedAt": attrgetter("changed"),
}


def make_row(number: int, key: str, order: Order) -> Row:
    """Prepare an order for the store; a field of a broken shape sorts as if it were empty."""
    return Row(
        number=number,
        key=key,
        body=render(order),
        status=_text(order.get("status")),
        priority=_text(order.get("priorityLevel")),
        merchant=_text(order.get("merchantReference")),
        fulfiller=_text(order.get("fulfillerReference")),
        created=epoch(order.get("createdAt")),
        updated=epoch(order.get("updatedAt")),
        changed=epoch(order.get("statusChangedAt")),
    )


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def matches(row: Row, wanted: Filter) -> bool:
    """Say whether a row passes the filter."""
    if wanted.statuses and row.status not in wanted.statuses:
        return False
    if wanted.priority_levels and row.priority not in wanted.priority_levels:
        return False
    moment = DATE_VALUES[wanted.date_field](row)
    if wanted.start is not None and (
        moment < wanted.start or (wanted.start_exclusive and moment == wanted.start)
    ):
        return False
    return wanted.end is None or moment < wanted.end or (moment == wanted.end and not wanted.end_exclusive)


_Entry = tuple[int, int, Row]
"""Moment, number, row. Numbers are unique, so comparing two entries never reaches the rows."""


class SortedIndex:
    """Rows sorted by one date. Adding many is cheap; they are sorted in when someone looks."""

    def __init__(self, field: str) -> None:
        """Sort by the date field of this name."""
        self._value = DATE_VALUES[field]
        self._entries: list[_Entry] = []
        self._waiting: list[_Entry] = []

    def add(self, row: Row) -> None:
        """Take in a row."""
        self._waiting.append((self._value(row), row.number, row))

    def discard(self, row: Row) -> None:
        """Drop a row that was added before."""
        self._settle()
        del self._entries[bisect_left(self._entries, (self._value(row), row.number, row))]

    def span(self, wanted: Filter) -> range:
        """Find the positions that the filter's date range covers."""
        self._settle()
        low, high = 0, len(self._entries)
        if wanted.start is not None:
            low = self._position(wanted.start, after=wanted.start_exclusive)
        if wanted.end is not None:
            high = self._position(wanted.end, after=not wanted.end_exclusive)
        return range(low, max(low, high))

    def walk(self, positions: range) -> Iterator[Row]:
        """Yield the rows at these positions, one by one; valid until the next change."""
        entries = self._entries
        return (entries[position][2] for position in positions)

    def _position(self, moment: float, *, after: bool) -> int:
        side = bisect_right if after else bisect_left
        return side(self._entries, moment, key=itemgetter(0))

    def _settle(self) -> None:
        if len(self._waiting) >= _BULK:
            self._entries.extend(self._waiting)
            self._entries.sort()
        else:
            for entry in self._waiting:
                insort(self._entries, entry)
        self._waiting.clear()
