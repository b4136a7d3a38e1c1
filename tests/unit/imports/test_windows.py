"""Which dates a run reads: whole days, time zones, days of 23 and 25 hours, and marks."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest

from models.filters import CountryMode, ImportSettings
from models.reports import PastCheck
from tasks.imports.extract import BATCH_SIZES, LARGEST_WHILE_WAITING, batch_size
from tasks.imports.windows import (
    LOOK_BACK,
    OVERLAP,
    cap_watermark,
    plan_check,
    unsure_since,
    went_back_to,
    whole_days,
    window_of_import,
)

SETTINGS = ImportSettings(
    integration="default",
    project="acme",
    base_url="https://api.podos.io",
    folder="New",
    statuses=("paid",),
    order_prefix="",
    country_mode=CountryMode.STANDARD,
    countries=(),
    first_import_date=None,
    time_zone="UTC",
    sync_tracking=True,
)


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


NOW = utc("2026-11-23T10:00")


def test_both_days_count_whole() -> None:
    window = whole_days(date(2026, 11, 1), date(2026, 11, 3), "UTC")
    assert window == (utc("2026-11-01T00:00"), utc("2026-11-04T00:00"))


def test_one_day_is_that_day() -> None:
    assert whole_days(date(2026, 12, 31), date(2026, 12, 31), "UTC") == (
        utc("2026-12-31T00:00"),
        utc("2027-01-01T00:00"),
    )


def test_without_an_end_the_window_is_open() -> None:
    assert whole_days(date(2026, 11, 1), None, "UTC") == (utc("2026-11-01T00:00"), None)


@pytest.mark.parametrize(
    ("zone", "day", "begin", "hours"),
    [
        ("Europe/London", date(2026, 7, 1), "2026-06-30T23:00", 24),
        ("America/New_York", date(2026, 1, 15), "2026-01-15T05:00", 24),
        ("Pacific/Kiritimati", date(2026, 1, 15), "2026-01-14T10:00", 24),
        ("Pacific/Pago_Pago", date(2026, 1, 15), "2026-01-15T11:00", 24),
        ("Asia/Kathmandu", date(2026, 1, 15), "2026-01-14T18:15", 24),
        ("Europe/London", date(2026, 3, 29), "2026-03-29T00:00", 23),
        ("Europe/London", date(2026, 10, 25), "2026-10-24T23:00", 25),
        ("Australia/Lord_Howe", date(2026, 4, 5), "2026-04-04T13:00", 24.5),
        ("Africa/Cairo", date(2026, 4, 24), "2026-04-23T22:00", 23),  # has no 00:00
        ("America/Nuuk", date(2026, 3, 28), "2026-03-28T02:00", 23),  # has no 23:00
        ("America/Havana", date(2026, 11, 1), "2026-11-01T04:00", 25),  # has two 00:00
    ],
)
def test_days_begin_and_end_in_the_zone(zone: str, day: date, begin: str, hours: float) -> None:
    window = whole_days(day, day, zone)
    assert window.since == utc(begin)
    assert window.until == utc(begin) + timedelta(hours=hours)


@pytest.mark.parametrize("zone", ["Europe/London", "Africa/Cairo", "America/Nuuk", "America/Havana"])
def test_days_follow_each_other_without_gap_or_overlap(zone: str) -> None:
    days = [date(2026, 1, 1) + timedelta(days=number) for number in range(365)]
    windows = [whole_days(day, day, zone) for day in days]
    assert [window.since for window in windows[1:]] == [window.until for window in windows[:-1]]


@pytest.mark.parametrize("zone", ["UTC", "Europe/London", "Asia/Tokyo"])
def test_windows_are_in_utc_where_a_second_is_always_a_second(zone: str) -> None:
    window = window_of_import(date(2026, 3, 29), "02:30", date(2026, 3, 30), "04:00", zone, now=NOW)
    assert window.since is not None
    assert window.until is not None
    assert (window.since.tzinfo, window.until.tzinfo) == (UTC, UTC)


def test_times_of_day_narrow_the_days() -> None:
    window = window_of_import(
        date(2026, 7, 1), "08:30", date(2026, 7, 2), "17:45:30", "Europe/London", now=NOW
    )
    assert window == (utc("2026-07-01T07:30"), utc("2026-07-02T16:45:30"))


def test_each_time_of_day_is_optional() -> None:
    day = date(2026, 7, 1)
    assert window_of_import(day, "08:30", day, "", "UTC", now=NOW) == (
        utc("2026-07-01T08:30"),
        utc("2026-07-02T00:00"),
    )
    assert window_of_import(day, "", day, "08:30", "UTC", now=NOW) == (
        utc("2026-07-01T00:00"),
        utc("2026-07-01T08:30"),
    )
    assert window_of_import(day, "08:30", None, "", "UTC", now=NOW) == (utc("2026-07-01T08:30"), None)
    assert window_of_import(day, "", None, "08:30", "UTC", now=NOW) == (utc("2026-07-01T00:00"), None)


def test_midnight_as_an_end_is_the_beginning_of_that_day() -> None:
    window = window_of_import(date(2026, 7, 1), "", date(2026, 7, 2), "00:00", "UTC", now=NOW)
    assert window == (utc("2026-07-01T00:00"), utc("2026-07-02T00:00"))


@pytest.mark.parametrize(
    ("since", "since_time", "until", "until_time", "zone"),
    [
        (date(2026, 7, 2), "", date(2026, 7, 1), "", "UTC"),
        (date(2026, 7, 2), "10:00", date(2026, 7, 2), "10:00", "UTC"),
        (date(2026, 7, 2), "10:00", date(2026, 7, 2), "09:59:59", "UTC"),
        (date(2026, 7, 2), "", date(2026, 7, 2), "00:00", "UTC"),
        (date(2026, 3, 29), "01:45", date(2026, 3, 29), "02:15", "Europe/London"),  # 01:45 is 02:45 that day
    ],
)
def test_an_end_that_is_not_after_the_beginning_is_refused(
    since: date, since_time: str, until: date, until_time: str, zone: str
) -> None:
    with pytest.raises(ValueError, match="the end lies before the beginning"):
        window_of_import(since, since_time, until, until_time, zone, now=NOW)


def test_a_beginning_in_the_future_is_refused_and_today_is_not() -> None:
    today, tomorrow = date(2026, 11, 23), date(2026, 11, 24)
    with pytest.raises(ValueError, match="2026-11-24 is in the future"):
        window_of_import(tomorrow, "", None, "", "UTC", now=NOW)
    with pytest.raises(ValueError, match="is in the future"):
        window_of_import(today, "10:01", None, "", "UTC", now=NOW)
    assert window_of_import(today, "10:00", None, "", "UTC", now=NOW).since == NOW
    # In Kiritimati it is midnight.
    assert window_of_import(tomorrow, "", None, "", "Pacific/Kiritimati", now=NOW).since == NOW


@pytest.mark.parametrize("zone", ["Pacific/Kiritimati", "Pacific/Pago_Pago", "UTC"])
@pytest.mark.parametrize(
    ("since", "until"),
    [(date.min, None), (date.min, date.max), (date(2026, 1, 1), date.max), (date(20, 1, 1), date(26, 1, 1))],
)
def test_slips_of_the_pen_are_named(since: date, until: date | None, zone: str) -> None:
    with pytest.raises(ValueError, match="is no day of a podOS order"):
        window_of_import(since, "10:00", until, "11:00", zone, now=NOW)


def test_the_oldest_and_the_last_day_are_taken() -> None:
    window = whole_days(date(1970, 1, 1), date(2999, 12, 31), "Pacific/Kiritimati")
    assert window.until == utc("2999-12-31T10:00")


def test_a_check_without_a_mark_reads_everything() -> None:
    assert plan_check(SETTINGS, None) == (False, None)


def test_a_check_without_a_mark_begins_with_the_first_import_date_in_its_zone() -> None:
    settings = replace(SETTINGS, first_import_date=date(2026, 7, 1), time_zone="Europe/London")
    plan = plan_check(settings, None)
    assert (plan.from_mark, plan.since) == (False, utc("2026-06-30T23:00"))
    assert plan.since is not None
    assert plan.since.tzinfo is UTC


@pytest.mark.parametrize("zone", ["Pacific/Kiritimati", "Pacific/Pago_Pago"])
def test_a_first_import_date_before_all_time_is_the_beginning(zone: str) -> None:
    settings = replace(SETTINGS, first_import_date=date.min, time_zone=zone)
    assert plan_check(settings, None) == (False, utc("1970-01-01T00:00"))


def test_a_check_with_a_mark_reads_changes_from_a_little_before_it() -> None:
    mark = utc("2026-11-23T10:15")
    settings = replace(SETTINGS, first_import_date=date(2026, 11, 23))
    assert plan_check(settings, mark) == (True, mark - OVERLAP)
    assert timedelta(minutes=1) <= OVERLAP <= timedelta(hours=1)


READ_TO, EARLIER = utc("2026-11-23T10:00"), utc("2026-11-23T09:00")


@pytest.mark.parametrize(
    ("now", "podos_now", "mark"),
    [
        (utc("2026-11-23T10:15"), None, READ_TO),
        (utc("2026-11-23T10:15"), utc("2026-11-23T10:15"), READ_TO),
        (EARLIER, utc("2026-11-23T10:15"), EARLIER),
        (utc("2026-11-23T10:15"), EARLIER, EARLIER),
        (EARLIER, None, EARLIER),
    ],
)
def test_the_mark_never_moves_past_either_clock(
    now: datetime, podos_now: datetime | None, mark: datetime
) -> None:
    assert cap_watermark(READ_TO, now, podos_now) == mark


@pytest.mark.parametrize(
    ("podos_now", "minutes_ago", "back_to"),
    [
        (None, 15, None),
        (utc("2026-11-23T10:00"), 15, None),
        (utc("2026-11-23T09:58"), 15, None),
        (utc("2026-11-23T09:57"), 15, utc("2026-11-23T09:42")),
        (utc("2026-11-23T09:00"), 15, utc("2026-11-23T08:45")),
        (utc("2026-11-23T09:00"), -15, utc("2026-11-23T09:00")),
    ],
)
def test_a_clock_that_went_back_behind_the_mark_is_followed(
    podos_now: datetime | None, minutes_ago: int, back_to: datetime | None
) -> None:
    now = utc("2026-11-23T10:05")
    assert went_back_to(READ_TO, podos_now, now, now - timedelta(minutes=minutes_ago)) == back_to


HOUR = timedelta(hours=1)


def past(minutes_ago: int, *, back_minutes: int = 5, is_complete: bool = True) -> PastCheck:
    began = NOW - timedelta(minutes=minutes_ago)
    return PastCheck(began, began - timedelta(minutes=back_minutes), is_complete)


@pytest.mark.parametrize(
    ("checks", "since_minutes_ago"),
    [
        ([], 0),
        ([past(15), past(30, back_minutes=60)], None),
        ([past(15), past(60, back_minutes=60)], 60),
        ([past(15, is_complete=False), past(30, back_minutes=90)], 30),
        ([past(15), past(30, back_minutes=90, is_complete=False), past(45)], 45),
        ([past(15), PastCheck(NOW - timedelta(minutes=20), None, is_complete=True)], None),
    ],
)
def test_a_check_looks_back_once_in_a_while_and_after_one_that_was_not_completed(
    checks: list[PastCheck], since_minutes_ago: int | None
) -> None:
    expected = None if since_minutes_ago is None else NOW - timedelta(minutes=since_minutes_ago)
    assert unsure_since(checks, NOW, HOUR) == expected


def test_looking_back_never_reads_less_than_from_the_mark() -> None:
    assert plan_check(SETTINGS, NOW, NOW).since == NOW - LOOK_BACK - OVERLAP
    earlier = NOW - 2 * LOOK_BACK
    assert plan_check(SETTINGS, earlier, NOW).since == earlier - OVERLAP


def test_the_first_batches_are_small_and_all_further_ones_of_one_size() -> None:
    sizes = [batch_size(number, is_quick=True) for number in range(1, 40)]
    assert sizes == sorted(sizes)
    assert sizes[0] == 1000
    assert set(sizes[len(BATCH_SIZES) - 1 :]) == {BATCH_SIZES[-1]}


def test_where_podos_is_waited_for_batches_stay_smaller() -> None:
    sizes = [batch_size(number, is_quick=False) for number in range(1, 40)]
    assert (sizes[0], max(sizes)) == (1000, LARGEST_WHILE_WAITING)
