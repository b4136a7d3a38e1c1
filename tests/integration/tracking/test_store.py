"""Shipments in the desk, on SQLite and PostgreSQL alike: they come in once, and are settled once."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import Engine, text
from sqlalchemy.exc import IntegrityError

from models.shipments import NewShipment, Parcel
from models.tables.outbox import OutboxState
from tasks.delivery.retry_policy import AttemptOutcome
from tasks.desk.browse import find_order
from tasks.desk.engine import writing
from tasks.desk.errors import DeskRefusedError
from tasks.tracking.intake import Taken, take_file, take_one
from tasks.tracking.queue import (
    count_waiting,
    fail_orphans,
    postpone_due,
    siblings_of,
    take_due,
    write_outcomes,
)
from tasks.tracking.shipment_file import FileRow
from tasks.tracking.shipment_list import ShipmentSummary, list_shipments
from tasks.tracking.store import add_shipments, resend_shipments, void_shipment
from tasks.tracking.tables import BadRow
from tests.support.builders import PROJECT, insert_order, insert_shipment

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
LATER = NOW + timedelta(hours=1)
SENT = AttemptOutcome(OutboxState.SENT)


def by_id(engine: Engine) -> dict[int, ShipmentSummary]:
    return {shipment.id: shipment for shipment in list_shipments(engine)}


def apply_retry_policy(
    engine: Engine, parcels: list[Parcel], verdict: AttemptOutcome, now: datetime = NOW
) -> None:
    with writing(engine) as connection:
        verdicts = {parcel.id: verdict for parcel in parcels}
        write_outcomes(connection, parcels, verdicts, move_to="Closed", now=now)


def test_a_plain_sql_insert_is_a_whole_shipment(desk: Engine) -> None:
    order = insert_order(desk, source_id="source-a", order_number="A-1")
    shipment = insert_shipment(desk, order)
    assert by_id(desk)[shipment].as_dict() == {
        **{"id": shipment, "order": "A-1", "source_id": "source-a", "country": "US"},
        **{
            "courier": "Royal Mail",
            "code": "AB123",
            "url": None,
            "state": "waiting",
            "attempts": 0,
            "next_attempt_at": None,
        },
        **{"reason": None, "sent_at": None},
    }
    (parcel,) = take_due(desk, "default", now=datetime.now(UTC), limit=10)
    assert (parcel.id, parcel.source_id, parcel.project) == (shipment, "source-a", PROJECT)


@pytest.mark.parametrize(
    "values",
    ["(1, 'DPD', ' ')", "(1, '', 'X')", "(99, 'DPD', 'X')", "(NULL, 'DPD', 'X')", "(1, 'DPD', 'AB')"],
)
def test_sql_that_makes_no_sense_is_refused(desk: Engine, values: str) -> None:
    insert_order(desk, id=1)
    insert_shipment(desk, 1, code="AB", courier="DPD")
    with pytest.raises(IntegrityError), desk.begin() as connection:
        connection.execute(text(f"INSERT INTO shipments (order_id, courier, code) VALUES {values}"))


def test_the_same_again_adds_nothing(desk: Engine) -> None:
    order = insert_order(desk)
    new = NewShipment(order, "DPD", "0001")
    with writing(desk) as connection:
        first = add_shipments(connection, [new, new], now=NOW)
        again = add_shipments(connection, [new], now=NOW)
    assert (len(first.new), first.ids, again.new, again.ids) == (1, again.ids * 2, set(), again.ids)
    assert [entry.event for entry in find_order(desk, str(order)).history] == ["imported", "shipped"]


def test_a_file_takes_its_good_rows_and_lists_the_bad(desk: Engine) -> None:
    insert_order(desk, source_id="source-a", order_number="A-1")
    insert_order(desk, source_id="source-b", order_number="A-2")
    insert_order(desk, source_id="source-c", order_number="A-2")
    content = (
        b"order,courier,code,url,shipped_at\nA-1,DPD,0001,,2026-11-23\nA-2,DPD,2,,\nA-9,DPD,3,,\n"
        b"A-1,DPD,,,\nsource-b,DPD,4,nonsense,\nsource-b,DPD,4,,soon\nsource-c,UPS,1Z,,\n,DPD,7,,\n"
    )
    taken = take_file(desk, content, strict=False, overwrite=False, now=NOW)
    assert (taken.added, taken.known, taken.integrations) == (2, 0, {"default"})
    assert [row.line for row in taken.bad] == [3, 4, 5, 6, 7, 9]
    assert "means 2 orders" in taken.bad[0].reason
    assert "no order 'A-9'" in taken.bad[1].reason
    assert taken.bad[-1] == BadRow(9, "the order is empty")
    again = take_file(desk, content, strict=False, overwrite=False, now=NOW)
    assert (again.added, again.known, again.integrations) == (0, 2, set())


def test_strict_takes_all_or_none(desk: Engine) -> None:
    insert_order(desk, order_number="A-1")
    content = b"order,courier,code\nA-1,DPD,1\nA-9,DPD,2\n"
    assert take_file(desk, content, strict=True, overwrite=False, now=NOW)[:3] == ([], 0, 0)
    assert by_id(desk) == {}
    taken: Taken = take_file(desk, content[:28], strict=True, overwrite=False, now=NOW)
    assert (taken.added, taken.bad) == (1, [])


def test_a_large_file_is_taken_in_one_go(desk: Engine) -> None:
    order = insert_order(desk, order_number="A-1")
    content = b"order,courier,code\n" + b"".join(b"A-1,DPD,%d\n" % number for number in range(1, 3001))
    assert take_file(desk, content, strict=True, overwrite=False, now=NOW).added == 3000
    assert len(siblings_of(desk, [order])[order]) == 3000


def test_one_shipment_of_an_ambiguous_number_is_refused_with_the_candidates(desk: Engine) -> None:
    insert_order(desk, source_id="source-a", order_number="A-1")
    insert_order(desk, source_id="source-b", order_number="A-1")
    with pytest.raises(DeskRefusedError, match=r"source-a.*source-b"):
        take_one(desk, FileRow(1, "A-1", "DPD", "1", "", ""), overwrite=False, now=NOW)


def test_a_settled_shipment_is_settled_once(desk: Engine) -> None:
    order = insert_order(desk)
    insert_shipment(desk, order)
    parcels = take_due(desk, "default", now=LATER, limit=10)
    apply_retry_policy(desk, parcels, SENT)
    apply_retry_policy(desk, parcels, AttemptOutcome(OutboxState.FAILED, "late"), LATER)
    (shipment,) = list_shipments(desk)
    assert (shipment.state, shipment.attempts, shipment.sent_at) == ("sent", 1, NOW)
    events = [entry.event for entry in find_order(desk, str(order)).history]
    assert events == ["imported", "tracking", "moved"]


def test_one_that_was_voided_meanwhile_stays_voided(desk: Engine) -> None:
    shipment = insert_shipment(desk, insert_order(desk))
    parcels = take_due(desk, "default", now=LATER, limit=10)
    void_shipment(desk, shipment, now=NOW)
    apply_retry_policy(desk, parcels, SENT)
    assert by_id(desk)[shipment].state == "voided"


def test_what_waits_is_due_again_at_its_time(desk: Engine) -> None:
    insert_shipment(desk, insert_order(desk))
    apply_retry_policy(
        desk, take_due(desk, "default", now=NOW, limit=1), AttemptOutcome(OutboxState.WAITING, "busy")
    )
    almost, then = NOW + timedelta(seconds=59), NOW + timedelta(seconds=60)
    assert take_due(desk, "default", now=almost, limit=1) == []
    (parcel,) = take_due(desk, "default", now=then, limit=1)
    assert (parcel.attempts, parcel.first_attempt_at) == (1, NOW)
    assert count_waiting(desk, "default") == 1
    assert postpone_due(desk, "default", until=LATER, now=then) == 1
    assert take_due(desk, "default", now=then, limit=1) == []


def test_only_the_integrations_own_orders_are_due(desk: Engine) -> None:
    insert_shipment(desk, insert_order(desk, integration="other"))
    assert take_due(desk, "default", now=LATER, limit=10) == []
    assert count_waiting(desk, "default") == 0
    assert len(take_due(desk, "other", now=LATER, limit=10)) == 1


def test_voiding_promotes_the_oldest_superseded_one(desk: Engine) -> None:
    order = insert_order(desk)
    first, second, third = (insert_shipment(desk, order, code) for code in ("A", "B", "C"))
    parcels = take_due(desk, "default", now=LATER, limit=10)
    apply_retry_policy(desk, parcels[1:], AttemptOutcome(OutboxState.SUPERSEDED, "the place is taken"))
    assert void_shipment(desk, first, now=NOW) == second
    assert void_shipment(desk, first, now=NOW) is None
    assert {id_: shipment.state for id_, shipment in by_id(desk).items()} == {
        **{first: "voided", second: "waiting", third: "superseded"}
    }


def test_what_was_sent_over_is_superseded(desk: Engine) -> None:
    order = insert_order(desk)
    insert_shipment(desk, order, "A")
    apply_retry_policy(desk, take_due(desk, "default", now=LATER, limit=1), SENT)
    take_one(desk, FileRow(1, str(order), "DPD", "B", "", ""), overwrite=True, now=NOW)
    apply_retry_policy(desk, take_due(desk, "default", now=LATER, limit=1), SENT)
    newest, oldest = list_shipments(desk)
    assert (oldest.state, newest.state) == ("superseded", "sent")
    assert oldest.reason == f"shipment {newest.id} was sent over it"


def test_resend_begins_afresh(desk: Engine) -> None:
    ids = [insert_shipment(desk, insert_order(desk)) for _ in range(3)]
    parcels = take_due(desk, "default", now=LATER, limit=2)
    apply_retry_policy(desk, parcels, AttemptOutcome(OutboxState.FAILED, "refunded"))
    assert resend_shipments(desk, None, overwrite=True, now=NOW) == ids[:2]
    again = take_due(desk, "default", now=NOW, limit=10)
    assert [(shipment.attempts, shipment.first_attempt_at, shipment.overwrite) for shipment in again[:2]] == [
        (0, None, True)
    ] * 2
    assert all(shipment.reason is None for shipment in list_shipments(desk))


def test_resend_of_an_unknown_shipment_changes_none(desk: Engine) -> None:
    shipment = insert_shipment(desk, insert_order(desk))
    apply_retry_policy(
        desk, take_due(desk, "default", now=LATER, limit=1), AttemptOutcome(OutboxState.FAILED, "refunded")
    )
    with pytest.raises(DeskRefusedError, match="no shipment 99"):
        resend_shipments(desk, [shipment, 99], overwrite=False, now=NOW)
    assert by_id(desk)[shipment].state == "failed"


def test_void_of_an_unknown_shipment_is_refused(desk: Engine) -> None:
    with pytest.raises(DeskRefusedError, match="no shipment 7"):
        void_shipment(desk, 7, now=NOW)


@pytest.mark.parametrize("database", ["sqlite"])
def test_a_stray_shipment_fails_visibly(desk: Engine) -> None:
    """Only SQLite lets one in: other programs open it with foreign keys off."""
    with closing(sqlite3.connect(str(desk.url.database))) as other:
        other.execute("INSERT INTO shipments (order_id, courier, code) VALUES (99, 'DPD', 'X')")
        other.commit()
    assert fail_orphans(desk) == 1
    assert fail_orphans(desk) == 0
    (stray,) = list_shipments(desk)
    assert (stray.order, stray.state, stray.reason) == (
        None,
        "failed",
        "the desk has no order of this order_id",
    )
