"""Compute the date window of a run, from calendar days or from the watermark. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo

from models.errors import AppError, ExitCode
from models.filters import ImportSettings
from models.reports import PastCheck

OVERLAP = timedelta(minutes=5)
"""How far a check reads back before its mark: podOS may show a change a little later than it dates it."""

LOOK_BACK = timedelta(hours=1)
"""So far may podOS's clock go back between two checks, and forth again, without hiding an order for long."""
CLOCK_TOLERANCE = timedelta(minutes=2)
"""By so much podOS's clock may go back before it is noticed: what it dates then still lies in the overlap."""

YEARS = range(1970, 3000)
"""Days outside of these are a slip of the pen, and near the calendar's ends no time zone can be applied."""
BEGINNING = datetime(YEARS[0], 1, 1, tzinfo=UTC)


class WindowError(AppError, ValueError):
    """A span of time that can't be read."""

    exit_code = ExitCode.BAD_INPUT


class Window(NamedTuple):
    """A half-open span of time, in UTC; None is open on that side."""

    since: datetime | None
    until: datetime | None


class CheckPlan(NamedTuple):
    """How a check reads: from the mark by ``updatedAt``, or everything by ``createdAt``; ``since`` is UTC."""

    from_mark: bool
    since: datetime | None


def plan_check(
    settings: ImportSettings, mark: datetime | None, unsure_since: datetime | None = None
) -> CheckPlan:
    """Return what a check reads.

    Args:
        settings: the integration's.
        mark: up to where the orders were read under these very filters; None: there is no watermark.
        unsure_since: since when podOS's clock may have gone back and forth unseen; None: it can't have.
    """
    if mark is None:
        first = settings.first_import_at
        return CheckPlan(from_mark=False, since=max(first, BEGINNING).astimezone(UTC) if first else None)
    since = min(mark, unsure_since - LOOK_BACK) if unsure_since else mark
    return CheckPlan(from_mark=True, since=since - OVERLAP)


def unsure_since(past: Sequence[PastCheck], now: datetime, every: timedelta) -> datetime | None:
    """Return from when on podOS's clock may have gone back and forth unseen; None if that can wait.

    Between two checks nobody sees its clock. So once in a while a check looks back, and always after one that
    was not completed: it may have seen nothing, and the time without a look is longer.

    Args:
        past: the integration's checks, the newest first.
        now: aware.
        every: how often a check looks back at least.
    """
    looked = next((check.began for check in past if _looked_back(check)), None)
    if looked and now - looked < every and past[0].is_complete:
        return None
    return looked or min((check.began for check in past), default=now)


def _looked_back(check: PastCheck) -> bool:
    """Return whether a check read far enough back to find what a clock that went back had dated."""
    return check.is_complete and (check.since is None or check.since <= check.began - LOOK_BACK)


def cap_watermark(read_to: datetime, now: datetime, podos_now: datetime | None) -> datetime:
    """Return how far the mark may move: never past what either clock says.

    podOS's clock can run ahead and be set right. A mark in the future would then hide what changes until
    the right time has caught up with it.

    Args:
        read_to: aware; up to where the orders were read.
        now: aware; our clock.
        podos_now: aware; podOS's clock as this run saw it, at its earliest.
    """
    return min(read_to, now, podos_now or now)


def went_back_to(
    mark: datetime, podos_now: datetime | None, now: datetime, began: datetime
) -> datetime | None:
    """Return the earliest date of any change since a check, where podOS's clock went back behind the mark.

    None where it did not. Since that check began, podOS's clock has shown nothing earlier than what it shows
    now, less the time that has passed: it went right before, and went back once.

    Args:
        mark: aware; where this run began to read.
        podos_now: aware; podOS's clock as this run saw it, at its earliest.
        now: aware; our clock.
        began: aware; when the last complete check began, by our clock.
    """
    if podos_now is None or podos_now + CLOCK_TOLERANCE >= mark:
        return None
    return podos_now - max(now - began, timedelta())


def whole_days(since: date, until: date | None, time_zone: str) -> Window:
    """Return the window of calendar days, both counted whole, in a time zone.

    Raises:
        WindowError: a day lies outside of ``YEARS``.
    """
    begin = _instant(since, time.min, time_zone)
    if until is None:
        return Window(begin, None)
    _check_year(until)
    return Window(begin, _utc(until + timedelta(days=1), time.min, time_zone))


def window_of_import(
    since: date, since_time: str, until: date | None, until_time: str, time_zone: str, *, now: datetime
) -> Window:
    """Return the window of a manual import.

    Args:
        since: first day.
        since_time: ``HH:MM`` or ``HH:MM:SS`` on that day; empty: from its beginning.
        until: last day, whole unless ``until_time`` is given; None: no end.
        until_time: the window ends just before it; empty: with the day.
        time_zone: IANA name.
        now: the present, aware.

    Raises:
        WindowError: the window ends before it begins, or begins in the future, or a day lies outside of
            ``YEARS``.
    """
    window = whole_days(since, until, time_zone)
    begin, end = window
    if since_time:
        begin = _instant(since, time.fromisoformat(since_time), time_zone)
    if until and until_time:
        end = _instant(until, time.fromisoformat(until_time), time_zone)
    if begin and end and end <= begin:
        raise WindowError("the end lies before the beginning: nothing is in between")
    if begin and begin > now:
        raise WindowError(f"{since} is in the future: no order was created since; give an earlier beginning")
    return Window(begin, end)


def _instant(day: date, moment: time, time_zone: str) -> datetime:
    """Return a time of day in a zone as an instant in UTC, where windows are reckoned without summer time."""
    _check_year(day)
    return _utc(day, moment, time_zone)


def _utc(day: date, moment: time, time_zone: str) -> datetime:
    return datetime.combine(day, moment, tzinfo=ZoneInfo(time_zone)).astimezone(UTC)


def _check_year(day: date) -> None:
    if day.year not in YEARS:
        raise WindowError(f"{day} is no day of a podOS order; give one from {YEARS[0]} on")


def split_evenly(window: Window, first: datetime, last: datetime, parts: int) -> list[Window]:
    """Return windows that cover the given one without gap or overlap, equally long where orders lie.

    Args:
        window: what to cover; its own ends stay as they are.
        first: date of the first order in it.
        last: date of the last order in it.
        parts: how many at most; windows are no shorter than a minute.
    """
    minutes = max(1, int((last - first).total_seconds() // 60))
    parts = max(1, min(parts, minutes))
    step = (last - first) / parts
    cuts = [(first + step * number).replace(microsecond=0) for number in range(1, parts)]
    return split_at(window, cuts)


def split_at(window: Window, cuts: Sequence[datetime]) -> list[Window]:
    """Return windows that cover the given one without gap or overlap, cut at these instants, in order."""
    begins, ends = [window.since, *cuts], [*cuts, window.until]
    return [Window(begin, end) for begin, end in zip(begins, ends, strict=True)]
