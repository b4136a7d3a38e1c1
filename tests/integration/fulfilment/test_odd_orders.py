"""Whatever another program wrote into orders: each goes out or fails alone, and rules hold what is odd."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import Engine, text

from models.handovers import Outgoing
from models.rules import RuleEvent, RuleForm
from models.tables.orders import NEEDS_ATTENTION
from tasks.desk.browse import find_order
from tasks.desk.engine import reading, writing
from tasks.desk.events import events_wait, note_event
from tasks.fulfilment.channels.interface import Answer, taken
from tasks.fulfilment.prepare import preparation_for
from tasks.fulfilment.queue import fail_orphans
from tasks.fulfilment.send import Prepared
from tasks.fulfilment.store import list_handovers, resend_handovers
from tasks.rules.apply import apply_by_hand, apply_rules
from tasks.rules.store import save_rules
from tests.support.builders import insert_shipment
from tests.support.odd_values import NO_TEXT, columns_of, plant, values_for
from tests.support.sending import queue, send

NOW = datetime(2026, 11, 24, 9, tzinfo=UTC)


class Taking:
    """A fulfiller that takes every order it gets, and must be able to read all of them."""

    group_size = 20
    lanes = 2

    def __init__(self) -> None:
        self.orders: dict[int, dict[str, Any]] = {}

    async def send(self, group: Sequence[Outgoing]) -> Mapping[int, Answer]:
        for outgoing in group:
            self.orders[outgoing.due.order_id] = json.loads(outgoing.body)["order"]
        return {outgoing.id: taken(f"ref-{outgoing.id}") for outgoing in group}

    async def close(self) -> None:
        """Nothing is open."""


def send_all(desk: Engine) -> Taking:
    channel = Taking()
    fail_orphans(desk)
    send(desk, lambda: channel, prepare=preparation_for(desk, "acme"), now=datetime.now(UTC))
    return channel


def said(desk: Engine) -> dict[int, tuple[str, str]]:
    """Return state and reason of the handovers by order."""
    with reading(desk) as connection:
        rows = connection.execute(text("SELECT order_id, state, reason FROM handovers"))
        return {row[0]: (row[1], str(row[2])) for row in rows}


@pytest.mark.parametrize(("table", "key"), [("orders", "id"), ("order_items", "order_id")])
def test_an_odd_value_keeps_its_own_order_at_most(desk: Engine, table: str, key: str) -> None:
    good = queue(desk, 2)
    odd: dict[int, str] = {}
    for column in columns_of(table):
        if column.name not in {"integration", "project", "source_id", "hold_reason", "folder_id", "order_id"}:
            for value in values_for(column, desk.dialect.name):
                (order,) = queue(desk, 1)
                if plant(desk, table, order, column.name, value, key):
                    odd[order] = column.name
    channel = send_all(desk)
    outcomes = said(desk)
    assert odd
    assert all(outcomes[order][0] == "sent" and order in channel.orders for order in good)
    for order, name in odd.items():
        state, reason = outcomes[order]
        assert state in {"sent", "failed"}
        assert state == "sent" or name in reason or "the address has" in reason or "item 1" in reason
        folder = find_order(desk, str(order)).order["folder"]
        assert folder == ("Prepared" if state == "sent" else NEEDS_ATTENTION)
    odd_ones = [order for order in channel.orders.values() if "unreadable" in json.dumps(order)]
    assert not odd_ones


@pytest.mark.parametrize("database", ["sqlite"])
def test_a_handover_that_no_run_would_find_fails_and_is_listed(desk: Engine) -> None:
    queue(desk, 4)
    plant(desk, "handovers", 1, "order_id", "4711")
    plant(desk, "handovers", 2, "fulfiller", NO_TEXT["bytes"])
    plant(desk, "handovers", 3, "reference", NO_TEXT["bytes"])
    assert list(send_all(desk).orders) == [4]
    reasons = {handover.id: handover.reason or "" for handover in list_handovers(desk) if handover.as_dict()}
    assert reasons[1] == "the desk has no order of this order_id"
    assert reasons[2] == "the fulfiller can't be read"
    assert reasons[3].startswith("reference can't be read: ")
    again, fulfillers = resend_handovers(desk, None, now=NOW)
    assert (again, fulfillers) == ([1, 2, 3], {"acme"})
    assert list(send_all(desk).orders) == [3]


@pytest.mark.parametrize("database", ["sqlite"])
@pytest.mark.parametrize(
    "column", ["attempts", "first_attempt_at", "next_attempt_at", "reason", "created_at"]
)
def test_what_the_desk_counts_for_itself_begins_afresh(desk: Engine, column: str) -> None:
    values = ("'many'", "-5", "9223372036854775807", *NO_TEXT.values())
    for number, value in enumerate(values, 1):
        queue(desk, 1)
        assert plant(desk, "handovers", number, column, value)
    assert len(send_all(desk).orders) == len(values)


HOLD = RuleForm.model_validate(
    {"name": "Hold", "event": "order imported", "all": ["metadata.x = 1"], "actions": [{"hold": "look"}]}
)


def imported(desk: Engine, *orders: int) -> None:
    with writing(desk) as connection:
        note_event(connection, orders, RuleEvent.IMPORTED, now=NOW)


def test_an_order_that_rules_can_not_look_at_is_held_and_the_others_are_looked_at(desk: Engine) -> None:
    save_rules(desk, [HOLD])
    odd, plain, fits = queue(desk, 3)
    plant(desk, "orders", odd, "metadata", "'[1]'")
    plant(desk, "orders", fits, "metadata", """'{"x": 1}'""")
    imported(desk, odd, plain, fits)
    result = apply_rules(desk, now=NOW)
    assert (result.orders, result.fired, result.unlooked) == (2, 1, 1)
    assert not events_wait(desk)
    order = find_order(desk, str(odd))
    assert order.order["hold_reason"].startswith("the rules could not look at it: metadata can't be read: ")
    assert order.order["folder"] == NEEDS_ATTENTION
    assert [entry.event for entry in order.history] == ["imported", "queued", "held", "moved"]
    assert find_order(desk, str(fits)).order["hold_reason"] == "look"
    assert list(send_all(desk).orders) == [plain]


def test_an_order_that_rules_have_still_to_look_at_is_not_handed_over(desk: Engine) -> None:
    save_rules(desk, [HOLD])
    waits, free = queue(desk, 2)
    imported(desk, waits)
    assert list(send_all(desk).orders) == [free]
    apply_rules(desk, now=NOW)
    assert list(send_all(desk).orders) == [waits]


def test_events_that_there_are_not_and_of_orders_that_there_are_not_stop_no_rule(desk: Engine) -> None:
    save_rules(desk, [HOLD])
    unknown, fits = queue(desk, 2)
    plant(desk, "orders", fits, "metadata", """'{"x": "1"}'""")
    imported(desk, unknown, fits)
    plant(desk, "rule_events", 1, "event", "'order_imported'")
    if desk.dialect.name == "sqlite":
        imported(desk, fits, fits)
        plant(desk, "rule_events", 3, "order_id", "4711")
        plant(desk, "rule_events", 4, "order_id", "'soon'")
        insert_shipment(desk, unknown)
        plant(desk, "shipments", 1, "order_id", "4711")
        save_rules(desk, [HOLD, HOLD.model_copy(update={"name": "Ship", "event": RuleEvent.SHIPMENT_ADDED})])
        plant(desk, "shipments", 1, "rules_seen", "0")
    result = apply_rules(desk, now=NOW)
    assert (result.fired, result.unlooked) == (1, 1)
    assert not events_wait(desk)
    assert "event" in str(find_order(desk, str(unknown)).order["hold_reason"])


def test_a_rule_that_fails_on_an_order_holds_that_order(
    desk: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_rules(desk, [HOLD])
    odd, fits = queue(desk, 2)
    plant(desk, "orders", fits, "metadata", """'{"x": "1"}'""")
    from tasks.rules.engine import run_event

    def fails(order: dict[str, Any], *args: Any) -> Any:
        if order["id"] == odd:
            raise ZeroDivisionError("Ada Lovelace")
        return run_event(order, *args)

    monkeypatch.setattr("tasks.rules.apply.run_event", fails)
    imported(desk, odd, fits)
    assert apply_rules(desk, now=NOW).fired == 1
    reason = find_order(desk, str(odd)).order["hold_reason"]
    assert reason == "the rules could not look at it: unexpected ZeroDivisionError"


def test_an_order_that_can_not_be_made_ready_keeps_no_other(desk: Engine) -> None:
    odd, good = queue(desk, 2)

    def prepare(document: dict[str, Any]) -> Prepared:
        if document["id"] == odd:
            raise ZeroDivisionError("Ada Lovelace")
        return Prepared(document, [], [])

    channel = Taking()
    send(desk, lambda: channel, prepare=prepare)
    assert list(channel.orders) == [good]
    assert said(desk)[odd] == ("failed", "it can't be made ready for acme (unexpected ZeroDivisionError)")


def test_a_run_by_hand_holds_what_it_can_not_look_at(desk: Engine) -> None:
    save_rules(desk, [HOLD])
    (odd,) = queue(desk, 1)
    plant(desk, "orders", odd, "metadata", "'[1]'")
    assert apply_by_hand(desk, "hold", [odd], now=NOW).unlooked == 1
