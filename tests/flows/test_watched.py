"""What a check or sync came to is noted: since when it fails, and when it is well again."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from prefect.settings import PREFECT_API_URL
from sqlalchemy import Engine

from deployments.sandbox.server import Sandbox, SandboxSettings
from models.watching import Plans, Watch
from tasks.desk.leases import HeldLease, LeaseHeldError
from tasks.monitoring.plans import read_plans
from tasks.monitoring.store import take_snapshot, watch
from tasks.podos.errors import TokenRefusedError
from tests.support.connected import Connected

CHECK, SYNC = "check:default", "sync:default"


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    """A sandbox podOS without orders."""
    with Sandbox(SandboxSettings(orders=0)) as sandbox:
        yield sandbox


def watch_of(engine: Engine, cause: str) -> Watch:
    return take_snapshot(engine, now=datetime.now(UTC)).watches[cause]


def fail(connected: Connected) -> None:
    with pytest.raises(TokenRefusedError):
        connected.check()


def test_a_failing_check_is_one_trouble_until_it_is_well_again(connected: Connected, engine: Engine) -> None:
    connected.check()
    first = watch_of(engine, CHECK)
    assert first.well_at
    assert first.trouble_at is None
    right, connected.sandbox.token = connected.sandbox.token, "wrong"
    connected.set()
    fail(connected)
    failed = watch_of(engine, CHECK)
    assert failed.trouble_at
    assert (failed.well_at, failed.told_at) == (first.well_at, None)
    assert failed.reason
    assert "podOS refused the token" in failed.reason
    fail(connected)
    assert watch_of(engine, CHECK) == failed
    connected.sandbox.token = right
    connected.set()
    connected.check()
    again = watch_of(engine, CHECK)
    assert (again.trouble_at, again.reason) == (None, None)
    assert again.well_at
    assert again.well_at > first.well_at


@pytest.mark.parametrize("flow", ["check", "sync", "send"])
def test_a_name_that_was_mistyped_is_no_trouble(cli_database: Path, engine: Engine, flow: str) -> None:
    assert _run_for_nobody(flow).is_failed()
    assert take_snapshot(engine, now=datetime.now(UTC)).watches == {}


def _run_for_nobody(work: str) -> Any:
    from flows.check_orders import check_for_new_orders
    from flows.send_orders import send_orders
    from flows.sync_tracking import sync_tracking

    flows: dict[str, Any] = {"check": check_for_new_orders, "sync": sync_tracking, "send": send_orders}

    async def run() -> Any:
        return await flows[work]("nobody", return_state=True)

    return asyncio.run(run())


def test_work_of_what_was_removed_fails_visibly(cli_database: Path, engine: Engine) -> None:
    watch(engine, "check:nobody")  # it was connected once, and its schedule still names it
    assert _run_for_nobody("check").is_failed()
    reason = watch_of(engine, "check:nobody").reason
    assert reason
    assert "there is no integration 'nobody'" in reason


def test_a_skipped_check_is_neither_good_nor_bad_news(connected: Connected, engine: Engine) -> None:
    with HeldLease(engine, CHECK), pytest.raises(LeaseHeldError):
        connected.check()
    assert watch_of(engine, CHECK) == Watch(CHECK, None, None, None, None)


def test_a_sync_with_nothing_to_send_is_well(connected: Connected, engine: Engine) -> None:
    connected.sync()
    assert watch_of(engine, SYNC).well_at


def test_a_desk_that_can_not_be_noted_in_does_not_change_what_the_run_says(
    connected: Connected, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tasks.desk.errors import RetriableDeskError
    from tasks.monitoring import record as watching

    def locked(*_: object, **__: object) -> None:
        raise RetriableDeskError("the desk's database is locked")

    monkeypatch.setattr(watching, "note_what_is", locked)
    assert connected.check().fetched == 0


def test_what_the_server_did_not_take_is_told_by_the_next_run_and_then_no_more(
    connected: Connected, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tasks.monitoring import record as watching

    told: list[tuple[list[str], list[str], str | None]] = []
    answers = iter([False, True])

    async def emit_events_of(alerts: list[Watch], over: list[str], checked: str | None) -> bool:
        if not alerts and not over and not checked:
            return True  # the look at the beginning of a run
        told.append(([alert.cause for alert in alerts], over, checked))
        return next(answers, True)

    monkeypatch.setattr(watching, "emit_watch_events", emit_events_of)
    monkeypatch.setenv("PREFECT_API_URL", str(PREFECT_API_URL.value()))
    connected.sandbox.faults.then("401")
    fail(connected)
    connected.sync()  # the server answers again: it is told by the run of something else
    connected.sandbox.faults.then("401")
    fail(connected)
    connected.check()
    assert told == [
        ([CHECK], [], CHECK),
        ([CHECK], [], None),
        ([], [], CHECK),
        ([], [CHECK], CHECK),
    ]


def test_the_plans_name_who_is_connected(connected: Connected, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PREFECT_API_URL", str(PREFECT_API_URL.value()))
    plans = asyncio.run(read_plans())
    assert isinstance(plans, Plans)
    assert "default" in plans.integrations


def test_a_server_that_does_not_answer_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PREFECT_API_URL", "http://127.0.0.1:9/api")
    assert asyncio.run(read_plans()) is None
    monkeypatch.delenv("PREFECT_API_URL")
    assert asyncio.run(read_plans()) is None
