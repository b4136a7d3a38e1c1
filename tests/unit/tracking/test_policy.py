"""What becomes of a shipment, as plain decisions."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.carriers import TRACKING_ADDRESSES
from models.podos import HeldTracking
from models.shipments import Parcel, Sibling, Tracking
from models.tables.outbox import OutboxState
from tasks.delivery.retry_policy import AttemptOutcome
from tasks.tracking.carriers import shown_name, tracking_address
from tasks.tracking.policy import before_asking, decide, holder_of_place, is_there, outgoing, place_of

TRACKING = Tracking("Royal Mail", "AB123", "https://example.test/AB123")


def parcel(**changes: Any) -> Parcel:
    plain = Parcel(
        id=5,
        order_id=1,
        source_id="source-a",
        order_number="A-1",
        project="acme",
        courier="Royal Mail",
        code="AB123",
        url=None,
        overwrite=False,
        attempts=0,
        first_attempt_at=None,
    )
    return plain._replace(**changes)


def sibling(id_: int, state: str, *, overwrite: bool = False) -> Sibling:
    return Sibling(id_, 1, f"code-{id_}", state, overwrite)


def test_a_carrier_code_is_shown_by_its_name_and_gets_that_ones_address() -> None:
    tracking = outgoing(parcel(courier="rm24 ", code=" AB/1 "), {"rm24": "Royal Mail"})
    assert tracking == (
        "Royal Mail",
        "AB/1",
        "https://www.royalmail.com/track-your-item#/tracking-results/AB%2F1",
    )


def test_a_given_address_stays() -> None:
    assert outgoing(parcel(url=" https://x.test/1 "), {}).url == "https://x.test/1"


@pytest.mark.parametrize("courier", TRACKING_ADDRESSES)
def test_every_known_courier_has_an_address_however_it_is_written(courier: str) -> None:
    address = tracking_address(courier, "AB 1")
    assert address is not None
    assert address.startswith("https://")
    assert address.endswith("AB%201")
    assert tracking_address(courier.upper().replace(" ", "-"), "AB 1") == address


def test_an_unknown_courier_has_no_address_and_keeps_its_name() -> None:
    assert tracking_address("Pigeon", "1") is None
    assert shown_name(" Pigeon ", {"rm": "Royal Mail"}) == "Pigeon"


@pytest.mark.parametrize(
    ("siblings", "holder"),
    [
        ([], None),
        ([sibling(3, "failed"), sibling(4, "voided"), sibling(2, "superseded")], None),
        ([sibling(3, "waiting")], 3),
        ([sibling(7, "waiting")], None),
        ([sibling(7, "sent")], 7),
        ([sibling(3, "already_there"), sibling(4, "waiting")], 3),
        ([sibling(7, "waiting", overwrite=True)], 7),
        ([sibling(3, "waiting", overwrite=True), sibling(4, "sent")], 3),
    ],
)
def test_one_shipment_has_the_place(siblings: list[Sibling], holder: int | None) -> None:
    assert holder_of_place(parcel(), place_of([*siblings, sibling(5, "waiting")])) == holder


@pytest.mark.parametrize(
    ("siblings", "holder"),
    [
        ([sibling(3, "sent"), sibling(4, "waiting")], None),
        ([sibling(3, "waiting", overwrite=True)], None),
        ([sibling(7, "waiting", overwrite=True)], 7),
    ],
)
def test_one_that_may_overwrite_goes_first_and_the_newest_of_them(
    siblings: list[Sibling], holder: int | None
) -> None:
    assert holder_of_place(parcel(overwrite=True), place_of(siblings)) == holder


@given(
    st.lists(
        st.tuples(st.sampled_from(["waiting", "sent", "failed", "voided", "superseded"]), st.booleans()),
        min_size=1,
        max_size=6,
    )
)
def test_never_two_waiting_shipments_have_the_place(rows: list[tuple[str, bool]]) -> None:
    family = [sibling(id_, state, overwrite=may) for id_, (state, may) in enumerate(rows, 1)]
    free = [
        sibling.id
        for sibling in family
        if sibling.state == "waiting"
        and holder_of_place(parcel(id=sibling.id, overwrite=sibling.overwrite), place_of(family)) is None
    ]
    assert len(free) <= 1


def test_an_order_of_another_project_waits() -> None:
    verdict = before_asking(parcel(), "other", place_of([]))
    assert verdict is not None
    assert verdict.state is OutboxState.WAITING


@pytest.mark.parametrize(
    ("held", "state", "reason"),
    [
        (None, OutboxState.FAILED, "404"),
        (HeldTracking("a", "Refunded "), OutboxState.FAILED, "refunded"),
        (HeldTracking("a", "complete", "DPD", "ZZ"), OutboxState.FAILED, "another tracking"),
        (HeldTracking("a", "processing", "DPD", "ZZ"), OutboxState.FAILED, "another tracking"),
        (HeldTracking("a", "complete", "royal-mail", " ab 123"), OutboxState.ALREADY_THERE, None),
    ],
)
def test_what_podos_holds_can_settle_a_shipment(
    held: HeldTracking | None, state: OutboxState, reason: str | None
) -> None:
    verdict = decide(parcel(), TRACKING, held, ()).verdict
    assert verdict is not None
    assert verdict.state is state
    assert (reason or "") in (verdict.reason or "")
    assert "ZZ" not in (verdict.reason or "")


@pytest.mark.parametrize(
    "held",
    [
        HeldTracking("a", "paid"),
        HeldTracking("a", "complete"),
        HeldTracking("a", "processing", "Royal Mail", "AB123"),
        HeldTracking("a", None),
    ],
)
def test_what_is_missing_is_sent(held: HeldTracking) -> None:
    assert decide(parcel(), TRACKING, held, ()).send == TRACKING


def test_the_tracking_of_a_voided_shipment_is_replaced() -> None:
    held = HeldTracking("a", "complete", "DPD", "OLD1")
    assert decide(parcel(), TRACKING, held, ("old1",)).send == TRACKING


def test_overwrite_replaces_all_but_the_very_same() -> None:
    may = parcel(overwrite=True)
    assert decide(may, TRACKING, HeldTracking("a", "complete", "DPD", "ZZ"), ()).send == TRACKING
    assert decide(may, TRACKING, HeldTracking("a", "complete", "DPD", "AB123"), ()).send == TRACKING
    same = HeldTracking("a", "complete", *TRACKING)
    assert decide(may, TRACKING, same, ()).verdict == AttemptOutcome(OutboxState.ALREADY_THERE)
    assert decide(may, TRACKING, HeldTracking("a", "refunded"), ()).send is None


def test_there_means_complete_too() -> None:
    assert not is_there(TRACKING, HeldTracking("a", "printed", "Royal Mail", "AB123"))
