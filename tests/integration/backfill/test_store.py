"""What the desk remembers of a backfill, and how its time is split."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Engine

from models.reports import ImportReport, Outcome
from tasks.backfill.store import (
    BackfillRequest,
    begun_at,
    hand_out,
    plan_backfill,
    unfinished_backfill,
    window_done,
    window_failed,
    window_of,
    windows_of,
)
from tasks.desk.errors import DeskRefusedError
from tasks.imports.windows import Window, split_evenly

BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
NOW = datetime(2026, 11, 23, tzinfo=UTC)
REQUEST = BackfillRequest("default", "filter", BEGIN, None)
DAYS = [(BEGIN, BEGIN + timedelta(days=1)), (BEGIN + timedelta(days=1), None)]


def report(imported: int) -> ImportReport:
    made = ImportReport("default", "import", dry_run=False)
    made.counts[Outcome.IMPORTED] = imported
    return made


def test_a_backfill_that_was_not_finished_is_found_by_the_same_request(desk: Engine) -> None:
    assert unfinished_backfill(desk, REQUEST) is None
    id_ = plan_backfill(desk, REQUEST, DAYS, now=NOW)
    assert unfinished_backfill(desk, REQUEST) == id_
    window_done(desk, id_, 1, report(3))
    assert unfinished_backfill(desk, REQUEST) == id_
    window_done(desk, id_, 2, report(4))
    assert unfinished_backfill(desk, REQUEST) is None


@pytest.mark.parametrize(
    "other",
    [
        BackfillRequest("other", "filter", BEGIN, None),
        BackfillRequest("default", "another filter", BEGIN, None),
        BackfillRequest("default", "filter", BEGIN + timedelta(days=1), None),
        BackfillRequest("default", "filter", BEGIN, NOW),
    ],
)
def test_another_request_is_another_backfill(desk: Engine, other: BackfillRequest) -> None:
    plan_backfill(desk, REQUEST, DAYS, now=NOW)
    assert unfinished_backfill(desk, other) is None


def test_windows_keep_what_became_of_them(desk: Engine) -> None:
    id_ = plan_backfill(desk, REQUEST, DAYS, now=NOW)
    hand_out(desk, id_, 1, "run-1")
    hand_out(desk, id_, 2, "run-2")
    window_failed(desk, id_, 2, "podOS was away")
    window_done(desk, id_, 1, report(3))
    first, second = windows_of(desk, id_)
    assert (first.state, first.attempts, first.counts["imported"]) == ("done", 1, 3)
    assert (second.state, second.error, second.flow_run_id) == ("failed", "podOS was away", "run-2")
    assert (second.since, second.until) == DAYS[1]
    hand_out(desk, id_, 2, "run-3")
    assert windows_of(desk, id_)[1].attempts == 2
    assert windows_of(desk, id_)[1].error is None


def test_a_window_that_is_done_stays_done(desk: Engine) -> None:
    id_ = plan_backfill(desk, REQUEST, DAYS, now=NOW)
    window_done(desk, id_, 1, report(3))
    window_failed(desk, id_, 1, "its flow run ended as crashed")
    assert windows_of(desk, id_)[0].state == "done"


def test_a_window_is_found_with_its_integration(desk: Engine) -> None:
    id_ = plan_backfill(desk, REQUEST, DAYS, now=NOW)
    assert window_of(desk, id_, 2)[0] == "default"
    assert begun_at(desk, id_) == NOW.isoformat()
    with pytest.raises(DeskRefusedError, match="no window 3"):
        window_of(desk, id_, 3)


@given(
    minutes=st.integers(1, 1_000_000),
    parts=st.integers(1, 50),
    open_end=st.booleans(),
)
def test_windows_cover_everything_once(minutes: int, parts: int, *, open_end: bool) -> None:
    last = BEGIN + timedelta(minutes=minutes)
    whole = Window(BEGIN - timedelta(days=3), None if open_end else last + timedelta(days=1))
    windows = split_evenly(whole, BEGIN, last, parts)
    assert 1 <= len(windows) <= parts
    assert (windows[0].since, windows[-1].until) == whole
    for before, after in pairwise(windows):
        assert before.until == after.since is not None
        assert before.since is not None
        assert before.since < after.since
