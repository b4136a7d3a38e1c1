"""podOS's clock jumps an hour either way, and is set right again: no order is missed."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from sqlalchemy import Engine, text

from deployments.sandbox.server import Sandbox, SandboxSettings
from deployments.sandbox.store import Store
from tasks.desk.browse import export_orders
from tests.support.connected import Connected

HOUR = 3600


@pytest.fixture
def sandbox() -> Sandbox:  # type: ignore[misc]
    """A sandbox podOS whose newest change is a moment old."""
    with Sandbox(SandboxSettings(orders=60, seed=3)) as sandbox:
        sandbox.store.update(sandbox.store.keys()[0])
        yield sandbox


@pytest.fixture
def pay(sandbox: Sandbox) -> Callable[[], str]:
    """Let one more order become paid, and return its id."""
    waiting = [order["id"] for order in sandbox.store.all() if order.get("status") == "new"]

    def pay() -> str:
        key = waiting.pop()
        sandbox.store.update(key, status="paid", frozen=False)
        return str(key)

    return pay


def imported(engine: Engine) -> set[str]:
    """The orders of the desk."""
    return {order["source_id"] for order in export_orders(engine)}


@pytest.mark.parametrize("ahead_seconds", [HOUR, -HOUR])
def test_a_jump_and_the_way_back_hide_no_order(
    connected: Connected, engine: Engine, sandbox: Sandbox, pay: Callable[[], str], ahead_seconds: int
) -> None:
    connected.check()
    sandbox.faults.clock_ahead_seconds = ahead_seconds
    during = pay()
    connected.check()
    after_that_check = pay()
    sandbox.faults.clock_ahead_seconds = 0
    afterwards = pay()
    connected.check()

    assert {during, after_that_check, afterwards} <= imported(engine)


@pytest.mark.parametrize("ahead_seconds", [HOUR, -HOUR])
def test_a_jump_that_a_failed_check_saw_hides_no_order(
    connected: Connected, engine: Engine, sandbox: Sandbox, pay: Callable[[], str], ahead_seconds: int
) -> None:
    connected.check()
    sandbox.faults.clock_ahead_seconds = ahead_seconds
    paid = [pay()]
    sandbox.faults.then("ok", "401")  # the answer that shows the jump, and then nothing more
    sandbox.faults.page_size_cap = 1
    with pytest.raises(Exception, match="refused the token"):
        connected.check()
    sandbox.faults.page_size_cap = None
    sandbox.faults.clock_ahead_seconds = 0
    paid.append(pay())
    connected.check()

    assert set(paid) <= imported(engine)


def test_a_jump_that_no_check_saw_hides_no_order_for_longer_than_an_hour(
    connected: Connected,
    engine: Engine,
    sandbox: Sandbox,
    pay: Callable[[], str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    connected.check()
    sandbox.faults.clock_ahead_seconds = -HOUR
    during = pay()
    sandbox.faults.clock_ahead_seconds = 0
    pay()
    connected.check()
    assert during not in imported(engine)
    monkeypatch.setenv("DESK_LOOK_BACK_EVERY_MINUTES", "0")  # as if an hour had passed
    connected.check()

    assert during in imported(engine)


def test_a_jump_that_only_a_failed_check_could_have_seen_hides_no_order(
    connected: Connected, engine: Engine, sandbox: Sandbox, pay: Callable[[], str]
) -> None:
    connected.check()
    sandbox.faults.clock_ahead_seconds = -HOUR
    during = pay()
    sandbox.faults.clock_ahead_seconds = 0
    pay()
    sandbox.faults.then("401")
    with pytest.raises(Exception, match="refused the token"):
        connected.check()
    connected.check()

    assert during in imported(engine)


def test_a_jump_back_in_the_middle_of_the_first_check_hides_no_order(
    connected: Connected, engine: Engine, sandbox: Sandbox, pay: Callable[[], str]
) -> None:
    paid: list[str] = []

    def jump(_store: Store, number: int) -> None:
        if number == 5:  # two requests ask for the newest dates; the first pages are read by now
            sandbox.faults.clock_ahead_seconds = -HOUR
            paid.append(pay())

    sandbox.faults.page_size_cap = 10
    sandbox.faults.before_list = jump
    connected.check()
    paid.append(pay())
    sandbox.faults.clock_ahead_seconds = 0
    connected.check()

    assert len(paid) == 2
    assert set(paid) <= imported(engine)


def test_the_mark_stays_behind_both_clocks(connected: Connected, engine: Engine, sandbox: Sandbox) -> None:
    sandbox.faults.clock_ahead_seconds = HOUR
    sandbox.store.update(sandbox.store.keys()[1])
    connected.check()
    connected.check()
    with engine.connect() as connection:
        ahead = connection.execute(text("SELECT mark_at > datetime('now', '+1 seconds') FROM scan_marks"))
        assert ahead.scalar() == 0


def test_without_a_jump_nothing_is_read_twice(connected: Connected, sandbox: Sandbox) -> None:
    """PodOS's clock may differ from ours for good: that alone is no jump."""
    sandbox.faults.clock_ahead_seconds = -HOUR
    sandbox.store.update(sandbox.store.keys()[1])
    connected.check()
    sandbox.store.log.clear()
    connected.check()
    assert len(sandbox.store.requests) == 1


def test_dates_that_are_none_are_survived(
    connected: Connected, engine: Engine, sandbox: Sandbox, pay: Callable[[], str]
) -> None:
    sandbox.faults.clock_ahead_seconds = -50 * 365 * 24 * HOUR
    connected.check()
    sandbox.faults.clock_ahead_seconds = 0
    paid = pay()
    connected.check()
    assert paid in imported(engine)
