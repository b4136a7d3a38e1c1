"""Reading a window of a list that changes while it is read: nothing is missed, nothing comes twice.

The list is a small one in memory, so that hypothesis can try thousands of ways to hide a row.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, timezone
from typing import Literal
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from models.podos import Fulfillment
from tasks.podos.client import ListQuery
from tasks.podos.errors import RetriablePodosError, WrongAnswerError
from tasks.podos.paging import DateField, WindowScan
from tasks.podos.parsing import ParsedPage, Row, Unreadable

START = datetime(2026, 3, 1, tzinfo=UTC)
MANY_REQUESTS = 5000
Kind = Literal["move", "leave", "appear"]
Given = tuple[str, int | None]

quick = settings(
    max_examples=120, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)


def at(second: float) -> datetime:
    return START + timedelta(seconds=second)


def second_of(moment: datetime | None) -> int | None:
    return None if moment is None else int((moment - START).total_seconds())


@dataclass(frozen=True)
class Change:
    """What happens before a request: to which row, and how many seconds after the change before it."""

    kind: Kind
    row: int
    later: int = 0


@dataclass
class FakePodos:
    """A list sorted by date, ties in the order of the rows' numbers (as a database with a primary key)."""

    dates: dict[int, int | None]
    changes: list[list[Change]] = field(default_factory=list)
    start_exclusive: bool = False
    end_exclusive: bool = False
    cap: int = 1000
    ignore_sort: bool = False
    ignore_start: bool = False
    ignore_page: bool = False
    failing: set[int] = field(default_factory=set)
    asked: list[ListQuery] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.stable = dict(self.dates)
        self.now = 1 + max((date for date in self.dates.values() if date is not None), default=0)
        self.next_number = 1 + max(self.dates, default=0)

    async def fetch(self, query: ListQuery) -> ParsedPage:
        assert len(self.asked) < MANY_REQUESTS, "the scan does not end"
        number = len(self.asked)
        self.asked.append(query)
        if number < len(self.changes):
            for change in self.changes[number]:
                self.apply(change)
        if number in self.failing:
            raise RetriablePodosError("away")
        return self.page(query)

    def apply(self, change: Change) -> None:
        self.now += change.later
        if change.kind == "appear":
            self.dates[self.next_number] = self.now
            self.next_number += 1
        elif self.dates:
            number = sorted(self.dates)[change.row % len(self.dates)]
            self.stable.pop(number, None)
            if change.kind == "leave":
                del self.dates[number]
            else:
                self.dates[number] = self.now

    def page(self, query: ListQuery) -> ParsedPage:
        rows = sorted(
            (number for number, date in self.dates.items() if self.matches(date, query)),
            key=lambda number: (self.dates[number] or 0, number),
            reverse=self.ignore_sort,
        )
        size = min(query.page_size, self.cap)
        page = 1 if self.ignore_page else query.page
        shown = rows[(page - 1) * size : page * size]
        return ParsedPage(
            [self.row(number) for number in shown], page + 1 if page * size < len(rows) else None
        )

    def matches(self, date: int | None, query: ListQuery) -> bool:
        start = None if self.ignore_start else query.start
        if date is None:
            return start is None
        if start and (at(date) < start or (self.start_exclusive and at(date) == start)):
            return False
        return not query.end or at(date) < query.end or (at(date) == query.end and not self.end_exclusive)

    def row(self, number: int) -> Row:
        date = self.dates[number]
        if date is None:
            return Unreadable("{}", "it has no date", f"row-{number}", None, None)
        return Fulfillment(id=f"row-{number}", status="paid", created_at=at(date), updated_at=at(date))


def scan_of(
    podos: FakePodos,
    *,
    field: DateField = "createdAt",
    since: datetime | None = None,
    until: datetime | None = None,
    page_size: int = 100,
) -> WindowScan:
    return WindowScan(podos.fetch, field=field, since=since, until=until, page_size=page_size)


def read(
    scan: WindowScan, after_each: Callable[[list[Given], WindowScan], None] = lambda given, scan: None
) -> list[Given]:
    async def loop() -> list[Given]:
        found: list[Given] = []
        while not scan.finished:
            try:
                rows = await scan.next_rows()
            except RetriablePodosError:
                continue
            found += [(row.id or "", second_of(row.created_at)) for row in rows]
            after_each(found, scan)
        return found

    return asyncio.run(loop())


def listed(dates: dict[int, int | None]) -> list[Given]:
    return [(f"row-{number}", date) for number, date in dates.items()]


def maybe_at(second: int | None) -> datetime | None:
    return None if second is None else at(second)


def inside(dates: dict[int, int | None], since: int | None, until: int | None) -> list[Given]:
    return [
        pair
        for pair in listed(dates)
        if pair[1] is not None and (since is None or pair[1] >= since) and (until is None or pair[1] < until)
    ]


def spread(count: int, every: int = 7) -> dict[int, int | None]:
    return {number: number * every for number in range(count)}


many_dates = st.lists(st.integers(0, 12), max_size=40).map(lambda dates: dict(enumerate(dates)))
kinds: st.SearchStrategy[Kind] = st.sampled_from(["move", "leave", "appear"])
changes = st.lists(
    st.lists(st.builds(Change, kinds, st.integers(0, 50), st.sampled_from([0, 0, 1, 2, 5])), max_size=1),
    max_size=40,
)


@quick
@given(
    dates=many_dates,
    changes=changes,
    page_size=st.integers(2, 6),
    field=st.sampled_from(["createdAt", "updatedAt"]),
)
def test_no_row_hides_behind_the_move_of_another(
    dates: dict[int, int | None], changes: list[list[Change]], page_size: int, field: DateField
) -> None:
    podos = FakePodos(dict(dates), changes)

    def position_is_true(found: list[Given], scan: WindowScan) -> None:
        position = second_of(scan.position)
        behind = [pair for pair in listed(podos.dates) if position is not None and (pair[1] or 0) < position]
        assert set(behind) <= set(found)

    found = read(scan_of(podos, field=field, page_size=page_size), position_is_true)
    assert set(listed(podos.stable)) <= set(found), "a row that never moved was missed"
    assert max(Counter(found).values(), default=1) == 1, "a row came twice with the same date"
    newest = max((date or 0 for _, date in found), default=0)
    assert all((date or 0) >= newest for _, date in set(listed(podos.dates)) - set(found))


@quick
@given(dates=many_dates, changes=changes, page_size=st.integers(2, 6))
def test_rows_that_moved_come_with_their_latest_date_once_the_list_is_calm(
    dates: dict[int, int | None], changes: list[list[Change]], page_size: int
) -> None:
    """As checks do it: the next scan starts at the newest date that the one before gave out."""
    podos = FakePodos(dict(dates), changes)
    found = read(scan_of(podos, field="updatedAt", page_size=page_size))
    podos.changes = []
    newest = max((date or 0 for _, date in found), default=0)
    found += read(scan_of(podos, field="updatedAt", since=at(newest), page_size=page_size))
    assert set(listed(podos.dates)) <= set(found)


@quick
@given(
    dates=many_dates,
    page_size=st.integers(1, 7),
    cap=st.integers(1, 9),
    start_exclusive=st.booleans(),
    end_exclusive=st.booleans(),
    since=st.one_of(st.none(), st.integers(-2, 14)),
    until=st.one_of(st.none(), st.integers(-2, 14)),
    failing=st.sets(st.integers(0, 30), max_size=8),
)
def test_a_calm_list_is_read_exactly_once(
    dates: dict[int, int | None],
    page_size: int,
    cap: int,
    start_exclusive: bool,
    end_exclusive: bool,
    since: int | None,
    until: int | None,
    failing: set[int],
) -> None:
    podos = FakePodos(
        dates, start_exclusive=start_exclusive, end_exclusive=end_exclusive, cap=cap, failing=failing
    )
    scan = scan_of(
        podos,
        since=maybe_at(since),
        until=maybe_at(until),
        page_size=page_size,
    )
    assert sorted(read(scan)) == sorted(inside(dates, since, until))


@quick
@given(
    dates=many_dates,
    page_size=st.integers(1, 6),
    faults=st.sets(st.sampled_from(["sort", "start", "page"]), min_size=1),
    since=st.one_of(st.none(), st.integers(-2, 14)),
    until=st.one_of(st.none(), st.integers(-2, 14)),
)
def test_a_server_that_ignores_a_parameter_is_caught_or_does_no_harm(
    dates: dict[int, int | None], page_size: int, faults: set[str], since: int | None, until: int | None
) -> None:
    podos = FakePodos(
        dates, ignore_sort="sort" in faults, ignore_start="start" in faults, ignore_page="page" in faults
    )
    scan = scan_of(podos, since=maybe_at(since), until=maybe_at(until), page_size=page_size)
    try:
        found = read(scan)
    except WrongAnswerError:
        return
    assert sorted(found) == sorted(inside(dates, since, until))


def test_a_newest_first_server_is_caught_though_its_first_page_is_of_one_second() -> None:
    dates: dict[int, int | None] = {number: 9 if number < 150 else 5 for number in range(250)}
    podos = FakePodos(dates, ignore_sort=True)
    with pytest.raises(WrongAnswerError, match="did not sort"):
        read(scan_of(podos))


@pytest.mark.parametrize("changed_before", range(1, 8))
@pytest.mark.parametrize("row", [0, 1, 2, 3, 4, 5])
def test_a_row_of_a_dense_second_that_leaves_pulls_no_other_out_of_sight(
    row: int, changed_before: int
) -> None:
    dates: dict[int, int | None] = {0: 0, 1: 0, 2: 0, 3: 0, 4: 0, 5: 100, 6: 200, 7: 300}
    podos = FakePodos(dates, [[]] * changed_before + [[Change("leave", row)]])
    found = read(scan_of(podos, page_size=2))
    assert set(listed(podos.stable)) <= set(found)


def test_rows_beyond_a_dense_second_do_not_move_the_position_past_it() -> None:
    """Position is what the mark stands on: a second whose pages are still turned is not done."""
    podos = FakePodos({0: 0, 1: 0, 2: 0, 3: 0, 4: 900, 5: 1800})
    positions: list[tuple[int, int | None]] = []
    read(
        scan_of(podos, page_size=2),
        lambda found, scan: positions.append((len(found), second_of(scan.position))),
    )
    assert positions[-1] == (6, 1800)
    assert all(position in (None, 0) for count, position in positions if count < 4)


def test_a_row_that_moves_on_right_after_it_was_read_comes_again() -> None:
    podos = FakePodos({0: 0, 1: 100, 2: 200, 3: 200, 4: 200}, [[], [], [], [Change("move", 2)]])
    found = read(scan_of(podos, field="updatedAt", page_size=2))
    assert {("row-2", 200), ("row-2", 201)} <= set(found)


def test_pages_are_turned_again_until_nothing_new_shows() -> None:
    """A server that orders ties as it likes: of rows 2 and 3 the first way shows none, the way back one."""
    calm = list(range(8))
    answers = {2: [0, 1, 4, 6, 2, 3, 5, 7], 6: [0, 1, 2, 6, 3, 4, 5, 7]}
    pages: list[int] = []

    async def fetch(query: ListQuery) -> ParsedPage:
        pages.append(query.page)
        assert len(pages) < 100
        order = answers.get(len(pages), calm)[2 * query.page - 2 : 2 * query.page]
        rows = [Fulfillment(id=f"row-{number}", status="paid", created_at=at(0)) for number in order]
        return ParsedPage(rows, query.page + 1 if query.page < 4 else None)

    found = read(WindowScan(fetch, field="createdAt", since=None, until=None, page_size=2))
    assert pages[:7] == [1, 2, 3, 4, 3, 2, 1]
    assert sorted(found) == [(f"row-{number}", 0) for number in calm]


def test_three_hundred_orders_of_one_second_are_all_read() -> None:
    dates: dict[int, int | None] = {400: 0, 401: 4, 402: 6, 403: 99}
    dates.update(dict.fromkeys(range(350), 5))
    podos = FakePodos(dates)
    assert sorted(read(scan_of(podos))) == sorted(listed(dates))
    assert len(podos.asked) <= 12


def test_sparse_rows_cost_one_request_a_page() -> None:
    podos = FakePodos(spread(1000))
    assert len(read(scan_of(podos))) == 1000
    assert len(podos.asked) == 11
    assert {query.page for query in podos.asked} == {1}


def test_undated_rows_come_once_and_hide_nothing() -> None:
    dates: dict[int, int | None] = {**dict.fromkeys(range(7)), **{number: number for number in range(7, 30)}}
    found = read(scan_of(FakePodos(dates), page_size=3))
    assert sorted(found, key=str) == sorted(listed(dates), key=str)


@pytest.mark.parametrize("changed_before", range(1, 7))
def test_undated_rows_that_get_a_date_pull_no_other_out_of_sight(changed_before: int) -> None:
    dates: dict[int, int | None] = {
        **dict.fromkeys(range(5)),
        **{number: number * 50 for number in range(5, 15)},
    }
    podos = FakePodos(dates, [[]] * changed_before + [[Change("move", 0, 1)]])
    found = read(scan_of(podos, page_size=2))
    assert set(listed(podos.stable)) <= set(found)


def test_the_window_is_asked_with_a_second_of_overlap_on_both_sides() -> None:
    podos = FakePodos({})
    assert read(scan_of(podos, field="updatedAt", since=at(10), until=at(20))) == []
    query = podos.asked[0]
    assert (query.start, query.end) == (at(9), at(21))
    assert (query.sort_by, query.date_field, query.page) == ("updatedAt", "updatedAt", 1)


def test_an_open_window_asks_for_no_dates() -> None:
    podos = FakePodos({})
    read(scan_of(podos))
    assert [(query.start, query.end) for query in podos.asked] == [(None, None)]


@pytest.mark.parametrize(
    ("zone", "local"),
    [
        ("Europe/London", datetime(2026, 3, 29, 2, 0)),  # noqa: DTZ001 - the zone comes below
        ("Europe/Berlin", datetime(2026, 3, 29, 3, 0)),  # noqa: DTZ001
        ("America/Nuuk", datetime(2026, 3, 29, 0, 0)),  # noqa: DTZ001
        ("Africa/Cairo", datetime(2026, 4, 24, 1, 0)),  # noqa: DTZ001
        ("Europe/London", datetime(2026, 10, 25, 1, 0)),  # noqa: DTZ001
    ],
)
def test_a_window_that_begins_or_ends_with_summer_time_misses_nothing(zone: str, local: datetime) -> None:
    """A second before 02:00 on the day that has no 01:59 is no wall-clock time."""
    edge = local.replace(tzinfo=ZoneInfo(zone))
    offset = int((edge.astimezone(UTC) - START).total_seconds())
    dates: dict[int, int | None] = {
        number: offset + second for number, second in enumerate(range(-9000, 9000, 600))
    }
    after = read(scan_of(FakePodos(dict(dates)), since=edge))
    before = read(scan_of(FakePodos(dict(dates)), until=edge))
    assert sorted(after) == sorted(pair for pair in listed(dates) if (pair[1] or 0) >= offset)
    assert sorted(before) == sorted(pair for pair in listed(dates) if (pair[1] or 0) < offset)


@pytest.mark.parametrize("hours", [-12, 0, 14])
def test_the_ends_of_the_calendar_are_no_obstacle(hours: int) -> None:
    zone = timezone(timedelta(hours=hours))
    scan = scan_of(
        FakePodos(spread(5)), since=datetime.min.replace(tzinfo=zone), until=datetime.max.replace(tzinfo=zone)
    )
    assert len(read(scan)) == 5


def test_after_an_error_the_same_page_is_asked_again() -> None:
    podos = FakePodos(spread(30), failing={1})
    assert len(read(scan_of(podos, page_size=10))) == 30
    assert podos.asked[1] == podos.asked[2]


def test_the_answer_in_another_order_stops_the_run() -> None:
    with pytest.raises(WrongAnswerError, match="did not sort by createdAt"):
        read(scan_of(FakePodos(spread(30), ignore_sort=True), page_size=10))


def test_an_ignored_start_stops_the_run() -> None:
    with pytest.raises(WrongAnswerError, match="before the start date"):
        read(scan_of(FakePodos(spread(30), ignore_start=True), page_size=10))


def test_an_ignored_page_number_in_a_dense_second_stops_the_run() -> None:
    podos = FakePodos(dict.fromkeys(range(30), 5), ignore_page=True)
    with pytest.raises(WrongAnswerError, match="same page again"):
        read(scan_of(podos, page_size=10))


def test_pages_without_rows_do_not_go_on_for_ever() -> None:
    async def always_more(query: ListQuery) -> ParsedPage:
        assert query.page < 50
        return ParsedPage([], query.page + 1)

    scan = WindowScan(always_more, field="createdAt", since=None, until=None)
    with pytest.raises(WrongAnswerError):
        read(scan)


def test_a_short_or_empty_page_is_not_the_end() -> None:
    pages: dict[int, list[int]] = {1: [], 2: [1, 2], 3: [], 4: [3]}

    async def fetch(query: ListQuery) -> ParsedPage:
        seconds = [2, 3] if query.start else pages[query.page]
        rows = [Fulfillment(id=f"row-{second}", status="paid", created_at=at(second)) for second in seconds]
        return ParsedPage(rows, None if query.start or query.page == 4 else query.page + 1)

    found = read(WindowScan(fetch, field="createdAt", since=None, until=None))
    assert found == [("row-1", 1), ("row-2", 2), ("row-3", 3)]
