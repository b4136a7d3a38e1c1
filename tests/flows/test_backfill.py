"""Backfills over real workers: windows are shared, failures named, and killed processes cost nothing."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, text

from deployments.sandbox.server import Sandbox, SandboxSettings
from deployments.sandbox.store import Store
from models.reports import Outcome
from tasks.desk.browse import export_orders
from tests.support.connected import Connected

ROOT = Path(__file__).parents[2]
DESK = [sys.executable, "-c", "from deployments.cli.app import main; main()"]
SINCE = "2020-01-01"


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    """A sandbox podOS with orders for several windows."""
    with Sandbox(SandboxSettings(orders=1500, seed=5)) as sandbox:
        yield sandbox


@pytest.fixture(scope="module")
def environment() -> dict[str, str]:
    """What processes beside the test run on: the test's own Prefect server, set up."""
    from prefect.settings import get_current_settings

    from deployments.stack.deploy import set_up_server

    os.environ["PREFECT_API_URL"] = url = str(get_current_settings().api.url)
    try:
        asyncio.run(set_up_server())
    finally:
        del os.environ["PREFECT_API_URL"]
    return {
        **os.environ,
        "PREFECT_API_URL": url,
        "PREFECT_SERVER_ALLOW_EPHEMERAL_MODE": "false",
        "PREFECT_WORKER_QUERY_SECONDS": "1",
    }


class Group:
    """A process and all that it started."""

    def __init__(self, command: list[str], environment: dict[str, str]) -> None:
        self.process = subprocess.Popen(
            command,
            cwd=ROOT,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def kill(self) -> None:
        """Kill all of it at once, as a power cut would."""
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.communicate()

    def result(self) -> dict[str, Any]:
        """Wait for the end of a `desk ... --json` and return what it said."""
        out, err = self.process.communicate(timeout=240)
        return {"code": self.process.returncode, "report": json.loads(out) if out else None, "err": err}


@pytest.fixture
def start(environment: dict[str, str], cli_database: Path) -> Iterator[Callable[..., Group]]:
    """Start `desk ...` or, without arguments, a worker; all are killed at the end."""
    started: list[Group] = []

    def start_one(*args: str) -> Group:
        worker = [sys.executable, "-m", "prefect", "worker", "start", "--pool", "desk", "--limit", "2"]
        own = environment | {"DESK_DATABASE_URL": f"sqlite:///{cli_database}"}
        started.append(Group([*DESK, *args] if args else worker, own))
        return started[-1]

    yield start_one
    for group in started:
        if group.process.poll() is None:
            group.kill()


def backfill(start: Callable[..., Group]) -> Group:
    return start("backfill", "--since", SINCE, "--windows", "3", "--json")


def desk_of(engine: Engine) -> set[str]:
    return {order["source_id"] for order in export_orders(engine)}


def states(engine: Engine) -> list[str]:
    with engine.connect() as connection:
        query = "SELECT state FROM backfill_windows ORDER BY backfill_id, number"
        return list(connection.execute(text(query)).scalars())


def once(
    act: Callable[[], Any], *, from_request: int = 5
) -> tuple[Callable[[Store, int], None], threading.Event]:
    """Return a hook that acts once, while podOS answers, and an event that tells when it did."""
    done = threading.Event()

    def hook(_store: Store, number: int) -> None:
        if number >= from_request and not done.is_set():
            done.set()
            act()

    return hook, done


def wait_for(condition: Callable[[], bool], seconds: float = 120) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.2)


def test_without_a_worker_it_says_so(connected: Connected, start: Callable[..., Group]) -> None:
    done = backfill(start).result()
    assert done["code"] == 2
    assert "no worker is at work" in done["err"]


def test_a_backfill_goes_on_after_its_worker_and_itself_were_killed(
    connected: Connected, engine: Engine, start: Callable[..., Group], sandbox: Sandbox
) -> None:
    expected = connected.manual_import(SINCE, dry_run=True)
    worker = start()
    wait_for(lambda: worker_is_online())
    first = backfill(start)
    sandbox.faults.latency_seconds = 0.2
    sandbox.faults.before_list, killed = once(worker.kill, from_request=8)
    assert killed.wait(120)
    first.kill()
    sandbox.faults.latency_seconds = 0
    assert len(desk_of(engine)) < expected.counts[Outcome.IMPORTED]

    start()
    wait_for(lambda: worker_is_online())
    make_dead_runs_crash()
    done = backfill(start).result()

    assert done["code"] == 0, done["err"]
    assert states(engine) == ["done"] * 3
    assert done["report"]["fetched"] == expected.fetched
    assert len(desk_of(engine)) == expected.counts[Outcome.IMPORTED]


def test_a_window_that_fails_is_named_and_only_it_is_repeated(
    connected: Connected, engine: Engine, start: Callable[..., Group], sandbox: Sandbox
) -> None:
    expected = connected.manual_import(SINCE, dry_run=True)
    start()
    wait_for(lambda: worker_is_online())
    with engine.begin() as connection:
        connection.execute(
            text(
                "CREATE TRIGGER broken BEFORE UPDATE ON backfill_windows "
                "WHEN NEW.number = 2 AND NEW.state = 'done' BEGIN SELECT RAISE(FAIL, 'no'); END"
            )
        )
    done = backfill(start).result()
    assert done["code"] == 1
    assert "2 of 3 windows are done; window 2" in done["err"]
    assert states(engine) == ["done", "failed", "done"]

    with engine.begin() as connection:
        connection.execute(text("DROP TRIGGER broken"))
    requests = len(sandbox.store.requests)
    again = backfill(start).result()
    assert again["code"] == 0, again["err"]
    assert states(engine) == ["done"] * 3
    assert len(desk_of(engine)) == expected.counts[Outcome.IMPORTED]
    assert again["report"]["fetched"] == expected.fetched
    assert len(sandbox.store.requests) - requests < requests


def worker_is_online() -> bool:
    """Return whether a worker has said hello within the last seconds."""
    from datetime import UTC, datetime, timedelta

    from prefect.client.orchestration import get_client

    async def seen() -> bool:
        async with get_client() as client:
            workers = await client.read_workers_for_work_pool("desk")
        fresh = datetime.now(UTC) - timedelta(seconds=5)
        return any(worker.last_heartbeat_time and worker.last_heartbeat_time > fresh for worker in workers)

    return asyncio.run(seen())


def make_dead_runs_crash() -> None:
    """Do at once what the server's watch on dead runs does after 90 seconds of silence."""
    from prefect.client.orchestration import get_client
    from prefect.client.schemas.filters import (
        FlowRunFilter,
        FlowRunFilterState,
        FlowRunFilterStateType,
    )
    from prefect.client.schemas.objects import StateType
    from prefect.states import Crashed

    async def crash() -> None:
        running = FlowRunFilterStateType(any_=[StateType.RUNNING, StateType.PENDING])
        async with get_client() as client:
            runs = await client.read_flow_runs(
                flow_run_filter=FlowRunFilter(state=FlowRunFilterState(type=running))
            )
            for run in runs:
                await client.set_flow_run_state(run.id, Crashed(message="its process died"), force=True)

    asyncio.run(crash())
