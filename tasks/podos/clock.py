"""podOS's clock, as the Date of its answers shows it: it need not be ours, and it can jump."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

BELIEVABLE = timedelta(days=1)
"""A Date that differs from our clock by more is a broken header, not a clock."""


def moment_of(header: str | None) -> datetime | None:
    """Return the moment of an HTTP date (RFC 9110 5.6.7), None where it is absent or unreadable."""
    if header is None:
        return None
    try:
        moment = parsedate_to_datetime(header.strip())
    except (ValueError, OverflowError):
        return None
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment


class PodosClock:
    """The earliest moment that podOS's clock showed since the client was opened.

    A clock that never goes back shows it in its first answer. What changes after that is dated later.

    Attributes:
        earliest: aware; None before an answer with a believable Date.
    """

    def __init__(self, our_clock: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self.earliest: datetime | None = None
        self._our_clock = our_clock

    def note(self, date: str | None) -> None:
        """Look at an answer's Date header."""
        moment = moment_of(date)
        if moment and abs(moment - self._our_clock()) <= BELIEVABLE:
            self.earliest = min(moment, self.earliest or moment)
