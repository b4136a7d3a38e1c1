"""Decide which responses are retried and after what delay. Pure."""

from __future__ import annotations

import logging
from datetime import UTC, datetime

from stamina.instrumentation import RetryDetails

from tasks.podos.clock import moment_of
from tasks.podos.errors import (
    FatalPodosError,
    PodosError,
    RetriablePodosError,
    TokenRefusedError,
    UnknownProjectError,
)

logger = logging.getLogger(__name__)

TOO_MANY_REQUESTS = 429
MAX_ATTEMPTS = 6
FIRST_WAIT_SECONDS = 0.5
MAX_WAIT_SECONDS = 30.0
MAX_RETRY_AFTER_SECONDS = 120.0
"""A longer Retry-After is left to the task's retry and the next run: no process sits still for hours."""

REFUSED_CHANGE = frozenset({400, 409, 410, 422})
"""What podOS says when it does not take this change of this order; asking again changes nothing."""

_ADVICE = {
    401: "podOS refused the token: connect again with a valid one",
    403: "podOS refused token or project: check that the token is of this project, then connect again",
    400: "podOS did not accept the request; update this program or report it",
    404: "podOS does not know this project or order; check the Project Name",
    408: "podOS took too long; it is asked again",
    TOO_MANY_REQUESTS: "podOS asks for a slower pace; it is asked again later",
}


def error_of_status(
    status: int,
    *,
    project: str,
    asked: str,
    retry_after: str | None = None,
    now: datetime | None = None,
    words: str = "",
) -> PodosError | None:
    """Return the error that an HTTP status stands for, None for success.

    Args:
        status: the HTTP status.
        project: the podOS project.
        asked: the call, for the operator.
        retry_after: the Retry-After header, in either of its forms.
        now: aware; the moment that an HTTP date counts from, best podOS's own (default: our clock).
        words: podOS's own message; the error carries it and does not say it.
    """
    facts = {"project": project, "asked": asked}
    if 200 <= status < 300:
        return None
    if status in {401, 403}:
        return TokenRefusedError(_ADVICE[status], status=status, **facts)
    if status == 404:
        return UnknownProjectError(_ADVICE[404], status=status, **facts)
    if status in {408, 425, TOO_MANY_REQUESTS} or status >= 500:
        return RetriablePodosError(
            _ADVICE.get(status, "podOS has trouble; it is asked again"),
            status=status,
            retry_after_seconds=retry_after_seconds(retry_after, now=now),
            **facts,
        )
    if 300 <= status < 400:
        return FatalPodosError(
            "podOS sent us to another address, which is not followed; check the podOS Address",
            status=status,
            **facts,
        )
    return FatalPodosError(_ADVICE.get(status, _ADVICE[400]), status=status, words=words, **facts)


def retry_after_seconds(header: str | None, *, now: datetime | None = None) -> float | None:
    """Return the seconds that a Retry-After header asks for, None where it is absent or unreadable.

    Both forms of RFC 9110 10.2.3 are read: seconds, and an HTTP date.
    """
    if header is None or not header.strip():
        return None
    if header.strip().isdecimal():
        return float(header.strip())
    moment = moment_of(header)
    return None if moment is None else max(0.0, (moment - (now or datetime.now(UTC))).total_seconds())


def log_retry(details: RetryDetails) -> None:
    """Tell the run's log that podOS is asked again, when and why."""
    logger.warning(
        "%s; asked again in %.1f s (attempt %d failed)",
        details.caused_by,
        details.wait_for,
        details.retry_num,
    )


def backoff_hook(error: Exception, *, longest_seconds: float = MAX_RETRY_AFTER_SECONDS) -> bool | float:
    """Tell stamina whether to ask again: False, True (its own growing pause) or the seconds podOS named."""
    if not isinstance(error, RetriablePodosError):
        return False
    if error.retry_after_seconds is None:
        return True
    if error.retry_after_seconds > longest_seconds:
        return False
    return error.retry_after_seconds
