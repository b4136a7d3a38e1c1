"""The last look before a handover: a sandbox podOS, a desk, and a printer that counts what it gets."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import Engine, text

from deployments.sandbox.receiver import Receiver
from deployments.sandbox.server import Sandbox, SandboxSettings
from models.upstream import HELD_FROZEN, HELD_GONE
from tests.support.documentation import ROOT
from tests.support.last_look import import_paid, send_after_a_look
from tests.support.sending import SECRET

MOVED = {"shippingAddress": {"line1": "7 Sample Street", "city": "Sampletown", "country": "GB"}}


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    """A podOS whose orders are all paid and whole."""
    settings = SandboxSettings(orders=250, seed=5, broken=0, nulls=False, unknown_values=False)
    with Sandbox(settings) as podos:
        for key in [order["id"] for order in podos.store.all()]:
            podos.store.update(key, status="paid", frozen=False, frozenReasons=[])
        yield podos


@pytest.fixture
def printer() -> Iterator[Receiver]:
    """A printer that takes orders."""
    with Receiver(SECRET) as receiver:
        yield receiver


def rows(desk: Engine, query: str, **values: Any) -> list[tuple[Any, ...]]:
    """Return what the desk says."""
    with desk.connect() as connection:
        return [tuple(row) for row in connection.execute(text(query), values)]


def order(desk: Engine, source_id: str) -> tuple[Any, ...]:
    """Return hold, folder, and the handover's state, reason and attempts."""
    query = (
        "SELECT o.hold_reason, f.name, h.state, h.reason, h.attempts FROM orders o "
        "JOIN folders f ON f.id = o.folder_id JOIN handovers h ON h.order_id = o.id WHERE o.source_id = :id"
    )
    return rows(desk, query, id=source_id)[0]


def looks(sandbox: Sandbox) -> int:
    """Return how many list calls by ids podOS got."""
    return sum("ids" in str(request.query) for request in sandbox.store.requests)


def test_250_orders_cost_three_requests_and_the_second_run_none(
    desk: Engine, sandbox: Sandbox, printer: Receiver
) -> None:
    ids = import_paid(desk, sandbox, 250)
    report, events = send_after_a_look(desk, sandbox, printer)
    assert (report.looked, report.held_back, report.unseen, events) == (250, {}, 0, [])
    assert looks(sandbox) == 3
    assert len(printer.taken) == len(ids) == 250
    again, _ = send_after_a_look(desk, sandbox, printer)
    assert (again.looked, looks(sandbox)) == (0, 3)


def test_refunded_frozen_changed_shipped_and_gone_are_not_handed_over(
    desk: Engine, sandbox: Sandbox, printer: Receiver
) -> None:
    refunded, frozen, changed, shipped, gone, *fine = import_paid(desk, sandbox, 9)
    sandbox.store.update(refunded, status="refunded")
    sandbox.store.update(frozen, frozen=True, frozenReasons=["fraud"])
    sandbox.store.update(changed, **MOVED)
    sandbox.store.update(shipped, status="complete")
    sandbox.store.remove(gone)
    report, events = send_after_a_look(desk, sandbox, printer)
    assert {posted["order"]["source_id"] for posted in printer.taken.values()} == set(fine)
    assert report.held_back == {"refunded": 1, "frozen": 1, "changed": 1, "shipped": 1, "gone": 1}
    assert order(desk, refunded)[1:3] == ("Canceled", "voided")
    assert order(desk, frozen)[::2] == (HELD_FROZEN, "waiting", 0)
    assert order(desk, shipped)[1:3] == ("Needs Attention", "failed")
    assert order(desk, gone)[:3] == (HELD_GONE, "Needs Attention", "waiting")
    hold, folder, state, reason, attempts = order(desk, changed)
    assert (hold, folder, state, attempts) == (None, "New", "waiting", 0)
    assert "settle it" in reason
    flagged = rows(
        desk,
        "SELECT o.source_id FROM order_changes c JOIN orders o ON o.id = c.order_id WHERE c.state = 'open'",
    )
    assert {row[0] for row in flagged} == {changed, gone}
    assert {(event["source_id"], event["change"]) for event in events} == {
        (refunded, "canceled"),
        (frozen, "held"),
        (changed, "address"),
        (gone, "gone"),
    }
    again, events = send_after_a_look(desk, sandbox, printer)
    assert (again.looked, events, len(printer.taken)) == (0, [], len(fine))


def test_a_change_that_was_settled_and_a_hold_that_was_lifted_let_orders_go(
    desk: Engine, sandbox: Sandbox, printer: Receiver
) -> None:
    changed, gone = import_paid(desk, sandbox, 2)
    sandbox.store.update(changed, **MOVED)
    sandbox.store.remove(gone)
    send_after_a_look(desk, sandbox, printer)
    with desk.begin() as connection:
        connection.execute(text("UPDATE order_changes SET state = 'kept'"))
        connection.execute(text("UPDATE orders SET hold_reason = NULL"))
    send_after_a_look(desk, sandbox, printer)
    assert len(printer.taken) == 2


def test_while_podos_is_away_handovers_wait_with_the_reason_and_no_attempt(
    desk: Engine, sandbox: Sandbox, printer: Receiver
) -> None:
    first, *_ = import_paid(desk, sandbox, 3)
    sandbox.faults.rates["503"] = 1.0
    report, _ = send_after_a_look(desk, sandbox, printer)
    assert (report.looked, report.held_back, printer.taken) == (0, {"podos_away": 3}, {})
    _, folder, state, reason, attempts = order(desk, first)
    assert (folder, state, attempts) == ("New", "waiting", 0)
    assert "podOS could not be asked" in reason
    sandbox.faults.reset()
    sandbox.store.update(first, status="refunded")
    with desk.begin() as connection:
        connection.execute(text("UPDATE handovers SET next_attempt_at = NULL"))
    send_after_a_look(desk, sandbox, printer)
    assert len(printer.taken) == 2


def test_with_send_they_go_and_the_history_says_that_nobody_looked(
    desk: Engine, sandbox: Sandbox, printer: Receiver
) -> None:
    import_paid(desk, sandbox, 3)
    sandbox.faults.rates["503"] = 1.0
    report, _ = send_after_a_look(desk, sandbox, printer, when_away="send")
    assert (report.unseen, report.held_back, len(printer.taken)) == (3, {}, 3)
    said = rows(desk, "SELECT text FROM order_history WHERE text LIKE '%without a last look%'")
    assert len(said) == 3


@pytest.mark.parametrize("fault", ["429_retry_after", "broken_json", "cut", "500", "html"])
def test_a_bad_answer_is_asked_for_again(
    desk: Engine, sandbox: Sandbox, printer: Receiver, fault: str
) -> None:
    refunded, *fine = import_paid(desk, sandbox, 4)
    sandbox.store.update(refunded, status="refunded")
    sandbox.faults.then(fault)
    send_after_a_look(desk, sandbox, printer)
    assert {posted["order"]["source_id"] for posted in printer.taken.values()} == set(fine)


def test_a_refused_token_lets_orders_wait_and_is_told(
    desk: Engine, sandbox: Sandbox, printer: Receiver
) -> None:
    import_paid(desk, sandbox, 2)
    sandbox.faults.rates["401"] = 1.0
    problems: list[Exception | None] = []
    report, _ = send_after_a_look(desk, sandbox, printer, problems=problems)
    assert (report.held_back, printer.taken) == ({"podos_away": 2}, {})
    assert "401" in str(problems[0])


def test_orders_of_a_removed_integration_go_and_the_history_says_so(
    desk: Engine, sandbox: Sandbox, printer: Receiver
) -> None:
    import_paid(desk, sandbox, 2)
    report, _ = send_after_a_look(desk, sandbox, printer, connected=False)
    assert (report.looked, report.unseen, len(printer.taken)) == (0, 2, 2)
    assert len(rows(desk, "SELECT text FROM order_history WHERE text LIKE '%no integration is%'")) == 2


def test_a_dry_run_looks_and_writes_nothing(desk: Engine, sandbox: Sandbox, printer: Receiver) -> None:
    refunded, gone, _ = import_paid(desk, sandbox, 3)
    sandbox.store.update(refunded, status="refunded")
    sandbox.store.remove(gone)
    before = [
        rows(desk, f"SELECT * FROM {name} ORDER BY id") for name in ("orders", "handovers", "order_history")
    ]
    report, events = send_after_a_look(desk, sandbox, printer, read_only=True)
    assert (report.would_send, report.held_back, events) == (1, {"refunded": 1, "gone": 1}, [])
    after = [
        rows(desk, f"SELECT * FROM {name} ORDER BY id") for name in ("orders", "handovers", "order_history")
    ]
    assert before == after
    assert printer.taken == {}


def test_killed_between_look_and_sending_the_next_run_looks_again(
    desk: Engine, desk_url: str, sandbox: Sandbox, printer: Receiver
) -> None:
    refunded, *fine = import_paid(desk, sandbox, 4)
    environment = {**os.environ, "PODOS": sandbox.url, "PROJECT": sandbox.project, "TOKEN": sandbox.token}
    command = [sys.executable, "-m", "tests.support.last_look", desk_url, printer.url]
    died = subprocess.run(command, cwd=ROOT, env=environment, check=False, timeout=60)
    assert died.returncode == -9
    assert looks(sandbox) == 1
    sandbox.store.update(refunded, status="refunded")
    send_after_a_look(desk, sandbox, printer)
    assert looks(sandbox) == 2
    assert {posted["order"]["source_id"] for posted in printer.taken.values()} == set(fine)
