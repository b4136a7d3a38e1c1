"""What follows from a change in podOS: decided from the order here and what podOS said before."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from models.orders import NewItem, NewOrder
from models.upstream import (
    HELD_FROZEN,
    HELD_REFUNDED,
    ChangeKind,
    ChangePlan,
    ChangeState,
    DeskHandover,
    DeskItem,
    LocalOrder,
    Noted,
    PastChange,
    RemoteOrder,
)
from tasks.imports.changes import ADDRESS, address_digest, artwork_digest, needs_a_look, plan_change

AT = datetime(2026, 11, 20, 10, tzinfo=UTC)
PRINTS = {"print_url_1": "https://artwork.example.test/1.png", "print_location_1": "front"}
SENT = DeskHandover(1, "acme", "sent", is_begun=True, reason=None)
BEGUN = DeskHandover(2, "acme", "waiting", is_begun=True, reason=None)
QUEUED = DeskHandover(3, "acme", "waiting", is_begun=False, reason=None)


def item(**changes: Any) -> NewItem:
    values: dict[str, Any] = dict.fromkeys(NewItem.__struct_fields__) | {
        "position": 1,
        "sku": "TEE",
        "quantity": 2,
    }
    return NewItem(**values | {"metadata": PRINTS} | changes)


def order(**changes: Any) -> NewOrder:
    values: dict[str, Any] = dict.fromkeys(NewOrder.__struct_fields__) | {
        "source_id": "s-1",
        "podos_status": "paid",
        "podos_updated_at": AT,
        "ship_name": "Ada Sample",
        "ship_city": "Leeds",
        "items": [item()],
    }
    return NewOrder(**values | changes)


def there(*, frozen: bool = False, reasons: tuple[str, ...] = (), **changes: Any) -> RemoteOrder:
    return RemoteOrder("s-1", frozen, reasons, order(**changes))


def here(**changes: Any) -> LocalOrder:
    said = order()
    values: dict[str, Any] = {
        "id": 7,
        "source_id": "s-1",
        "folder": "New",
        "podos_status": "paid",
        "is_frozen": False,
        "podos_updated_at": AT,
        "hold_reason": None,
        "address": {name: getattr(said, name) for name in ADDRESS},
        "address_digest": address_digest(said),
        "artwork_digest": artwork_digest(said.items),
        "is_shipped": False,
        "items": [DeskItem("TEE", 2, PRINTS)],
    }
    return LocalOrder(**values | changes)


def follows(ours: LocalOrder, theirs: RemoteOrder, folder: str = "Canceled") -> ChangePlan:
    return plan_change(ours, theirs, canceled_folder=folder)


def canceled(state: ChangeState = ChangeState.SETTLED, origin: str = "New") -> PastChange:
    before, after = {"status": "paid", "folder": origin}, {"status": "refunded", "folder": "Canceled"}
    return PastChange(5, ChangeKind.STATUS, state, before, after)


@pytest.mark.parametrize("status", ["paid", "processing", "printed", "complete"])
def test_a_step_of_production_needs_no_look(status: str) -> None:
    assert not needs_a_look(here(), there(podos_status=status))
    done = follows(here(), there(podos_status=status))
    assert (done.history, done.changes, done.noted, done.move_to) == ([], [], [], None)


def test_refunded_before_it_shipped_is_moved_and_held_and_waits_for_nobody() -> None:
    done = follows(here(handovers=[QUEUED]), there(podos_status="refunded"))
    assert (done.move_to, done.hold_reason, done.void) == ("Canceled", HELD_REFUNDED, [3])
    assert done.history == ["refunded before it shipped: it is held; no longer waits for acme"]
    assert [(change.kind, change.state) for change in done.changes] == [
        (ChangeKind.STATUS, ChangeState.SETTLED)
    ]
    assert done.noted == [Noted.CANCELED]


@pytest.mark.parametrize(("folder", "expected"), [("", None), ("new", None), ("Refunds", "Refunds")])
def test_refunded_goes_to_the_folder_of_the_setting(folder: str, expected: str | None) -> None:
    done = follows(here(), there(podos_status="refunded"), folder)
    assert (done.move_to, done.hold_reason) == (expected, HELD_REFUNDED)


@pytest.mark.parametrize(
    ("handover", "words"), [(SENT, "acme has it already: tell them"), (BEGUN, "acme may have it: ask them")]
)
@pytest.mark.parametrize("change", [{"podos_status": "refunded"}, {"frozen": True}, {"ship_city": "York"}])
def test_an_order_that_a_fulfiller_may_have_is_flagged_and_says_who(
    handover: DeskHandover, words: str, change: dict[str, Any]
) -> None:
    done = follows(here(handovers=[handover]), there(**change))
    assert words in done.history[0]
    assert [change.state for change in done.changes] == [ChangeState.OPEN]
    assert done.void == []


@pytest.mark.parametrize(
    "change",
    [
        {"podos_status": "refunded"},
        {"frozen": True},
        {"ship_city": "York"},
        {"items": [item(quantity=3)]},
    ],
)
def test_after_shipping_there_is_history_only(change: dict[str, Any]) -> None:
    done = follows(here(is_shipped=True, handovers=[QUEUED, SENT]), there(**change))
    assert len(done.history) == 1
    assert "after it was shipped" in done.history[0]
    assert (done.move_to, done.hold_reason, done.void, done.changes) == (None, None, [], [])
    assert done.noted == [Noted.AFTER_SHIPPING]


def test_frozen_is_held_and_thawed_is_released() -> None:
    frozen = follows(here(), there(frozen=True, reasons=("fraud", "Ada's own words")))
    assert frozen.hold_reason == HELD_FROZEN
    assert frozen.history == ["frozen (fraud): it is held"]
    thawed = follows(here(is_frozen=True, hold_reason=HELD_FROZEN), there())
    assert thawed.hold_reason is None
    assert thawed.history == ["no longer frozen: released"]
    assert (frozen.noted, thawed.noted) == ([Noted.HELD], [Noted.RELEASED])


def test_the_hold_of_a_person_stays_whatever_podos_does() -> None:
    for ours, theirs in (
        (here(hold_reason="ask Ada"), there(frozen=True)),
        (here(hold_reason="ask Ada", is_frozen=True), there()),
        (here(hold_reason="ask Ada"), there(podos_status="refunded")),
        (here(hold_reason="ask Ada", podos_status="refunded"), there()),
    ):
        done = follows(ours, theirs)
        assert done.hold_reason == "ask Ada"
        assert "ask Ada" not in str(done.history)


def test_a_hold_that_a_person_took_away_does_not_come_back_by_itself() -> None:
    released = here(podos_status="refunded", folder="New", hold_reason=None)
    assert follows(released, there(podos_status="refunded", ship_city="York")).hold_reason is None


def test_refunded_and_frozen_are_one_cancellation_and_thaw_alone_does_not_release() -> None:
    both = follows(here(), there(podos_status="refunded", frozen=True))
    assert (both.noted, both.hold_reason) == ([Noted.CANCELED], HELD_REFUNDED)
    ours = here(podos_status="refunded", is_frozen=True, hold_reason=HELD_REFUNDED)
    assert follows(ours, there(podos_status="refunded")).hold_reason == HELD_REFUNDED
    assert follows(ours, there(frozen=True)).hold_reason == HELD_FROZEN


def test_paid_again_goes_back_only_from_where_the_desk_put_it_and_is_flagged() -> None:
    voided = DeskHandover(4, "acme", "voided", is_begun=False, reason=HELD_REFUNDED)
    by_hand = DeskHandover(5, "other", "voided", is_begun=False, reason=None)
    ours = here(
        podos_status="refunded",
        folder="Canceled",
        hold_reason=HELD_REFUNDED,
        handovers=[voided, by_hand],
        changes=[canceled()],
    )
    done = follows(ours, there())
    assert (done.move_to, done.hold_reason, done.revive) == ("New", None, [4])
    assert [change.state for change in done.changes] == [ChangeState.OPEN]
    assert done.noted == [Noted.PAID_AGAIN]

    elsewhere = follows(ours._replace(folder="Prepared"), there())
    assert elsewhere.move_to is None
    assert "it stays where it is" in elsewhere.history[0]
    there_before = follows(ours._replace(changes=[canceled(origin="Canceled")]), there())
    assert there_before.move_to is None


def test_what_a_person_edited_here_is_no_change_in_podos() -> None:
    edited = here(
        address=dict.fromkeys(ADDRESS, "edited"),
        items=[DeskItem("OTHER", 9, {"print_url_1": "https://artwork.example.test/mine.png"})],
    )
    assert not needs_a_look(edited, there())
    assert follows(edited, there(podos_status="refunded")).noted == [Noted.CANCELED]


def test_changed_values_stand_beside_the_desks_own_and_texts_name_fields_only() -> None:
    new = {"print_url_1": "https://artwork.example.test/2.png", "print_location_1": "front"}
    done = follows(here(), there(ship_city="York", items=[item(metadata=new), item(position=2, name="Mug")]))
    address, artwork = done.changes
    assert (address.kind, address.before, address.after) == (
        ChangeKind.ADDRESS,
        {"ship_city": "Leeds"},
        {"ship_city": "York"},
    )
    assert artwork.before["item 1 print_url_1"] == PRINTS["print_url_1"]
    assert artwork.after["item 1 print_url_1"] == new["print_url_1"]
    assert (artwork.before["item 2 quantity"], artwork.after["item 2 quantity"]) == (None, "2")
    assert artwork.after["item 2 name"] == "Mug"
    assert "York" not in str(done.history)
    assert done.noted == [Noted.ADDRESS, Noted.ARTWORK]


def test_a_withdrawn_item_is_a_change() -> None:
    done = follows(here(), there(items=[]))
    (artwork,) = done.changes
    assert (artwork.before["item 1 quantity"], artwork.after["item 1 quantity"]) == ("2", None)


def test_changed_to_what_the_desk_has_takes_the_flag_away() -> None:
    flag = PastChange(9, ChangeKind.ADDRESS, ChangeState.OPEN, {"ship_city": "Leeds"}, {"ship_city": "York"})
    ours = here(address_digest=address_digest(order(ship_city="York")), changes=[flag])
    done = follows(ours, there())
    assert (done.close, done.changes, done.noted) == ({9: ChangeState.WITHDRAWN}, [], [])
    assert done.history == ["address, to what the desk has"]

    third = follows(ours, there(ship_city="Hull"))
    assert third.close == {9: ChangeState.SUPERSEDED}
    assert third.changes[0].after == {"ship_city": "Hull"}


def test_an_erased_order_keeps_no_address_and_no_digest_of_it() -> None:
    done = follows(here(address=None, address_digest=None), there(ship_city="York", podos_status="refunded"))
    assert done.address_digest is None
    assert [change.kind for change in done.changes] == [ChangeKind.STATUS]
    assert "York" not in str(done)
    assert not needs_a_look(here(address=None, address_digest=None), there(ship_city="York"))


def test_an_order_from_before_the_digests_is_compared_with_the_desks_values_once() -> None:
    old = here(address_digest=None, artwork_digest=None)
    assert needs_a_look(old, there())
    same = follows(old, there())
    assert (same.history, same.changes) == ([], [])
    assert same.address_digest == address_digest(order())
    assert follows(old, there(ship_city="York")).noted == [Noted.ADDRESS]
    assert follows(old._replace(is_shipped=True), there(ship_city="York")).noted == []


def test_a_thaw_tells_those_who_were_told_of_the_freeze() -> None:
    flag = PastChange(9, ChangeKind.FROZEN, ChangeState.OPEN, {"frozen": "no"}, {"frozen": "yes"})
    ours = here(is_frozen=True, hold_reason=HELD_FROZEN, handovers=[SENT])
    unseen = follows(ours._replace(changes=[flag]), there())
    assert unseen.close == {9: ChangeState.WITHDRAWN}
    assert [change.state for change in unseen.changes] == [ChangeState.SETTLED]
    seen = follows(ours._replace(changes=[flag._replace(state=ChangeState.KEPT)]), there())
    assert [change.state for change in seen.changes] == [ChangeState.OPEN]


def test_a_status_in_other_words_than_podos_uses_is_not_kept_in_the_history() -> None:
    ours = here(podos_status="refunded", changes=[canceled()])
    done = follows(ours, there(podos_status="Ada Sample, 1 Main Street"))
    assert "Ada" not in str(done.history) + str(done.changes)
