"""Decide when a delivery is tried again and when it is given up. Pure; the same for every outbox."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, NamedTuple

from models.tables.outbox import OutboxState

FIRST_PAUSE = timedelta(minutes=1)
LONGEST_PAUSE = timedelta(hours=6)
GIVE_UP_AFTER = timedelta(days=2)
"""Counted from the first attempt: what waited while the sync was switched off has its two days as well."""
LONGEST_WAIT = timedelta(days=3)
"""No pause is longer: it is six hours, or what the other side asked for, and that is cut at two days."""
MOST_ATTEMPTS = 1_000_000
"""Nothing is tried so often in two days, and every database can count to it."""


class AttemptOutcome(NamedTuple):
    """The outcome of one attempt.

    Attributes:
        state: where the row stands now.
        reason: a sentence for the operator in this program's own words, without codes or personal data. It
            may go into reports, logs and Prefect.
        retry_after_seconds: the pause that the other side asked for, where it asked.
        kept: the reason with the words of others in it, which may repeat what they were sent. Only the desk
            keeps it, until the order's personal data is erased. None: there are no such words.
    """

    state: OutboxState
    reason: str | None = None
    retry_after_seconds: float | None = None
    kept: str | None = None


class RetryDecision(NamedTuple):
    """A row after an attempt; times are aware UTC, ``reason`` and ``kept`` as in ``AttemptOutcome``."""

    state: OutboxState
    reason: str | None
    attempts: int
    first_attempt_at: datetime | None
    next_attempt_at: datetime | None
    sent_at: datetime | None
    kept: str | None = None

    @property
    def whole_reason(self) -> str | None:
        """The reason as the desk keeps it, with the words of others."""
        return self.kept or self.reason

    def columns(self) -> dict[str, Any]:
        """Return the row's columns and their values."""
        values = self._asdict()
        del values["kept"]
        return {**values, "reason": self.whole_reason}


def apply_retry_policy(
    verdict: AttemptOutcome, attempts: int, first_attempt_at: datetime | None, now: datetime
) -> RetryDecision:
    """Return what a row says after an attempt.

    Args:
        verdict: what the attempt came to.
        attempts: how many there were before.
        first_attempt_at: when the first of them was, None if this is it.
        now: aware; the moment of this attempt.

    A row that still waits after two days of attempts has failed, with the reason of the last.
    """
    first = min(first_attempt_at or now, now)
    attempts = min(max(attempts, 0), MOST_ATTEMPTS - 1)  # any program may have written it
    if verdict.state is OutboxState.SUPERSEDED:
        return RetryDecision(
            verdict.state, verdict.reason, attempts, first_attempt_at, None, None, verdict.kept
        )
    attempts += 1
    if verdict.state is not OutboxState.WAITING:
        sent_at = now if verdict.state is OutboxState.SENT else None
        return RetryDecision(verdict.state, verdict.reason, attempts, first, None, sent_at, verdict.kept)
    if now - first >= GIVE_UP_AFTER:
        given_up = f"given up after {attempts} attempts in two days: "
        kept = given_up + verdict.kept if verdict.kept else None
        return RetryDecision(
            OutboxState.FAILED, f"{given_up}{verdict.reason}", attempts, first, None, None, kept
        )
    wait = max(pause_after(attempts), asked_pause(verdict.retry_after_seconds))
    return RetryDecision(OutboxState.WAITING, verdict.reason, attempts, first, now + wait, None, verdict.kept)


def pause_after(attempts: int) -> timedelta:
    """Return the pause after so many attempts: 1, 2, 4 ... minutes, 6 hours at most."""
    doublings: int = min(max(attempts - 1, 0), 16)
    return min(FIRST_PAUSE * (1 << doublings), LONGEST_PAUSE)


def asked_pause(retry_after_seconds: float | None) -> timedelta:
    """Return the pause that the other side asked for; more than two days is taken as two days."""
    return timedelta(seconds=min(retry_after_seconds or 0.0, GIVE_UP_AFTER.total_seconds()))
