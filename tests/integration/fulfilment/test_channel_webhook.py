"""Orders go to a real local receiver, which verifies signatures and fails in the ways a server can."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import jsonschema
import msgspec
import pytest
from sqlalchemy import Engine

from deployments.sandbox.receiver import Receiver
from models.tables.outbox import OutboxState
from tasks.desk.browse import find_order
from tasks.fulfilment.channels.interface import RefusedError
from tasks.fulfilment.channels.webhook import Webhook
from tasks.fulfilment.send import Prepared
from tasks.fulfilment.store import hold_order, list_handovers, release_order, resend_handovers
from tasks.rules.maps import Problem
from tests.support.documentation import ROOT
from tests.support.sending import NOW, SECRET, queue, send, states


def way_to(receiver: Receiver, **options: float) -> Callable[[], Webhook]:
    timeout = options.get("timeout_seconds", 5.0)
    return lambda: Webhook(receiver.url, SECRET, timeout_seconds=timeout, connections=4)


def test_orders_are_taken_once_and_move_on(desk: Engine) -> None:
    ids = queue(desk, 30)
    with Receiver(SECRET) as receiver:
        run = send(desk, way_to(receiver))
        send(desk, way_to(receiver))
    assert len(receiver.taken) == sum(receiver.posts.values()) == 30
    assert receiver.problems == []
    assert {state for state, _, _ in states(desk)} == {"sent"}
    assert run.report.one_line() == "30 pending: 30 sent"
    detail = find_order(desk, str(ids[0]))
    assert detail.order["folder"] == "Prepared"
    assert any(entry.text.startswith("handed over to acme as P-") for entry in detail.history)


def test_what_is_posted_has_the_published_shape(desk: Engine) -> None:
    queue(desk, 1)
    with Receiver(SECRET) as receiver:
        send(desk, way_to(receiver))
    schema = msgspec.json.decode(Path(ROOT / "docs" / "order.schema.json").read_bytes())
    ((key, posted),) = receiver.taken.items()
    jsonschema.validate(posted, schema)
    assert (posted["version"], posted["idempotency_key"]) == (1, key)


@pytest.mark.parametrize("fault", [500, 503, 429, "cut", "cut after taking", "hang after taking"])
def test_an_unclear_answer_loses_nothing_and_sends_nothing_twice(desk: Engine, fault: int | str) -> None:
    queue(desk, 6)
    with Receiver(SECRET, faults=[fault], retry_after="1") as receiver:
        send(desk, way_to(receiver, timeout_seconds=0.5))
    assert len(receiver.taken) == 6
    assert sum(receiver.posts.values()) == 7
    expected = {"sent", "already_there"} if "after" in str(fault) else {"sent"}
    assert {state for state, _, _ in states(desk)} == expected


def test_a_long_retry_after_outlives_the_run(desk: Engine) -> None:
    queue(desk, 5)
    with Receiver(SECRET, retry_after="3600") as receiver:
        receiver.always = 429
        run = send(desk, way_to(receiver), now=NOW)
        posts = sum(receiver.posts.values())
        receiver.always = None
        send(desk, way_to(receiver), now=NOW)  # too early: nothing is posted
    assert run.halted is not None
    assert 1 <= posts <= 4
    assert sum(receiver.posts.values()) == posts
    assert {state for state, _, _ in states(desk)} == {"waiting"}


def test_a_final_answer_flags_the_order_and_leaves_it_where_it_is(desk: Engine) -> None:
    (id_,) = queue(desk, 1)
    with Receiver(SECRET, faults=[400]) as receiver:
        run = send(desk, way_to(receiver))
    assert states(desk) == [("failed", "the fulfiller did not accept the order (HTTP 400)", 1)]
    detail = find_order(desk, str(id_))
    assert detail.order["folder"] == "New"
    assert detail.history[-1].event == "not sent"
    assert run.report.one_line() == "1 pending: 1 failed"


@pytest.mark.parametrize("status", [401, 403])
def test_a_refused_secret_stops_the_run_with_all_still_waiting(desk: Engine, status: int) -> None:
    queue(desk, 40)
    with Receiver(SECRET) as receiver:
        receiver.always = status
        with pytest.raises(RefusedError, match="refused our key or secret"):
            send(desk, way_to(receiver))
    assert sum(receiver.posts.values()) <= 4
    assert {(state, attempts) for state, _, attempts in states(desk)} == {("waiting", 0)}


def test_a_redirect_is_not_followed(desk: Engine) -> None:
    queue(desk, 1)
    with Receiver(SECRET, faults=[307]) as receiver:
        send(desk, way_to(receiver))
    assert sum(receiver.posts.values()) == 1
    assert states(desk)[0][0] == "failed"


def test_a_receiver_that_is_away_is_left_alone(desk: Engine) -> None:
    queue(desk, 60)
    with Receiver(SECRET) as receiver:
        receiver.always = 500
        run = send(desk, way_to(receiver))
    assert run.halted is not None
    assert run.report.one_line().endswith("; ended early: the fulfiller answered HTTP 500")
    assert sum(receiver.posts.values()) < 60
    assert {state for state, _, _ in states(desk)} == {"waiting"}


def test_held_and_refunded_orders_are_never_sent(desk: Engine) -> None:
    held, _ = queue(desk, 2)
    queue(desk, 1, podos_status="refunded")
    hold_order(desk, str(held), "artwork is unclear", now=NOW)
    with Receiver(SECRET) as receiver:
        send(desk, way_to(receiver))
        assert len(receiver.taken) == 1
        assert [state for state, _, _ in states(desk)] == ["waiting", "sent", "failed"]
        release_order(desk, str(held), now=NOW)
        send(desk, way_to(receiver))
    assert len(receiver.taken) == 2


def test_an_order_that_is_not_fit_goes_to_needs_attention_with_all_reasons(desk: Engine) -> None:
    (id_,) = queue(desk, 1)
    with Receiver(SECRET) as receiver:
        problems = [Problem("no SKU Adas-Mug", "no SKU"), Problem.own("no city")]
        run = send(desk, way_to(receiver), prepare=lambda order: Prepared(order, [], problems))
    assert receiver.taken == {}
    assert states(desk)[0][:2] == ("failed", "no SKU Adas-Mug; no city")
    assert [note.reason for note in run.report.notes[OutboxState.FAILED]] == ["no SKU; no city"]
    assert find_order(desk, str(id_)).order["folder"] == "Needs Attention"


def test_a_resent_order_is_known_again(desk: Engine) -> None:
    queue(desk, 1)
    with Receiver(SECRET) as receiver:
        send(desk, way_to(receiver))
        assert resend_handovers(desk, [1], now=NOW) == ([1], {"acme"})
        send(desk, way_to(receiver))
    assert len(receiver.taken) == 1
    assert states(desk)[0][0] == "already_there"


def test_while_the_secret_is_replaced_a_post_is_good_by_the_old_and_by_the_new_one(desk: Engine) -> None:
    queue(desk, 3)
    for secret in (SECRET, "the secret that was before it"):
        with Receiver(secret) as receiver:
            send(desk, lambda: Webhook(receiver.url, SECRET, previous_secret="the secret that was before it"))
            assert receiver.problems == []
            assert len(receiver.taken) == 3
        resend_handovers(desk, [1, 2, 3], now=NOW)
    with Receiver("a third secret of the tests") as receiver, pytest.raises(RefusedError):
        send(desk, lambda: Webhook(receiver.url, SECRET, previous_secret="the secret that was before it"))
    assert set(receiver.problems) == {"the signature is wrong"}


def test_a_post_that_was_signed_long_ago_is_refused(desk: Engine) -> None:
    queue(desk, 1)
    with Receiver(SECRET) as receiver, pytest.raises(RefusedError):
        send(desk, lambda: Webhook(receiver.url, SECRET, clock=lambda: time.time() - 301))
    assert receiver.problems == ["the timestamp is old"]


def test_an_answer_of_200_that_says_no_hands_nothing_over(desk: Engine) -> None:
    queue(desk, 2)
    with Receiver(SECRET, faults=["says no"]) as receiver:
        run = send(
            desk, lambda: Webhook(receiver.url, SECRET, connections=1, refusal_fields=["success", "error"])
        )
    (refused,) = list_handovers(desk, state=OutboxState.FAILED)
    assert refused.reason == "the fulfiller answered HTTP 200, but success in it says no: SKU unknown"
    assert run.report.counts[OutboxState.SENT] == 1
    assert "SKU unknown" not in str(run.report.notes), "their words stay in the desk"
