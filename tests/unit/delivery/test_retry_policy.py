"""Pauses grow, what was asked is kept, and after two days it has failed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from models.tables.outbox import OutboxState
from tasks.delivery.retry_policy import (
    GIVE_UP_AFTER,
    AttemptOutcome,
    RetryDecision,
    apply_retry_policy,
    pause_after,
)

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
BUSY = AttemptOutcome(OutboxState.WAITING, "podOS is busy")


def test_pauses_are_1_2_4_minutes_up_to_6_hours() -> None:
    minutes = [pause_after(attempts).total_seconds() / 60 for attempts in range(1, 13)]
    assert minutes == [1, 2, 4, 8, 16, 32, 64, 128, 256, 360, 360, 360]


@pytest.mark.parametrize("attempts", [0, 10_000])
def test_a_pause_has_bounds_whatever_the_number(attempts: int) -> None:
    assert timedelta(minutes=1) <= pause_after(attempts) <= timedelta(hours=6)


def test_the_first_attempt_starts_the_two_days() -> None:
    settled = apply_retry_policy(BUSY, 0, None, NOW)
    assert settled == RetryDecision(
        OutboxState.WAITING, "podOS is busy", 1, NOW, NOW + timedelta(minutes=1), None
    )


def test_a_row_that_always_waits_has_failed_after_two_days() -> None:
    now, settled, attempts = NOW, apply_retry_policy(BUSY, 0, None, NOW), 1
    while settled.state is OutboxState.WAITING:
        assert settled.next_attempt_at is not None
        now = settled.next_attempt_at
        settled = apply_retry_policy(BUSY, settled.attempts, settled.first_attempt_at, now)
        attempts += 1
    assert GIVE_UP_AFTER <= now - NOW < GIVE_UP_AFTER + timedelta(hours=6)
    assert settled.attempts == attempts == 17
    assert settled.reason == "given up after 17 attempts in two days: podOS is busy"
    assert settled.next_attempt_at is None


@pytest.mark.parametrize(
    ("asked", "wait"),
    [(None, 60), (5, 60), (90, 90), (3600, 3600), (10**9, 2 * 24 * 3600)],
)
def test_a_pause_that_was_asked_for_is_kept(asked: float | None, wait: float) -> None:
    settled = apply_retry_policy(AttemptOutcome(OutboxState.WAITING, "busy", asked), 0, None, NOW)
    assert settled.next_attempt_at == NOW + timedelta(seconds=wait)


def test_sent_is_dated_and_final() -> None:
    settled = apply_retry_policy(AttemptOutcome(OutboxState.SENT), 3, NOW - timedelta(hours=1), NOW)
    assert (settled.state, settled.attempts, settled.sent_at) == (OutboxState.SENT, 4, NOW)
    assert settled.next_attempt_at is None
    assert settled.reason is None


def test_superseded_is_no_attempt() -> None:
    assert apply_retry_policy(AttemptOutcome(OutboxState.SUPERSEDED, "why"), 2, NOW, NOW).attempts == 2
