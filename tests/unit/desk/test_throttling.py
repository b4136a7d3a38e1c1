"""The rate that podOS allows is found by its refusals."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from tasks.desk.throttling import NO_LIMIT_PER_SECOND, SLOWEST_PER_SECOND, Throttle, slowed_down, sped_up

NOW = datetime(2026, 11, 27, 12, 0, tzinfo=UTC)
SECOND = timedelta(seconds=1)


@pytest.mark.parametrize(("recent", "rate"), [(0, 1.0), (1, 1.0), (8, 4.0), (400, 200.0)])
def test_the_first_refusal_halves_what_was_asked_in_the_last_second(recent: int, rate: float) -> None:
    assert slowed_down(None, recent=recent, now=NOW).per_second == rate


def test_refusals_that_come_together_count_once_and_later_ones_again() -> None:
    first = slowed_down(None, recent=8, now=NOW)
    assert slowed_down(first, recent=8, now=NOW + SECOND / 2) == first
    assert slowed_down(first, recent=8, now=NOW + SECOND).per_second == 2.0


def test_it_is_never_too_slow_to_go_on() -> None:
    throttle = Throttle(SLOWEST_PER_SECOND, SLOWEST_PER_SECOND, NOW)
    assert slowed_down(throttle, recent=1, now=NOW + SECOND).per_second == SLOWEST_PER_SECOND


def test_it_grows_fast_below_the_last_refusal_and_slowly_near_it() -> None:
    far = sped_up(Throttle(4.0, 8.0, NOW), requests=4, now=NOW + SECOND)
    near = sped_up(Throttle(7.5, 8.0, NOW), requests=7, now=NOW + SECOND)
    assert far is not None
    assert near is not None
    assert far.per_second == 5.0
    assert near.per_second < 7.6


def test_a_rate_that_podos_no_longer_limits_is_free_again_within_minutes() -> None:
    throttle: Throttle | None = Throttle(4.0, 8.0, NOW)
    seconds = 0
    while throttle is not None:
        seconds += 1
        throttle = sped_up(throttle, requests=int(throttle.per_second), now=NOW + seconds * SECOND)
        assert throttle is None or throttle.per_second <= NO_LIMIT_PER_SECOND
    assert seconds < 300
