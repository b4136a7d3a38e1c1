"""Decide whether a status of production is sent to podOS, by the one that it shows now. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from models.podos import HeldTracking
from models.production import DueStatus, ProductionStatus
from models.tables.outbox import OutboxState
from models.upstream import COMPLETE, STEPS, is_refunded, status_key
from tasks.delivery.retry_policy import AttemptOutcome


def newest_of_each(due: Iterable[DueStatus]) -> tuple[list[DueStatus], dict[int, AttemptOutcome]]:
    """Return the last status of each order, and what settles the earlier ones: two at once could cross."""
    last: dict[int, DueStatus] = {}
    settled: dict[int, AttemptOutcome] = {}
    for row in due:
        other = last.get(row.order_id)
        if other is None:
            last[row.order_id] = row
            continue
        earlier, later = sorted((other, row), key=lambda each: STEPS.index(each.status))
        last[row.order_id] = later
        settled[earlier.id] = AttemptOutcome(OutboxState.SUPERSEDED, f"podOS is told {later.status} instead")
    return list(last.values()), settled


def outcome_without_sending(due: DueStatus, project: str, held: HeldTracking | None) -> AttemptOutcome | None:
    """Return what settles a status without a change in podOS, None if podOS is to be told.

    podOS never goes back: what is as far already, or has shipped, stays as it is.

    Args:
        due: the status.
        project: the integration's podOS project.
        held: what podOS shows of the order, None if it does not know it.
    """
    if due.project != project:
        reason = f"its order is of project {due.project}: connect an integration for that project"
        return AttemptOutcome(OutboxState.WAITING, reason)
    if held is None:
        return AttemptOutcome(OutboxState.FAILED, "podOS does not know this order (HTTP 404)")
    status = status_key(held.status)
    if is_refunded(status):
        return AttemptOutcome(OutboxState.FAILED, "podOS shows this order as refunded: do not print it")
    if status == COMPLETE:
        return AttemptOutcome(OutboxState.SUPERSEDED, "the order is complete in podOS")
    if status not in STEPS:
        reason = "podOS shows the order in a status from which production does not begin"
        return AttemptOutcome(OutboxState.FAILED, f"{reason}; later: desk production resend {due.id}")
    return AttemptOutcome(OutboxState.ALREADY_THERE) if is_as_far(due.status, held) else None


def is_as_far(wanted: str, held: HeldTracking) -> bool:
    """Return whether podOS shows an order as far as this status, or further."""
    status = status_key(held.status)
    return status == COMPLETE or (status in STEPS and STEPS.index(status) >= STEPS.index(wanted))


def statuses_before(status: ProductionStatus) -> tuple[str, ...]:
    """Return the statuses that an order has before this one."""
    return STEPS[: STEPS.index(status.value)]
