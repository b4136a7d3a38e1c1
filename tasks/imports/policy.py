"""Decide whether an order may go to print, by how podOS shows it now. Pure."""

from __future__ import annotations

from collections.abc import Collection

from models.looks import HeldBack, Stop
from models.tables.outbox import OutboxState
from models.upstream import (
    COMPLETE,
    HELD_FROZEN,
    HELD_GONE,
    HELD_REFUNDED,
    STEPS,
    ChangeKind,
    ChangePlan,
    ChangeState,
    Noted,
    is_refunded,
    status_key,
)

LOOK_AGAIN_SECONDS = 900.0
_NOT_YET = {"new", "pre_order", "moderation"}
_HOLDS = {
    HELD_REFUNDED: HeldBack.REFUNDED,
    HELD_FROZEN: HeldBack.FROZEN,
    HELD_GONE: HeldBack.GONE,
}


def stop_of(known: str, status: str | None, plan: ChangePlan | None, wanted: Collection[str]) -> Stop | None:
    """Return why an order must not be handed over, None if it may go.

    Args:
        known: the status that podOS showed when the desk saw it last.
        status: the one that it shows now; None: it does not list the order.
        plan: what follows from a change since then, None where nothing changed that the desk acts on.
        wanted: the integration's Order Status Filter.
    """
    if plan and (stop := _news(plan)):
        return stop
    return None if status is None else _stop_of_status(known, status, wanted)


def _news(plan: ChangePlan) -> Stop | None:
    if Noted.AFTER_SHIPPING in plan.noted:
        reason = "podOS changed the order after it had shipped: see its history"
        return Stop(HeldBack.SHIPPED, reason, OutboxState.FAILED)
    if plan.hold_reason:
        return Stop(_HOLDS.get(plan.hold_reason, HeldBack.CHANGED), f"held: {plan.hold_reason}")
    fields = [
        change.kind.value
        for change in plan.changes
        if change.state is ChangeState.OPEN and change.kind in {ChangeKind.ADDRESS, ChangeKind.ARTWORK}
    ]
    if not fields:
        return None
    return Stop(HeldBack.CHANGED, f"podOS changed its {' and '.join(fields)}: settle it, see: desk changes")


def _stop_of_status(known: str, status: str, wanted: Collection[str]) -> Stop | None:
    now = status_key(status)
    if is_refunded(status):
        return Stop(HeldBack.REFUNDED, "the order was refunded in podOS", OutboxState.FAILED)
    if now in STEPS or now in map(status_key, wanted):
        return None
    if now == COMPLETE:
        return Stop(HeldBack.SHIPPED, "complete in podOS: it has shipped already", OutboxState.FAILED)
    if now in _NOT_YET:
        reason = f"its status in podOS is {now}: it is not to be printed yet"
        return Stop(HeldBack.STATUS, reason, retry_after_seconds=LOOK_AGAIN_SECONDS)
    if now == status_key(known):
        return None  # a person let it go on, or it came so
    reason = "it has another status in podOS that this program does not know: see desk order, then resend it"
    return Stop(HeldBack.STATUS, reason, OutboxState.FAILED)
