"""podOS is told a status of production only where it is behind it."""

from __future__ import annotations

import pytest

from models.podos import HeldTracking
from models.production import DueStatus
from models.tables.outbox import OutboxState
from tasks.production.policy import is_as_far, newest_of_each, outcome_without_sending

PROCESSING = DueStatus(1, 7, "source-7", "A-7", "acme", "processing")
PRINTED = PROCESSING._replace(id=2, status="printed")


def held(status: str | None) -> HeldTracking:
    return HeldTracking("source-7", status)


@pytest.mark.parametrize(
    ("due", "status", "state"),
    [
        (PROCESSING, "paid", None),
        (PROCESSING, " Paid ", None),
        (PRINTED, "paid", None),
        (PRINTED, "processing", None),
        (PROCESSING, "processing", OutboxState.ALREADY_THERE),
        (PROCESSING, "printed", OutboxState.ALREADY_THERE),
        (PRINTED, "consolidated", OutboxState.ALREADY_THERE),
        (PROCESSING, "complete", OutboxState.SUPERSEDED),
        (PROCESSING, "refunded", OutboxState.FAILED),
        (PROCESSING, "moderation", OutboxState.FAILED),
        (PROCESSING, "something new", OutboxState.FAILED),
        (PROCESSING, None, OutboxState.FAILED),
    ],
)
def test_podos_is_told_what_it_is_behind_and_nothing_else(
    due: DueStatus, status: str | None, state: OutboxState | None
) -> None:
    outcome = outcome_without_sending(due, "acme", held(status))
    assert (outcome and outcome.state) == state


def test_an_order_of_another_project_waits_and_an_unknown_one_fails() -> None:
    other = outcome_without_sending(PROCESSING, "another", held("paid"))
    unknown = outcome_without_sending(PROCESSING, "acme", None)
    assert other is not None
    assert (other.state, "connect an integration" in str(other.reason)) == (OutboxState.WAITING, True)
    assert unknown is not None
    assert unknown.state is OutboxState.FAILED


@pytest.mark.parametrize("due", [[PROCESSING, PRINTED], [PRINTED, PROCESSING]])
def test_of_one_order_only_the_last_status_is_told(due: list[DueStatus]) -> None:
    other = PROCESSING._replace(id=3, order_id=8)
    last, settled = newest_of_each([*due, other])
    assert last == [PRINTED, other]
    assert [(id_, outcome.state) for id_, outcome in settled.items()] == [(1, OutboxState.SUPERSEDED)]


@pytest.mark.parametrize(
    ("wanted", "status", "is_there"),
    [("printed", "processing", False), ("printed", "printed", True), ("processing", "complete", True)],
)
def test_what_podos_shows_then_decides_whether_it_took_it(wanted: str, status: str, is_there: bool) -> None:
    assert is_as_far(wanted, held(status)) is is_there
