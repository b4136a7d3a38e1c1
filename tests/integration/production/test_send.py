"""podOS is told of production once, never goes back, and gets nothing of what it refuses."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import stamina
from pydantic import SecretStr
from sqlalchemy import Engine, text

from deployments.sandbox.server import Sandbox, SandboxSettings
from models.blocks import Integration
from models.production import ProductionReport, ProductionSettings, ProductionStatus
from models.tables.outbox import OutboxState
from tasks.desk.engine import writing
from tasks.desk.errors import DeskRefusedError, RetriableDeskError
from tasks.podos.errors import TokenRefusedError
from tasks.prefect_api.pacing import open_podos
from tasks.production import send
from tasks.production.send import ProductionRun, send_statuses
from tasks.production.store import list_statuses, mark_printed, queue_statuses, resend_statuses
from tests.support.builders import insert_order, insert_run

NOW = datetime(2026, 11, 27, 12, tzinfo=UTC)
PROCESSING, PRINTED = ProductionStatus.PROCESSING, ProductionStatus.PRINTED


@pytest.fixture(autouse=True)
def no_waiting() -> Iterator[None]:
    with stamina.set_testing(True, attempts=2):
        yield


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    """A podOS with 12 paid orders."""
    with Sandbox(SandboxSettings(orders=0)) as sandbox:
        for number in range(12):
            dates = dict.fromkeys(("createdAt", "updatedAt"), "2026-11-01T00:00:00Z")
            sandbox.store.add({"id": f"source-{number}", "status": "paid", "tracking": None, **dates})
        yield sandbox


def fill(desk: Engine, sandbox: Sandbox, count: int = 12, *statuses: ProductionStatus) -> list[int]:
    """Put orders of the sandbox into the desk, with statuses that wait; return their desk ids."""
    run_id = insert_run(desk)
    ids = [
        insert_order(desk, source_id=f"source-{number}", project=sandbox.project, run_id=run_id)
        for number in range(count)
    ]
    with writing(desk) as connection:
        for status in statuses or (PROCESSING,):
            queue_statuses(connection, ids, status, now=NOW)
    return ids


def tell(desk: Engine, sandbox: Sandbox, *, read_only: bool = False, now: datetime = NOW) -> ProductionReport:
    """Tell podOS what waits, as a sync does."""
    integration = Integration(
        project=sandbox.project, api_token=SecretStr(sandbox.token), base_url=sandbox.url
    )
    report = ProductionReport("default", would_send=0 if read_only else None)
    settings = ProductionSettings("default", sandbox.project, is_on=True, read_only=read_only)

    async def told() -> None:
        async with open_podos(desk, "default", integration) as client:
            await send_statuses(client, ProductionRun(desk, settings, report, clock=lambda: now))

    asyncio.run(told())
    return report


def shown(sandbox: Sandbox) -> list[Any]:
    return [order["status"] for order in sandbox.store.all()]


def patches(sandbox: Sandbox) -> int:
    return sum(request.method == "PATCH" for request in sandbox.store.requests)


def states(desk: Engine) -> list[str]:
    return [row.state for row in list_statuses(desk)]


def test_each_order_is_told_once_and_the_desk_knows_it(desk: Engine, sandbox: Sandbox) -> None:
    ids = fill(desk, sandbox)
    report = tell(desk, sandbox)
    assert (report.counts[OutboxState.SENT], shown(sandbox), patches(sandbox)) == (
        12,
        ["processing"] * 12,
        12,
    )
    with writing(desk) as connection:
        assert queue_statuses(connection, ids, PROCESSING, now=NOW) == []
        known = connection.execute(text("SELECT DISTINCT podos_status FROM orders")).scalars().all()
        lines = connection.execute(
            text("SELECT text FROM order_history WHERE event = 'production'")
        ).scalars()
        assert set(lines) == {"podOS was told processing"}
    assert known == ["processing"]
    assert tell(desk, sandbox).pending == 0
    assert patches(sandbox) == 12


def test_nothing_goes_back_and_refunded_orders_are_left_alone(desk: Engine, sandbox: Sandbox) -> None:
    fill(desk, sandbox, 5)
    for number, status in enumerate(["printed", "consolidated", "complete", "refunded"]):
        sandbox.store.update(f"source-{number}", status=status)
    report = tell(desk, sandbox)
    assert shown(sandbox)[:5] == ["printed", "consolidated", "complete", "refunded", "processing"]
    assert patches(sandbox) == 1
    assert {state.value: count for state, count in report.counts.items() if count} == {
        "already_there": 2,
        "superseded": 1,
        "failed": 1,
        "sent": 1,
    }


def test_of_two_statuses_that_wait_only_the_last_is_told(desk: Engine, sandbox: Sandbox) -> None:
    fill(desk, sandbox, 3, PROCESSING, PRINTED)
    tell(desk, sandbox)
    assert (shown(sandbox)[:3], patches(sandbox)) == (["printed"] * 3, 3)
    assert sorted(states(desk)) == ["sent"] * 3 + ["superseded"] * 3


@pytest.mark.parametrize("fault", ["cut", "cut_before_answer", "broken_json", "500", "429", "html"])
def test_after_no_clear_answer_a_look_decides(desk: Engine, sandbox: Sandbox, fault: str) -> None:
    fill(desk, sandbox, 3)
    sandbox.faults.then(fault, method="PATCH", times=3)
    first = tell(desk, sandbox)
    assert first.counts[OutboxState.WAITING] == 3
    was_applied = shown(sandbox)[:3] == ["processing"] * 3
    before = patches(sandbox)
    tell(desk, sandbox, now=NOW + timedelta(minutes=5))
    assert shown(sandbox)[:3] == ["processing"] * 3
    assert states(desk) == (["already_there"] if was_applied else ["sent"]) * 3
    assert patches(sandbox) - before == (0 if was_applied else 3)


def test_podos_away_costs_one_look_and_all_wait(desk: Engine, sandbox: Sandbox) -> None:
    fill(desk, sandbox)
    sandbox.faults.then("503", times=10)
    report = tell(desk, sandbox)
    assert (report.counts[OutboxState.WAITING], patches(sandbox)) == (12, 0)


def test_a_crash_between_the_change_and_its_record_changes_nothing_twice(
    desk: Engine, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(desk, sandbox, 4)

    def crash(*_: Any, **__: Any) -> None:
        raise RetriableDeskError("the desk is busy")

    with monkeypatch.context() as broken:
        broken.setattr(send, "write_outcomes", crash)
        with pytest.raises(RetriableDeskError):
            tell(desk, sandbox)
    assert (shown(sandbox)[:4], states(desk)) == (["processing"] * 4, ["waiting"] * 4)
    tell(desk, sandbox)
    assert (patches(sandbox), states(desk)) == (4, ["already_there"] * 4)


def test_a_refusal_of_the_first_is_the_only_request_and_gives_all_up(desk: Engine, sandbox: Sandbox) -> None:
    fill(desk, sandbox)
    sandbox.faults.takes_production = False
    report = tell(desk, sandbox)
    assert "HTTP 403" in str(report.refused)
    assert "switched off" in report.one_line()
    assert (patches(sandbox), states(desk)) == (1, ["voided"] * 12)


def test_a_refusal_after_others_were_taken_fails_the_run_and_keeps_the_rest(
    desk: Engine, sandbox: Sandbox
) -> None:
    ids = fill(desk, sandbox, 4)
    tell(desk, sandbox)
    sandbox.faults.takes_production = False
    with writing(desk) as connection:
        queue_statuses(connection, ids, PRINTED, now=NOW)
    with pytest.raises(TokenRefusedError):
        tell(desk, sandbox)
    sandbox.faults.takes_production = True
    tell(desk, sandbox)
    assert shown(sandbox)[:4] == ["printed"] * 4


def test_read_only_mode_tells_nothing(desk: Engine, sandbox: Sandbox) -> None:
    fill(desk, sandbox)
    report = tell(desk, sandbox, read_only=True)
    assert report.one_line() == "read-only mode: 12 pending, would send 12"
    assert (patches(sandbox), states(desk)) == (0, ["waiting"] * 12)


def test_printed_is_noted_once_and_refused_for_a_refunded_order(desk: Engine, sandbox: Sandbox) -> None:
    ids = fill(desk, sandbox, 3)
    named = [f"desk:{order_id}" for order_id in ids]
    assert mark_printed(desk, named[:2], now=NOW) == (ids[:2], {"default"})
    assert mark_printed(desk, named[:2], now=NOW) == ([], {"default"})
    with writing(desk) as connection:
        connection.execute(text("UPDATE orders SET podos_status = 'refunded' WHERE id = :id"), {"id": ids[2]})
    with pytest.raises(DeskRefusedError, match="refunded"):
        mark_printed(desk, [*named], now=NOW)
    assert sum(row.status == "printed" for row in list_statuses(desk)) == 2


def test_what_failed_is_told_again_when_a_person_says_so(desk: Engine, sandbox: Sandbox) -> None:
    fill(desk, sandbox, 2)
    sandbox.store.update("source-0", status="moderation")
    tell(desk, sandbox)
    assert sorted(states(desk)) == ["failed", "sent"]
    sandbox.store.update("source-0", status="paid")
    assert resend_statuses(desk, None) == (1, {"default"})
    with pytest.raises(DeskRefusedError, match="no production status 999"):
        resend_statuses(desk, [999])
    tell(desk, sandbox)
    assert states(desk) == ["sent"] * 2


def test_until_one_is_taken_they_go_one_by_one(desk: Engine, sandbox: Sandbox) -> None:
    """A first answer that says nothing must not let many requests ask what one can."""
    fill(desk, sandbox)
    sandbox.faults.takes_production = False
    sandbox.faults.then("cut_before_answer", method="PATCH")
    report = tell(desk, sandbox)
    assert report.refused
    assert patches(sandbox) == 2
