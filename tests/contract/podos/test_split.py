"""A span is split where its orders lie: by position, found with few requests."""

from __future__ import annotations

import asyncio
from bisect import bisect_left
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.podos import Fulfillment
from tasks.imports.windows import Window, split_at
from tasks.podos.client import ListQuery
from tasks.podos.parsing import ParsedPage, Unreadable
from tasks.podos.split import cuts_by_count

BEGIN = datetime(2026, 1, 1, tzinfo=UTC)


class Podos:
    """Orders with these dates (seconds after BEGIN, None for one that can't be read), oldest first."""

    def __init__(self, dates: list[int | None]) -> None:
        self.dates = dates
        self.requests = 0

    async def fetch(self, query: ListQuery) -> ParsedPage:
        self.requests += 1
        assert (query.sort_by, query.date_field, query.page_size) == ("createdAt", "createdAt", 1)
        return ParsedPage([self.row(date) for date in self.dates[query.page - 1 : query.page]], None)

    def row(self, date: int | None) -> Fulfillment | Unreadable:
        if date is None:
            return Unreadable("{}", "it has no date", "some", None, None)
        return Fulfillment(id="some", created_at=BEGIN + timedelta(seconds=date))

    def cuts(self, parts: int) -> list[datetime]:
        return asyncio.run(cuts_by_count(self.fetch, BEGIN - timedelta(days=1), None, parts))


@pytest.mark.parametrize("count", [40, 999, 1000, 5000, 400_000])
def test_parts_hold_about_as_many_orders_however_they_grow(count: int) -> None:
    growing = Podos([isqrt_growth(number) for number in range(count)])
    cuts = growing.cuts(8)
    edges = [0, *(bisect_left(growing.dates, (cut - BEGIN).total_seconds()) for cut in cuts), count]  # type: ignore[type-var]
    sizes = [after - before for before, after in pairwise(edges)]
    assert len(sizes) == 8
    assert max(sizes) <= 1.05 * count / 8 + 1
    assert growing.requests <= 32


def isqrt_growth(number: int) -> int:
    """Ever more orders a day: the nth comes at the square root of n days."""
    return int(86_400 * number**0.5)


@given(
    dates=st.lists(st.none() | st.integers(0, 50), max_size=60),
    parts=st.integers(1, 12),
)
def test_cuts_are_in_order_and_split_without_gap_or_overlap(dates: list[int | None], parts: int) -> None:
    podos = Podos(sorted(dates, key=lambda date: (date is None, date or 0)))
    whole = Window(BEGIN - timedelta(days=1), None)
    windows = split_at(whole, podos.cuts(parts))
    assert len(windows) <= parts
    assert (windows[0].since, windows[-1].until) == whole
    for before, after in pairwise(windows):
        assert before.until == after.since is not None
        assert before.since is not None
        assert before.since < after.since


def test_no_orders_are_one_part() -> None:
    assert Podos([]).cuts(8) == []
