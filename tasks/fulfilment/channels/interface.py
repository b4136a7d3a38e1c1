"""What every way to a fulfiller offers, and what it answers."""

from __future__ import annotations

import ssl
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import NamedTuple, Protocol

import httpx
import msgspec

from models.errors import AppError, ExitCode
from models.handovers import Outgoing
from models.tables.outbox import OutboxState
from tasks.delivery.retry_policy import AttemptOutcome
from tasks.response_limits import CertificatesError, trusted_authorities, why_not_trusted

CONFLICT = 409
MAX_REFERENCE_LENGTH = 200
UNDECODABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""What reading an answer as JSON raises, whatever stands in it."""
_TOO_FAST = 429
_REFUSED = frozenset({401, 403})
_UNCLEAR = frozenset({408, 425, _TOO_FAST})

Promise = Callable[[Mapping[int, str]], Awaitable[None]]
"""Writes references of handovers into the desk and comes back when they are safe there."""


class FulfillerError(AppError):
    """A fulfiller can't be used; the text says what to do."""

    exit_code = ExitCode.BAD_INPUT


class RefusedError(FulfillerError):
    """It refused our key or secret: nothing else is sent until a person acted."""

    exit_code = ExitCode.FAILED


class Answer(NamedTuple):
    """What became of an order; ``reference`` is what the fulfiller calls it."""

    verdict: AttemptOutcome
    reference: str | None = None


class Channel(Protocol):
    """A way to one fulfiller. Sending again what is there already must do no harm.

    Attributes:
        group_size: how many orders go out in one piece.
        lanes: how many pieces may be under way at once.
    """

    group_size: int
    lanes: int

    async def send(self, group: Sequence[Outgoing]) -> Mapping[int, Answer]:
        """Hand orders over and return what became of each handover.

        Raises:
            RefusedError: the fulfiller does not let us in.
        """

    async def close(self) -> None:
        """Give connections back."""


def taken(reference: str | None = None) -> Answer:
    """Return that an order was taken."""
    return Answer(AttemptOutcome(OutboxState.SENT), reference)


def already_there(reference: str | None = None) -> Answer:
    """Return that an order had been taken before."""
    return Answer(AttemptOutcome(OutboxState.ALREADY_THERE), reference)


def unclear(reason: str, retry_after_seconds: float | None = None) -> Answer:
    """Return that it is not known, or not yet so: the order is tried again."""
    return Answer(AttemptOutcome(OutboxState.WAITING, reason, retry_after_seconds))


def final(reason: str, words: str = "") -> Answer:
    """Return that the same again would not help; ``words`` are the fulfiller's own, for the desk alone."""
    return Answer(AttemptOutcome(OutboxState.FAILED, reason, kept=f"{reason}: {words}" if words else None))


def reference_of(said: object) -> str | None:
    """Return what a fulfiller calls an order, as it can be kept and shown; None if it can't."""
    text = text_of(said)
    return text[:MAX_REFERENCE_LENGTH].strip() if text.isprintable() and text else None


def text_of(said: object) -> str:
    """Return a text or number as text without white space around it; whatever else says nothing."""
    return str(said).strip() if isinstance(said, (str, int)) and not isinstance(said, bool) else ""


def authorities() -> ssl.SSLContext:
    """Return whose certificates are trusted.

    Raises:
        FulfillerError: the file that names them can't be read.
    """
    try:
        return trusted_authorities()
    except CertificatesError as error:
        raise FulfillerError(str(error)) from None


def answer_of_status(status: int, retry_after_seconds: float | None) -> Answer:
    """Return what a status that is no success means.

    Raises:
        RefusedError: 401 or 403.
    """
    if status in _REFUSED:
        raise RefusedError(
            f"the fulfiller refused our key or secret (HTTP {status}): mend its settings, then send again"
        )
    if status in _UNCLEAR or status >= 500:
        return unclear(f"the fulfiller answered HTTP {status}", retry_after_seconds)
    if 300 <= status < 400:
        return final(f"the fulfiller's address has moved (HTTP {status}); redirects are not followed")
    return final(f"the fulfiller did not accept the order (HTTP {status})")


def no_answer(error: httpx.HTTPError | TimeoutError) -> Answer:
    """Return what a request without an answer means; the order may or may not have been taken.

    Raises:
        FulfillerError: nothing was sent, because the server's certificate is not trusted.
    """
    if reason := why_not_trusted(error):
        raise FulfillerError(f"the fulfiller: {reason}")
    what = (
        "in time"
        if isinstance(error, (httpx.TimeoutException, TimeoutError))
        else f"({type(error).__name__})"
    )
    return unclear(f"the fulfiller gave no answer {what}")
