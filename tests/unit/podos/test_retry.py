"""Which answers are asked for again, after how long, and what the errors carry."""

from __future__ import annotations

import pickle
from datetime import UTC, datetime, timedelta, timezone
from email.utils import format_datetime

import pytest

from tasks.podos.client import PodosAccess
from tasks.podos.errors import (
    FatalPodosError,
    PodosError,
    RetriablePodosError,
    TokenRefusedError,
    UnknownProjectError,
    WrongAnswerError,
)
from tasks.podos.retry import MAX_RETRY_AFTER_SECONDS, backoff_hook, error_of_status, retry_after_seconds

NOW = datetime(2026, 11, 23, 10, 15, tzinfo=UTC)
TOKEN = "secret-token-4711"

SPECIAL: dict[int, type[PodosError]] = {
    401: TokenRefusedError,
    403: TokenRefusedError,
    404: UnknownProjectError,
    408: RetriablePodosError,
    425: RetriablePodosError,
    429: RetriablePodosError,
}


def expected_kind(status: int) -> type[PodosError] | None:
    if 200 <= status < 300:
        return None
    return SPECIAL.get(status, RetriablePodosError if status >= 500 else FatalPodosError)


@pytest.mark.parametrize("status", range(100, 600))
def test_every_status_has_its_error(status: int) -> None:
    error = error_of_status(status, project="acme", asked="GET /v1/fulfillments")
    kind = expected_kind(status)
    if kind is None:
        assert error is None
        return
    assert type(error) is kind
    assert isinstance(error, PodosError)
    assert (error.status, error.project, error.asked) == (status, "acme", "GET /v1/fulfillments")
    assert str(error).endswith(f"(GET /v1/fulfillments, project acme, HTTP {status})")
    assert backoff_hook(error) is (kind is RetriablePodosError)


@pytest.mark.parametrize("status", [429, 503, 500])
def test_retry_after_travels_with_the_error(status: int) -> None:
    error = error_of_status(status, project="p", asked="a", retry_after="17")
    assert isinstance(error, RetriablePodosError)
    assert error.retry_after_seconds == 17.0
    assert backoff_hook(error) == 17.0


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        (None, None),
        ("", None),
        ("   ", None),
        ("0", 0.0),
        ("7", 7.0),
        (" 120 ", 120.0),
        ("-5", None),
        ("1.5", None),
        ("soon", None),
        ("²", None),
        ("7 seconds", None),
        (format_datetime(NOW + timedelta(seconds=90), usegmt=True), 90.0),
        (format_datetime(NOW + timedelta(hours=1)), 3600.0),
        (format_datetime((NOW + timedelta(seconds=90)).astimezone(timezone(timedelta(hours=-5)))), 90.0),
        ("Mon, 23 Nov 2026 10:16:00 -0000", 60.0),
        ("Monday, 23-Nov-26 10:16:00 GMT", 60.0),
        (format_datetime(NOW - timedelta(days=1), usegmt=True), 0.0),
        ("Mon, 01 Jan 0001 00:00:00 +2359", 0.0),
        ("Mon, 23 Nov 2026", None),
        ("Mon, 99 Nov 2026 10:15:00 GMT", None),
        ("Mon, 23 Nov 99999 10:15:00 GMT", None),
        ("Mon, 23 Nov 2026 99999999999999999999:15:00 GMT", None),
        ("Mon, 23 Nov 2026 10:15:00 +9999999999999999999999", None),
        ("9" * 5000, float("inf")),
    ],
)
def test_both_forms_of_retry_after_are_read_and_garbage_is_passed_over(
    header: str | None, seconds: float | None
) -> None:
    assert retry_after_seconds(header, now=NOW) == seconds


def test_a_date_counts_from_the_clock_where_no_moment_is_given() -> None:
    header = format_datetime(datetime.now(UTC) + timedelta(hours=5), usegmt=True)
    seconds = retry_after_seconds(header)
    assert seconds is not None
    assert 4 * 3600 < seconds <= 5 * 3600


@pytest.mark.parametrize(
    ("seconds", "answer"),
    [
        (None, True),
        (0.0, 0.0),
        (3.5, 3.5),
        (MAX_RETRY_AFTER_SECONDS, MAX_RETRY_AFTER_SECONDS),
        (MAX_RETRY_AFTER_SECONDS + 1, False),
        (float("inf"), False),
    ],
)
def test_the_pause_is_podoss_unless_it_is_too_long(seconds: float | None, answer: bool | float) -> None:
    decision = backoff_hook(RetriablePodosError("busy", retry_after_seconds=seconds))
    assert decision == answer
    assert type(decision) is type(answer), "a pause of 0 must not read as: do not ask again"


@pytest.mark.parametrize(
    "error",
    [FatalPodosError("x"), WrongAnswerError("x"), TokenRefusedError("x"), PodosError("x"), ValueError("x")],
)
def test_other_errors_are_not_asked_for_again(error: Exception) -> None:
    assert backoff_hook(error) is False


def test_podoss_own_words_are_in_no_text() -> None:
    for status in (400, 401, 403, 404, 409, 422, 500):
        error = error_of_status(status, project="p", asked="a", words="sortBy is unknown")
        assert "sortBy is unknown" not in f"{error} {error!r}"


@pytest.mark.parametrize(
    "error",
    [
        RetriablePodosError("away", project="p", asked="a", status=503, retry_after_seconds=4.0),
        FatalPodosError("stop", project="p", asked="a", status=400),
        TokenRefusedError("no", project="p", asked="a", status=401),
        UnknownProjectError("who", project="p", asked="a", status=404),
        WrongAnswerError("what", project="p", asked="a"),
    ],
)
def test_errors_travel_between_processes_with_their_facts(error: PodosError) -> None:
    copy = pickle.loads(pickle.dumps(error))  # noqa: S301 - our own bytes
    assert type(copy) is type(error)
    assert vars(copy) == vars(error)
    assert str(copy) == str(error)


def test_an_error_without_facts_is_its_sentence_alone() -> None:
    assert str(PodosError("podOS is away")) == "podOS is away"


@pytest.mark.parametrize("authorization", ["raw", "bearer"])
def test_the_access_shows_no_token(authorization: str) -> None:
    access = PodosAccess("https://api.podos.io", "acme", TOKEN, authorization)
    assert TOKEN not in f"{access} {access!r}"
    assert TOKEN in access.header()
