"""What the last look decides: which orders may go to print, by how podOS shows them now."""

from __future__ import annotations

import pytest

from models.looks import HeldBack
from models.tables.outbox import OutboxState
from models.upstream import (
    HELD_FROZEN,
    HELD_GONE,
    HELD_REFUNDED,
    ChangeKind,
    ChangePlan,
    ChangeState,
    LocalOrder,
    NewChange,
    Noted,
    PastChange,
)
from tasks.imports.policy import stop_of
from tasks.imports.vanished import NOT_LISTED, plan_vanished

PAID = ("paid",)


def plan(hold: str | None = None, **fields: object) -> ChangePlan:
    made = ChangePlan(1, "a", hold, None, None)
    vars(made).update(fields)
    return made


@pytest.mark.parametrize("status", ["paid", " Paid ", "processing", "printed", "consolidated"])
def test_an_order_goes_that_is_paid_or_a_step_further(status: str) -> None:
    assert stop_of("paid", status, None, PAID) is None


@pytest.mark.parametrize(
    ("status", "kind", "state"),
    [
        ("refunded", HeldBack.REFUNDED, OutboxState.FAILED),
        ("Cancelled", HeldBack.REFUNDED, OutboxState.FAILED),
        ("complete", HeldBack.SHIPPED, OutboxState.FAILED),
        ("pre_order", HeldBack.STATUS, OutboxState.WAITING),
        ("moderation", HeldBack.STATUS, OutboxState.WAITING),
        ("dismantled", HeldBack.STATUS, OutboxState.FAILED),
    ],
)
def test_a_status_that_is_none_to_print_stops_an_order(
    status: str, kind: HeldBack, state: OutboxState
) -> None:
    stop = stop_of("paid", status, None, PAID)
    assert stop is not None
    assert (stop.kind, stop.state) == (kind, state)


def test_a_status_of_the_filter_and_an_unknown_one_that_was_seen_before_go() -> None:
    assert stop_of("paid", "pre_order", None, ("paid", "Pre_Order")) is None
    assert stop_of("paid", "complete", None, ("complete",)) is None
    assert stop_of("dismantled", "dismantled", None, PAID) is None


@pytest.mark.parametrize(
    ("hold", "kind"),
    [
        (HELD_REFUNDED, HeldBack.REFUNDED),
        (HELD_FROZEN, HeldBack.FROZEN),
        (HELD_GONE, HeldBack.GONE),
    ],
)
def test_a_new_hold_stops_an_order(hold: str, kind: HeldBack) -> None:
    stop = stop_of("paid", "paid", plan(hold), PAID)
    assert stop is not None
    assert (stop.kind, stop.state) == (kind, OutboxState.WAITING)


@pytest.mark.parametrize("kind", [ChangeKind.ADDRESS, ChangeKind.ARTWORK])
def test_a_changed_order_waits_until_it_is_settled(kind: ChangeKind) -> None:
    changes = [NewChange(kind, ChangeState.OPEN, {"x": "1"}, {"x": "2"})]
    stop = stop_of("paid", "paid", plan(changes=changes), PAID)
    assert stop is not None
    assert stop.kind is HeldBack.CHANGED
    assert kind.value in stop.reason
    assert "desk changes" in stop.reason


def test_what_changed_after_shipping_is_for_a_person() -> None:
    stop = stop_of("paid", "paid", plan(noted=[Noted.AFTER_SHIPPING]), PAID)
    assert stop is not None
    assert stop.state is OutboxState.FAILED


def here(*changes: PastChange, is_shipped: bool = False, hold: str | None = None) -> LocalOrder:
    return LocalOrder(
        id=1,
        source_id="a",
        folder="New",
        podos_status="paid",
        is_frozen=False,
        podos_updated_at=None,
        hold_reason=hold,
        address={},
        address_digest=None,
        artwork_digest=None,
        is_shipped=is_shipped,
        changes=changes,
    )


def test_a_vanished_order_is_held_flagged_and_moved_once() -> None:
    first = plan_vanished(here())
    assert (first.hold_reason, first.move_to, first.noted) == (HELD_GONE, "Needs Attention", [Noted.GONE])
    assert [change.state for change in first.changes] == [ChangeState.OPEN]
    known = PastChange(7, "status", "kept", {"status": "paid"}, {"status": NOT_LISTED})
    again = plan_vanished(here(known))
    assert (again.hold_reason, again.changes, again.noted) == (None, [], [])


def test_a_vanished_order_keeps_another_hold_and_nothing_is_done_after_shipping() -> None:
    assert plan_vanished(here(hold="a person's")).hold_reason == "a person's"
    shipped = plan_vanished(here(is_shipped=True))
    assert (shipped.hold_reason, shipped.noted) == (None, [Noted.AFTER_SHIPPING])
