"""Several processes at one desk, and processes that die: real ones, killed for real."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, text

from deployments.sandbox.receiver import Receiver
from deployments.sandbox.server import Sandbox, SandboxSettings
from deployments.sandbox.store import Store
from tasks.desk.browse import export_orders
from tests.support.commands import RunDesk
from tests.support.connected import Connected
from tests.support.sending import SECRET, queue, states

ORDERS = 2500


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    """A sandbox podOS with orders for several batches."""
    with Sandbox(SandboxSettings(orders=ORDERS, seed=5)) as sandbox:
        yield sandbox


@pytest.fixture
def desk_process(cli_database: Path) -> Callable[..., subprocess.Popen[str]]:
    """Start `desk ...` as a process of its own, on the test's Prefect server and desk."""
    from prefect.settings import get_current_settings

    environment = {
        **os.environ,
        "PREFECT_API_URL": str(get_current_settings().api.url),
        "PREFECT_SERVER_ALLOW_EPHEMERAL_MODE": "false",
    }

    def start(*args: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-c", "from deployments.cli.app import main; main()", *args]
        return subprocess.Popen(
            command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )

    return start


class Trap:
    """Fires once, before podOS answers its n-th list request."""

    def __init__(self, at_request: int, act: Callable[[], Any]) -> None:
        self._at_request = at_request
        self._act = act
        self._seen = 0
        self.sprung = threading.Event()

    def __call__(self, _store: Store, _number: int) -> None:
        """Count a request and act on the n-th."""
        self._seen += 1
        if self._seen == self._at_request:
            self._act()
            self.sprung.set()


def imported(engine: Engine) -> dict[str, Any]:
    """All orders, but for the numbers and moments of their import."""
    return {
        order["source_id"]: {key: value for key, value in order.items() if key not in {"id", "imported_at"}}
        for order in export_orders(engine)
    }


def test_killed_at_any_batch_and_started_again_it_ends_in_the_same_desk(
    connected: Connected, engine: Engine, desk_process: Any, sandbox: Sandbox
) -> None:
    dry = connected.manual_import("2020-01-01", dry_run=True)
    sandbox.store.log.clear()
    for at_request in (2, 15, 30):
        process: list[subprocess.Popen[str]] = []
        trap = Trap(at_request, lambda process=process: process[0].kill())  # type: ignore[misc]
        process.append(desk_process("check"))
        sandbox.faults.before_list = trap
        process[0].communicate(timeout=120)
        assert trap.sprung.is_set()
        assert process[0].returncode == -signal.SIGKILL
        sandbox.faults.before_list = None

    report = connected.check()

    assert len(imported(engine)) == dry.as_dict()["imported"]
    assert report.counts == dry.counts | {
        outcome: report.counts[outcome] for outcome in report.counts if "imported" in outcome
    }
    with engine.connect() as connection:
        states = connection.execute(text("SELECT state FROM import_runs ORDER BY id")).scalars().all()
        orphans = "SELECT count(*) FROM orders WHERE id NOT IN (SELECT order_id FROM order_items)"
        without_items = connection.execute(text(orphans)).scalar()
    assert states[-1] == "completed"
    assert set(states[:-1]) <= {"crashed"}
    assert without_items == sum(not order["items"] for order in imported(engine).values())


def test_two_imports_at_once_make_each_order_once(
    connected: Connected, engine: Engine, desk_process: Any
) -> None:
    processes = [desk_process("import", "--since", "2020-01-01", "--json") for _ in range(2)]
    outputs = [process.communicate(timeout=120) for process in processes]

    import json

    assert [process.returncode for process in processes] == [0, 0], outputs
    reports = [json.loads(out) for out, _ in outputs]
    orders = imported(engine)
    assert sum(report["imported"] for report in reports) == len(orders) > 1000
    assert all(report["imported"] + report["already_imported"] == len(orders) for report in reports)


def test_ctrl_c_in_the_middle_ends_with_a_word_and_keeps_what_was_done(
    connected: Connected, engine: Engine, desk_process: Any, sandbox: Sandbox
) -> None:
    process: list[subprocess.Popen[str]] = []
    sandbox.faults.before_list = Trap(25, lambda: process[0].send_signal(signal.SIGINT))
    sandbox.faults.latency_seconds = 0.02
    process.append(desk_process("check"))
    _, err = process[0].communicate(timeout=120)

    assert process[0].returncode == 130, err
    assert "Traceback" not in err
    assert "stopped" in err
    sandbox.faults.reset()
    sandbox.faults.before_list = None
    connected.check()
    with engine.connect() as connection:
        states = connection.execute(text("SELECT state FROM import_runs ORDER BY id")).scalars().all()
    assert states == ["crashed", "completed"]


class SlowReceiver(Receiver):
    """Answers no post before it may."""

    def __init__(self) -> None:
        super().__init__(SECRET)
        self.asked, self.may_answer = threading.Event(), threading.Event()

    async def _answer(self, *args: Any) -> bool:
        self.asked.set()
        await asyncio.to_thread(self.may_answer.wait, 60)
        return await super()._answer(*args)


def test_a_second_process_does_not_send_while_one_does(
    desk_command: RunDesk, engine: Engine, desk_process: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FULFILLER_SECRET", SECRET)
    queue(engine, 30, "printer")
    with SlowReceiver() as receiver:
        added = desk_command("fulfillers", "add", "webhook", "printer", "--address", receiver.url)
        assert added.code == 0, added.err
        first = desk_process("send", "--to", "printer")
        assert receiver.asked.wait(60)
        second = desk_process("send", "--to", "printer")
        _, said = second.communicate(timeout=60)
        assert first.poll() is None
        receiver.may_answer.set()
        _, err = first.communicate(timeout=60)
    assert (first.returncode, second.returncode) == (0, 1), err + said
    assert "another run is at work on it since" in said
    assert len(receiver.taken) == sum(receiver.posts.values()) == 30
    assert states(engine) == [("sent", None, 1)] * 30
