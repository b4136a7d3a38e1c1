"""Read the orders of a run over several connections, in batches."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from types import TracebackType
from typing import Self

from models.podos import Fulfillment
from tasks.podos.client import ListQuery, PodosClient
from tasks.podos.paging import DateField, WindowScan, date_of
from tasks.podos.parsing import Row, Unreadable

NEWEST_ROWS = 20
MIN_PAGES_TO_SPLIT = 2
MIN_SPLIT = timedelta(seconds=4)
PAGES_AHEAD = 2
"""How many pages of each window are kept in memory while nobody asks for a batch."""
SLOW_PAGE_SECONDS = 0.02
"""A page that comes quicker costs more to read than to wait for: a second connection would not help."""


@dataclass(frozen=True)
class ScanPlan:
    """What to read: rows whose ``field`` lies in ``[since, until)``; None is open on that side.

    ``newest`` is the date of the newest row, where known: it tells how an open window can be split.
    With ``ids`` only those fulfillments are read.
    """

    field: DateField
    since: datetime | None = None
    until: datetime | None = None
    newest: datetime | None = None
    ids: tuple[str, ...] | None = None
    parallel: bool = True


class Batch:
    """Rows on their way to the desk. A plain object, so that the engine does not walk through its rows.

    ``known`` are the ids of rows that the desk has by now, where somebody asked it: they are not imported
    again. ``again`` are those of them that podOS may have changed since the desk saw them last.
    ``came_quickly`` tells that podOS lets nobody wait: there is nothing to do while it answers.
    """

    __slots__ = ("again", "came_quickly", "fulfillments", "known", "number", "read_to", "unreadable")

    def __init__(
        self, number: int, rows: Sequence[Row], read_to: datetime | None, *, came_quickly: bool = False
    ) -> None:
        self.number = number
        self.came_quickly = came_quickly
        self.fulfillments = [row for row in rows if isinstance(row, Fulfillment)]
        self.unreadable = [row for row in rows if isinstance(row, Unreadable)]
        self.read_to = read_to
        self.known: frozenset[str] = frozenset()
        self.again: frozenset[str] = frozenset()

    def __len__(self) -> int:
        """Return the number of rows, readable or not."""
        return len(self.fulfillments) + len(self.unreadable)

    def __repr__(self) -> str:
        """Name the batch without anything of what is in it."""
        return f"Batch {self.number} of {len(self)} rows"


@dataclass
class _Lane:
    scan: WindowScan
    reader: asyncio.Task[None] | None = field(default=None)


class Scan:
    """Reads a plan batch by batch; use it with ``async with``.

    Windows are split where the work is: an idle connection takes half of what the busiest has before it.
    The windows are read on, a few pages of each, while a batch is transformed and loaded in a thread, so that
    waiting and working overlap. After an error nothing is lost: ``next_batch`` goes on where it stood.
    """

    def __init__(
        self,
        client: PodosClient,
        plan: ScanPlan,
        *,
        connections: int = 8,
        page_size: int = 100,
        project: str = "",
    ) -> None:
        self._client = client
        self._plan = plan
        # By updatedAt a row moves from one lane's window to another's, which may have been read by then.
        self._connections = connections if plan.parallel and plan.field == "createdAt" else 1
        self._page_size = page_size
        self._project = project
        self._rows: list[Row] = []
        self._undated: set[str] = set()
        self._ids = plan.ids or ()
        self._ids_read = 0
        self._quickest_page_seconds: float | None = None
        self._lanes = [] if plan.ids is not None else [self._lane(plan.since, plan.until)]
        self._is_awaited = False
        self._came = asyncio.Event()
        self._gave = asyncio.Event()
        self.batches = 0

    async def __aenter__(self) -> Self:
        """Return the scan itself."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Give up the requests that are under way."""
        readers = [lane.reader for lane in self._lanes if lane.reader]
        for reader in readers:
            reader.cancel()
        await asyncio.gather(*readers, return_exceptions=True)

    async def next_batch(self, size: int = 1000) -> Batch | None:
        """Return about ``size`` rows in the order they were read, None when all was read.

        Raises:
            PodosError: as the client's; call again to go on.
        """
        while len(self._rows) < size and (self._are_ids_left or self._lanes):
            if self._are_ids_left:
                await self._read_ids(size)
            else:
                await self._more_rows()
        rows, self._rows = self._rows, []
        self._gave.set()
        if not rows:
            return None
        self.batches += 1
        return Batch(self.batches, rows, self._read_to(rows), came_quickly=self.is_quick)

    @property
    def finished(self) -> bool:
        """Whether all was read and given out."""
        return not (self._rows or self._are_ids_left or self._lanes)

    @property
    def _are_ids_left(self) -> bool:
        return self._ids_read < len(self._ids)

    def _read_to(self, rows: Sequence[Row]) -> datetime | None:
        """Return up to where a scan by ``updatedAt`` has read: only such a scan moves the mark."""
        if self._plan.field != "updatedAt" or self._plan.ids is not None:
            return None
        newest = max((date for row in rows if (date := date_of(row, "updatedAt"))), default=None)
        # While the pages of a dense second are turned, later rows are given out before all of its own.
        positions = [lane.scan.position for lane in self._lanes]
        if newest is None or None in positions:
            return None
        return min([newest, *(position for position in positions if position)])

    async def _read_ids(self, size: int) -> None:
        self._rows += await self._client.get_by_ids(self._ids[self._ids_read : self._ids_read + size])
        self._ids_read += size

    async def _more_rows(self) -> None:
        """Wait until any window gave rows or came to its end; raise what ended a reader."""
        self._take_errors()  # of readers that ended while nobody waited: they ask again
        self._came.clear()
        self._is_awaited = True
        self._gave.set()
        self._start_readers()
        try:
            await self._came.wait()
        finally:
            self._is_awaited = False
        if errors := self._take_errors():
            raise errors[0]

    def _take_errors(self) -> list[BaseException]:
        """Return what ended readers before their windows' ends; they can be started again."""
        ended = [lane for lane in self._lanes if lane.reader and lane.reader.done()]
        errors = [error for lane in ended if lane.reader and (error := lane.reader.exception())]
        for lane in ended:
            lane.reader = None
        return errors

    def _start_readers(self) -> None:
        """Have each window read by a task of its own; idle connections get windows of their own."""
        self._split_for_idle_connections()
        for lane in self._lanes:
            if lane.reader is None:
                lane.reader = asyncio.create_task(self._read(lane))

    async def _read(self, lane: _Lane) -> None:
        try:
            while not lane.scan.finished:
                await self._until_there_is_room()
                self._take(await self._timed(lane.scan))
                if not lane.scan.finished:
                    self._start_readers()
                self._came.set()
            self._lanes.remove(lane)
            self._start_readers()
        finally:
            self._came.set()

    async def _until_there_is_room(self) -> None:
        while not self._is_awaited and len(self._rows) >= PAGES_AHEAD * self._page_size * len(self._lanes):
            self._gave.clear()
            await self._gave.wait()

    async def _timed(self, scan: WindowScan) -> list[Row]:
        started = time.monotonic()
        rows = await scan.next_rows()
        # The quickest of all pages: one that waited for our own work says nothing about podOS.
        seconds = time.monotonic() - started
        self._quickest_page_seconds = min(seconds, self._quickest_page_seconds or seconds)
        return rows

    def _take(self, rows: Sequence[Row]) -> None:
        for row in rows:
            if isinstance(row, Unreadable) and date_of(row, self._plan.field) is None:
                if row.key in self._undated:
                    continue
                self._undated.add(row.key)
            self._rows.append(row)

    def _lane(self, since: datetime | None, until: datetime | None) -> _Lane:
        return _Lane(
            WindowScan(
                self._client.list_page,
                field=self._plan.field,
                since=since,
                until=until,
                page_size=self._page_size,
                project=self._project,
            )
        )

    @property
    def is_quick(self) -> bool:
        """Whether podOS lets nobody wait: it costs more to read a page than to wait for it."""
        return (self._quickest_page_seconds or 0.0) < SLOW_PAGE_SECONDS

    def _split_for_idle_connections(self) -> None:
        if self.is_quick:
            return
        while 0 < len(self._lanes) < self._connections:
            busiest = max(self._lanes, key=self._rows_left)
            cut = self._middle_of_the_rest(busiest.scan)
            if cut is None:
                return
            until, busiest.scan.until = busiest.scan.until, cut
            self._lanes.append(self._lane(cut, until))

    def _rows_left(self, lane: _Lane) -> float:
        """Return about how many rows a lane still has before it, judged by its last page."""
        rest = self._rest(lane.scan)
        return 0.0 if rest is None else rest.total_seconds() * (lane.scan.rows_a_second or 0.0)

    def _rest(self, scan: WindowScan) -> timedelta | None:
        end = scan.until or self._plan.newest
        return end - scan.reached if end and scan.reached and end > scan.reached else None

    def _middle_of_the_rest(self, scan: WindowScan) -> datetime | None:
        rest = self._rest(scan)
        if rest is None or rest < MIN_SPLIT or scan.reached is None or scan.rows_a_second is None:
            return None
        if rest.total_seconds() * scan.rows_a_second < MIN_PAGES_TO_SPLIT * self._page_size:
            return None
        return (scan.reached + rest / 2).replace(microsecond=0)


async def newest_date(client: PodosClient, field: DateField) -> datetime | None:
    """Return the newest ``field`` of all rows by podOS's own clock, None for an empty project.

    It is asked before a full scan begins: what changes during the scan is newer, and the next check finds it.
    """
    answer = await client.list_page(ListQuery(sort_by=f"-{field}", page_size=NEWEST_ROWS))
    return max((date for row in answer.rows if (date := date_of(row, field))), default=None)


async def oldest_date(client: PodosClient, field: DateField, since: datetime | None) -> datetime | None:
    """Return the oldest ``field`` of the rows from an instant on, None where there are none."""
    query = ListQuery(sort_by=field, date_field=field, start=since, page_size=1)
    answer = await client.list_page(query)
    return max((date for row in answer.rows if (date := date_of(row, field))), default=None)
