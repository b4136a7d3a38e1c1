"""The sandbox's fault plan: what it decides, without a server."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

import pytest

from deployments.sandbox.faults import Fault, FaultPlan
from deployments.sandbox.query import BadRequestError, ListQuery, Pairs, parse_query


def test_everything_is_off_by_default() -> None:
    plan = FaultPlan()
    assert plan.decide("GET") is None
    assert plan.delay_seconds() == 0
    assert plan.distort(ListQuery(parse_query([]).filter)) == ListQuery(parse_query([]).filter)
    assert plan.bounds(parse_query([("pageToken", "3"), ("pageSize", "10")])) == (20, 30)


def test_script_is_played_once_in_order() -> None:
    plan = FaultPlan().then("500", "ok", "429", times=2)
    assert [plan.decide("GET") for _ in range(7)] == ["500", None, "429", "500", None, "429", None]
    assert plan.played == Counter({"500": 2, "429": 2})


def test_script_waits_for_its_method() -> None:
    plan = FaultPlan().then("503", method="PATCH").then("401")
    assert [plan.decide("GET"), plan.decide("GET"), plan.decide("PATCH")] == ["401", None, "503"]


def test_script_takes_plain_names() -> None:
    plan = FaultPlan()
    plan.script.append("cut")
    assert plan.decide("PATCH") == "cut"


def test_unknown_fault_is_refused() -> None:
    with pytest.raises(ValueError, match="no fault '418'"):
        Fault("418")
    with pytest.raises(ValueError, match="no fault"):
        FaultPlan().then("5OO")


def test_rates_are_repeatable_and_about_right() -> None:
    plans = [FaultPlan(seed=4, rates={"500": 0.2, "429": 0.1}) for _ in range(2)]
    first, second = ([plan.decide("GET") for _ in range(1000)] for plan in plans)
    assert first == second
    counts = Counter(first)
    assert 150 < counts["500"] < 250
    assert 60 < counts["429"] < 140


def test_delay_lies_between_latency_and_jitter() -> None:
    plan = FaultPlan(latency_seconds=2, latency_jitter_seconds=1)
    delays = [plan.delay_seconds() for _ in range(50)]
    assert all(2 <= delay <= 3 for delay in delays)
    assert len(set(delays)) > 40


def test_reset_switches_everything_off() -> None:
    plan = FaultPlan(seed=9, rates={"500": 1.0}, ignore_sort=True, page_size_cap=3).then("429")
    plan.decide("GET")
    plan.reset()
    assert plan == FaultPlan(seed=9)
    assert not plan.played


@pytest.mark.parametrize("duplicates", [False, True])
def test_small_pages_lose_no_row(duplicates: bool) -> None:
    plan = FaultPlan(small_pages=True, duplicate_rows=duplicates)
    bounds = [
        plan.bounds(parse_query([("pageToken", str(page)), ("pageSize", "20")])) for page in range(1, 30)
    ]
    assert bounds[0][0] == 0
    assert all(0 < stop - start <= 20 for start, stop in bounds)
    assert len({stop - start for start, stop in bounds}) > 5
    overlaps = {before[1] - after[0] for before, after in pairwise(bounds)}
    assert overlaps == ({0, 1} if duplicates else {0})


BAD_QUERIES: list[tuple[str, Pairs]] = [
    ("statuses must be sent as statuses", [("statuses", "paid")]),
    ("ids must be sent as ids", [("ids", "x")]),
    ("unknown value 'shipped'", [("statuses[]", "paid"), ("statuses[]", "shipped")]),
    ("unknown value 'urgent'", [("priorityLevels[]", "urgent")]),
    ("unknown field 'created'", [("sortBy[]", "created")]),
    ("unknown field '-createdAt'", [("sortBy[]", "--createdAt")]),
    ("pageToken", [("pageToken", "0")]),
    ("pageToken", [("pageToken", "two")]),
    ("pageSize", [("pageSize", "-1")]),
    ("pageSize", [("pageSize", "")]),
    ("start", [("start", "yesterday")]),
    ("start", [("start", "2026-13-01")]),
    ("start", [("start", "2026-11-01T10:00:00 00:00")]),
    ("end", [("end", "")]),
    ("dateFilterType", [("dateFilterType", "shippedAt")]),
]


@pytest.mark.parametrize(("message", "pairs"), BAD_QUERIES)
def test_query_mistakes_are_named(message: str, pairs: Pairs) -> None:
    with pytest.raises(BadRequestError, match=message):
        parse_query(pairs)


def test_page_size_is_capped() -> None:
    assert parse_query([]).page_size == 100
    assert parse_query([("pageSize", "1000")]).page_size == 1000
    assert parse_query([("pageSize", "5000")]).page_size == 1000


@pytest.mark.parametrize(
    "text",
    [
        "2026-11-23T10:15:00Z",
        "2026-11-23T10:15:00+00:00",
        "2026-11-23T11:15:00+0100",
        "2026-11-23T10:15:00.0",
    ],
)
def test_dates_are_read_with_and_without_zone(text: str) -> None:
    if "." in text:
        text += "Z"
    assert parse_query([("start", text)]).filter.start == 1795428900


def test_a_date_alone_is_its_midnight() -> None:
    assert (
        parse_query([("end", "2026-11-23")]).filter.end
        == parse_query([("end", "2026-11-23T00:00:00Z")]).filter.end
    )
