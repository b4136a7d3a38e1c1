"""Orders are queued for fulfillers, on both databases."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from sqlalchemy import Engine, text, update

from tasks.delivery.handovers import queue_orders
from tasks.desk.browse import find_order
from tasks.desk.engine import reading, writing
from tasks.desk.errors import DeskRefusedError
from tasks.desk.leases import HeldLease, LeaseHeldError
from tasks.desk.tables import HANDOVERS
from tasks.fulfilment.queue import take_due
from tasks.fulfilment.store import cancel_handovers, resend_handovers
from tests.support.builders import insert_order

NOW = datetime(2026, 11, 24, 9, tzinfo=UTC)


def queued(desk: Engine) -> list[tuple[object, ...]]:
    with reading(desk) as connection:
        found = connection.execute(
            text("SELECT order_id, fulfiller, state, attempts FROM handovers ORDER BY id")
        )
        return [tuple(row) for row in found]


def test_queueing_twice_changes_nothing(desk: Engine) -> None:
    first, second = insert_order(desk), insert_order(desk)
    pairs = [(first, "acme"), (second, "acme"), (first, "prints")]
    for expected in (3, 0):
        with writing(desk) as connection:
            assert queue_orders(connection, pairs, now=NOW) == expected
    assert queued(desk) == [
        (first, "acme", "waiting", 0),
        (first, "prints", "waiting", 0),
        (second, "acme", "waiting", 0),
    ]
    texts = [entry.text for entry in find_order(desk, str(first)).history]
    assert texts[1:] == ["waits for fulfiller acme", "waits for fulfiller prints"]


def test_hold_reason_and_metadata_are_exported(desk: Engine) -> None:
    order_id = insert_order(desk, hold_reason="artwork is unclear", order_metadata={"batch": "7"})
    plain_id = insert_order(desk)
    order, plain = (find_order(desk, str(id_)).order for id_ in (order_id, plain_id))
    assert (order["hold_reason"], order["metadata"]) == ("artwork is unclear", {"batch": "7"})
    assert (plain["hold_reason"], plain["metadata"]) == (None, {})


def queue_for(desk: Engine, *fulfillers: str) -> list[int]:
    """Queue a new order for each of these fulfillers; the ids of its handovers."""
    order_id = insert_order(desk)
    with writing(desk) as connection:
        queue_orders(connection, [(order_id, name) for name in fulfillers], now=NOW)
    with reading(desk) as connection:
        query = text("SELECT id FROM handovers WHERE order_id = :id ORDER BY id")
        return list(connection.execute(query, {"id": order_id}).scalars())


def states(desk: Engine) -> list[tuple[str, str | None]]:
    with reading(desk) as connection:
        rows = connection.execute(text("SELECT state, reason FROM handovers ORDER BY id"))
        return [(row[0], row[1]) for row in rows]


def set_handover(desk: Engine, handover_id: int, state: str, first_attempt_at: datetime | None) -> None:
    with writing(desk) as connection:
        values = {"state": state, "first_attempt_at": first_attempt_at}
        connection.execute(update(HANDOVERS).where(HANDOVERS.c.id == handover_id).values(values))


def test_a_canceled_handover_is_not_sent_until_it_is_resent(desk: Engine) -> None:
    waiting, other = queue_for(desk, "acme", "prints")
    assert cancel_handovers(desk, [waiting], now=NOW) == ([waiting], set())
    assert [due.id for due in take_due(desk, "acme", now=NOW, limit=9)] == []
    assert [due.id for due in take_due(desk, "prints", now=NOW, limit=9)] == [other]
    assert find_order(desk, "1").history[-1].text == "taken out of the outbox by a person: acme"
    assert resend_handovers(desk, [waiting], now=NOW)[0] == [waiting]
    assert [due.id for due in take_due(desk, "acme", now=NOW, limit=9)] == [waiting]


def test_canceling_twice_changes_nothing(desk: Engine) -> None:
    (waiting,) = queue_for(desk, "acme")
    cancel_handovers(desk, [waiting], now=NOW)
    entries = len(find_order(desk, "1").history)
    assert cancel_handovers(desk, [waiting], now=NOW) == ([], set())
    assert len(find_order(desk, "1").history) == entries


def test_a_canceled_handover_does_not_come_back_when_it_is_queued_again(desk: Engine) -> None:
    (waiting,) = queue_for(desk, "acme")
    cancel_handovers(desk, [waiting], now=NOW)
    with writing(desk) as connection:
        assert queue_orders(connection, [(1, "acme")], now=NOW) == 0
    assert take_due(desk, "acme", now=NOW, limit=9) == []


@pytest.mark.parametrize("state", ["sent", "already_there"])
def test_what_has_left_is_not_canceled_and_nothing_beside_it(desk: Engine, state: str) -> None:
    waiting, left = queue_for(desk, "acme", "prints")
    set_handover(desk, left, state, NOW)
    with pytest.raises(DeskRefusedError, match=f"handover {left} has left: prints has the order"):
        cancel_handovers(desk, [waiting, left], now=NOW)
    assert states(desk) == [("waiting", None), (state, None)]


def test_an_unknown_handover_cancels_none(desk: Engine) -> None:
    (waiting,) = queue_for(desk, "acme")
    with pytest.raises(DeskRefusedError, match="no handover 99"):
        cancel_handovers(desk, [waiting, 99], now=NOW)
    assert states(desk) == [("waiting", None)]


def test_where_an_attempt_had_begun_the_fulfiller_is_named(desk: Engine) -> None:
    waiting, failed = queue_for(desk, "acme", "prints")
    set_handover(desk, failed, "failed", NOW)
    assert cancel_handovers(desk, [waiting, failed], now=NOW) == ([waiting, failed], {"prints"})


def test_nothing_is_canceled_while_orders_are_being_sent(desk: Engine) -> None:
    (waiting,) = queue_for(desk, "acme")
    with HeldLease(desk, "send:acme"), pytest.raises(LeaseHeldError):
        cancel_handovers(desk, [waiting], now=NOW)
    assert states(desk) == [("waiting", None)]
