"""All processes of an integration share its turns, and the rate that podOS allows."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from sqlalchemy import Engine

from tasks.desk.rate_limit import claim_slots, is_throttled, note_refusal

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
SECOND = timedelta(seconds=1)


def claim(desk: Engine, cap: float | None, now: datetime, integration: str = "default") -> list[float]:
    """Take turns; return how many seconds after the beginning each is."""
    turns = claim_slots(desk, integration, requests_per_second=cap, now=now)
    return [round((turn - NOW).total_seconds(), 3) for turn in turns]


def test_turns_are_shared_and_spaced(desk: Engine) -> None:
    assert claim(desk, 4, NOW) == [0.0, 0.25, 0.5, 0.75]
    assert claim(desk, 4, NOW) == [1.0, 1.25, 1.5, 1.75]
    assert claim(desk, 1, NOW + 5 * SECOND) == [5.0]
    assert claim(desk, 0.5, NOW, "other") == [0.0]
    assert claim(desk, 0.5, NOW, "other") == [2.0]


def test_without_a_cap_and_a_refusal_nothing_is_limited(desk: Engine) -> None:
    assert claim(desk, None, NOW) == []
    assert not is_throttled(desk, "default")


def test_a_refusal_slows_every_process_down_and_the_cap_still_holds(desk: Engine) -> None:
    note_refusal(desk, "default", recent=8, now=NOW)
    note_refusal(desk, "default", recent=8, now=NOW)  # the second of the same burst
    assert is_throttled(desk, "default")
    assert not is_throttled(desk, "other")
    assert claim(desk, None, NOW) == [0.25, 0.5, 0.75, 1.0]
    assert claim(desk, 2, NOW) == [1.25, 1.75]


def test_the_rate_grows_with_each_claim_until_it_is_free(desk: Engine) -> None:
    note_refusal(desk, "default", recent=8, now=NOW)
    counts, now = [], NOW
    while turns := claim(desk, None, now):
        counts.append(len(turns))
        now = NOW + timedelta(seconds=turns[-1])
    assert counts == sorted(counts)
    assert not is_throttled(desk, "default")
