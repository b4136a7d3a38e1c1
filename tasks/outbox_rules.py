"""When something that leaves the desk is tried again, and when no more: pure, for every outbox alike."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import NamedTuple

from models.desk import OutboxState

FIRST_PAUSE = timedelta(minutes=1)
LONGEST_PAUSE = timedelta(hours=6)
GIVE_UP_AFTER = timedelta(days=2)
"""Counted from the first attempt: what waited while the sync was switched off has its two days as well."""


class Verdict(NamedTuple):
    """What an attempt came to; a reason is a sentence for the operator, without codes or personal data.

    ``retry_after_seconds`` is the pause that the other side asked for, where it asked.
    """

    state: OutboxState
    reason: str | None = None
    retry_after_seconds: float | None = None


class Settled(NamedTuple):
    """A row's columns after an attempt; times are aware UTC."""

    state: OutboxState
    reason: str | None
    attempts: int
    first_attempt_at: datetime | None
    next_attempt_at: datetime | None
    sent_at: datetime | None


def settle(verdict: Verdict, attempts: int, first_attempt_at: datetime | None, now: datetime) -> Settled:
    """Return what a row says after an attempt.

    Args:
        verdict: what the attempt came to.
        attempts: how many there were before.
        first_attempt_at: when the first of them was, None if this is it.
        now: aware; the moment of this attempt.

    A row that still waits after two days of attempts has failed, with the reason of the last.
    """
    first = first_attempt_at or now
    if verdict.state is OutboxState.SUPERSEDED:
        return Settled(verdict.state, verdict.reason, attempts, first_attempt_at, None, None)
    attempts += 1
    if verdict.state is not OutboxState.WAITING:
        sent_at = now if verdict.state is OutboxState.SENT else None
        return Settled(verdict.state, verdict.reason, attempts, first, None, sent_at)
    if now - first >= GIVE_UP_AFTER:
        reason = f"given up after {attempts} attempts in two days: {verdict.reason}"
        return Settled(OutboxState.FAILED, reason, attempts, first, None, None)
    wait = max(pause_after(attempts), asked_pause(verdict.retry_after_seconds))
    return Settled(OutboxState.WAITING, verdict.reason, attempts, first, now + wait, None)


def pause_after(attempts: int) -> timedelta:
    """Return the pause after so many attempts: 1, 2, 4 ... minutes, 6 hours at most."""
    doublings: int = min(max(attempts - 1, 0), 16)
    return min(FIRST_PAUSE * (1 << doublings), LONGEST_PAUSE)


def asked_pause(retry_after_seconds: float | None) -> timedelta:
    """Return the pause that the other side asked for; more than two days is taken as two days."""
    return timedelta(seconds=min(retry_after_seconds or 0.0, GIVE_UP_AFTER.total_seconds()))
