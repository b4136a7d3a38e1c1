"""Orders are queued for fulfillers, on both databases."""

from __future__ import annotations

from datetime import UTC, datetime

from sqlalchemy import Engine, text

from tasks.delivery.handovers import queue_orders
from tasks.desk.browse import find_order
from tasks.desk.engine import reading, writing
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
