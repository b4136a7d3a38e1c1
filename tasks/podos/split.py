"""Split a date range into parts with about the same number of orders.

podOS tells no totals, but it pages by number: with one row a page, the page is the row's position.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import datetime
from math import isqrt

from tasks.podos.client import ListQuery
from tasks.podos.paging import Fetch, date_of

FIRST_GUESS = 1000
STEP = 8
CLOSE_ENOUGH = 1.005
"""The number of orders is looked for until it is known to five in a thousand: the last part has the rest."""

RowAt = Callable[[int], Awaitable[tuple[bool, datetime | None]]]


async def cuts_by_count(
    fetch: Fetch, since: datetime | None, until: datetime | None, parts: int
) -> list[datetime]:
    """Return the dates, oldest first, that split the orders created in ``[since, until)`` into equal parts.

    Args:
        fetch: asks podOS for one page; about 15 times, and once for each cut.
        since: aware; None: from the first order on.
        until: aware; None: to the last one.
        parts: how many at most; there are fewer where too many orders share a second.

    Raises:
        PodosError: as ``fetch``.
    """

    async def row_at(position: int) -> tuple[bool, datetime | None]:
        query = ListQuery("createdAt", since, until, "createdAt", page=position, page_size=1)
        rows = (await fetch(query)).rows
        return bool(rows), date_of(rows[0], "createdAt") if rows else None

    count = await _about_how_many(row_at)
    cuts: list[datetime] = []
    for position in sorted({1 + count * number // parts for number in range(1, parts)} - {1}):
        _, date = await row_at(position)
        if date is None:
            continue
        cut, before = date.replace(microsecond=0), cuts[-1] if cuts else since
        if (before is None or cut > before) and (until is None or cut < until):
            cuts.append(cut)
    return cuts


async def _about_how_many(row_at: RowAt) -> int:
    there, beyond = 0, FIRST_GUESS
    while (await row_at(beyond))[0]:
        there, beyond = beyond, beyond * STEP
    while beyond - there > 1 and beyond > there * CLOSE_ENOUGH:
        middle = isqrt(there * beyond) if there else beyond // STEP
        middle = min(max(middle, there + 1), beyond - 1)
        there, beyond = (middle, beyond) if (await row_at(middle))[0] else (there, middle)
    return there
