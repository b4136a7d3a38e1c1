"""Read a date window of podOS completely, even while rows move between pages.

podOS pages by number over a set that changes while it is read. So each request starts again at the last date
seen (minus a second; ids already seen are dropped) and asks for page 1; only while a whole page shares those
seconds does it turn to page 2, 3 ... of the same anchor, and then back to page 1. A row that leaves pulls the
rows behind it towards page 1: past a reader on the way there, but never past one on the way back.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Literal, NamedTuple

from tasks.podos.client import ListQuery
from tasks.podos.errors import WrongAnswerError
from tasks.podos.parsing import ParsedPage, Row, Unreadable

DateField = Literal["createdAt", "updatedAt"]
Fetch = Callable[[ListQuery], Awaitable[ParsedPage]]

MARGIN = timedelta(seconds=1)
"""Whether podOS's date ranges include their ends is not documented: they overlap by a second."""
EARLIEST, LATEST = datetime(1970, 1, 1, tzinfo=UTC), datetime(3000, 1, 1, tzinfo=UTC)
"""No row is dated outside of this; windows that reach further are cut."""
MAX_EMPTY_PAGES = 3
MAX_PASSES = 20


def date_of(row: Row, field: DateField) -> datetime | None:
    """Return the date by which a scan is sorted."""
    return row.created_at if field == "createdAt" else row.updated_at


class WindowScan:
    """One pass over the rows whose date lies in ``[since, until)``, oldest first, a page at a time.

    After an error nothing has moved: ``next_rows`` can be called again and asks for the same page.

    Args:
        fetch: asks podOS for one page.
        field: the date that the window speaks of and the rows are sorted by.
        since: aware, inclusive; None: from the very first row.
        until: aware, exclusive; None: to the last row there is.
        page_size: rows asked for at once; podOS may send fewer.
        project: for error texts.
    """

    def __init__(
        self,
        fetch: Fetch,
        *,
        field: DateField,
        since: datetime | None,
        until: datetime | None,
        page_size: int = 100,
        project: str = "",
    ) -> None:
        self._fetch = fetch
        self._field = field
        self._since = _utc(since)
        self._page_size = page_size
        self._project = project
        self._anchor = self._since
        self._page = 1
        self._passes = 0
        self._found_at_anchor = False
        self._way_back: _ReturnChannel | None = None
        self._is_sorted = False
        self._page_before: tuple[str, ...] | None = None
        self._last_before: datetime | None = None
        self._empty_pages = 0
        self._seen: dict[str, datetime] = {}
        self._seen_undated: set[str] = set()
        self.until = _utc(until)
        self.reached: datetime | None = None
        self.finished = False
        self.rows_a_second: float | None = None

    @property
    def position(self) -> datetime | None:
        """Every row before this instant has been given out (later ones up to ``reached``); None at first."""
        return self._anchor

    async def next_rows(self) -> list[Row]:
        """Return the next rows that were not given out before; an empty list is no sign of the end.

        Raises:
            WrongAnswerError: podOS did not sort, or did not apply the start date.
        """
        start = self._anchor - MARGIN if self._anchor else None
        query = ListQuery(
            sort_by=self._field,
            date_field=self._field,
            start=start,
            end=self.until + MARGIN if self.until else None,
            page=self._page,
            page_size=self._page_size,
        )
        answer = await self._fetch(query)
        dates = [date for row in answer.rows if (date := date_of(row, self._field))]
        self._check_order(dates, start)
        self._check_progress(answer.rows)
        new = [row for row in answer.rows if self._is_new(row)]
        self._remember(new)
        self._measure(dates)
        self._move_on(answer, dates)
        return [row for row in new if self._is_inside(row)]

    def _check_order(self, dates: Sequence[datetime], start: datetime | None) -> None:
        if any(later < earlier for earlier, later in pairwise(dates)):
            raise self._wrong(f"podOS did not sort by {self._field} as asked")
        if start and dates and dates[0] < start - MARGIN:
            raise self._wrong("podOS sent rows from before the start date it was given")
        if self._way_back or not dates:
            return
        if self._last_before and not self._is_sorted and dates[0] < self._last_before:
            raise self._wrong(f"podOS did not sort by {self._field} as asked")
        self._is_sorted = self._is_sorted or dates[-1] > (self._last_before or dates[0])
        self._last_before = dates[-1]

    def _check_progress(self, rows: Sequence[Row]) -> None:
        if self._way_back:
            return
        keys = tuple(_key(row) for row in rows)
        self._empty_pages = 0 if keys else self._empty_pages + 1
        repeats = bool(keys) and self._page > 1 and keys == self._page_before
        if repeats or self._empty_pages > MAX_EMPTY_PAGES:
            raise self._wrong("podOS sent the same page again and again")
        self._page_before = keys

    def _wrong(self, fact: str) -> WrongAnswerError:
        return WrongAnswerError(
            f"{fact}; reading on could miss orders, so this run stops. Report it to podOS",
            project=self._project,
            asked="GET /v1/fulfillments",
        )

    def _is_new(self, row: Row) -> bool:
        """Tell rows already given out; one that changed its date since is new again."""
        date = date_of(row, self._field)
        if date is None:
            return _key(row) not in self._seen_undated
        return self._seen.get(_key(row)) != date

    def _is_inside(self, row: Row) -> bool:
        date = date_of(row, self._field)
        if date is None:
            return True
        return (self._since is None or date >= self._since) and (self.until is None or date < self.until)

    def _remember(self, rows: Sequence[Row]) -> None:
        for row in rows:
            date = date_of(row, self._field)
            if date is None:
                self._seen_undated.add(_key(row))
            else:
                self._seen[_key(row)] = date
            if date is None or self._anchor is None or date <= self._anchor:
                self._found_at_anchor = True
            if date is not None:
                self.reached = max(date, self.reached or date)

    def _measure(self, dates: Sequence[datetime]) -> None:
        if len(dates) > 1:
            span = (dates[-1] - dates[0]).total_seconds()
            self.rows_a_second = len(dates) / max(span, 1.0)

    def _move_on(self, answer: ParsedPage, dates: Sequence[datetime]) -> None:
        if self._way_back:
            self._step_back(self._way_back)
            return
        # A page of one second says nothing about the order; nothing is left out until another page shows it.
        last = dates[-1] if dates and self._is_sorted else None
        past_until = self.until is not None and last is not None and last >= self.until
        at_end = answer.next_page_token is None or past_until
        moved = last is not None and (self._anchor is None or last > self._anchor)
        if not at_end and not moved:
            self._page += 1
        elif self._page > 1:
            self._turn_back(_ReturnChannel(last if moved else self._anchor, at_end))
        else:
            self._go_to(last if moved else self._anchor)
            self.finished = at_end

    def _turn_back(self, way_back: _ReturnChannel) -> None:
        self._way_back = way_back
        self._page -= 1
        self._found_at_anchor = False

    def _step_back(self, way_back: _ReturnChannel) -> None:
        if self._page > 1:
            self._page -= 1
        elif self._found_at_anchor:
            self._read_anchor_again()
        else:
            self._go_to(way_back.next_anchor)
            self.finished = way_back.at_end

    def _read_anchor_again(self) -> None:
        self._passes += 1
        if self._passes > MAX_PASSES:
            raise self._wrong("podOS's pages of one second never came to rest")
        self._way_back = self._page_before = self._last_before = None

    def _go_to(self, anchor: datetime | None) -> None:
        self._anchor = anchor
        self._page = 1
        self._passes = 0
        self._way_back = self._page_before = self._last_before = None
        if anchor is not None:
            floor = anchor - 2 * MARGIN
            self._seen = {key: date for key, date in self._seen.items() if date >= floor}


class _ReturnChannel(NamedTuple):
    """Where to go on after the pages of an anchor were read there and back, and whether that is the end."""

    next_anchor: datetime | None
    at_end: bool


def _utc(moment: datetime | None) -> datetime | None:
    """Return an instant in UTC: a second before it is then no time of day that summer time skipped."""
    return None if moment is None else min(max(moment, EARLIEST), LATEST).astimezone(UTC)


def _key(row: Row) -> str:
    return row.key if isinstance(row, Unreadable) else row.id or ""
