"""A run whose worker and process die together: shown as Crashed, and in nobody's way."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime

import pytest

from deployments.sandbox.server import Sandbox
from tests.e2e.running import System, descendants, is_alive, kill, wait_for

pytestmark = pytest.mark.e2e
CRASHED_WITHIN_SECONDS = 120


@dataclass
class Victim:
    """A run that was killed with its worker."""

    run_id: str
    killed_at: datetime


@pytest.fixture(scope="session")
def victim(system: System, slow_sandbox: Sandbox) -> Victim:
    """A check that is in the middle of a slow answer when the power goes."""
    deployment = system.copy_deployment("check-for-new-orders", "doomed")
    slow_sandbox.faults.latency_seconds = 10
    with system.worker("doomed") as worker:
        run_id = system.start_run(deployment, {"integration": "slow"})
        wait_for("the desk's row of the run", lambda: runs_of_slow(system, "running"))
        doomed = [worker.pid, *descendants(worker.pid)]
        kill(*doomed)
        killed_at = datetime.now(UTC)
        wait_for("their end", lambda: not any(map(is_alive, doomed)))
    slow_sandbox.faults.reset()
    assert system.flow_run(run_id)["state_type"] == "RUNNING"
    return Victim(run_id, killed_at)


def runs_of_slow(system: System, state: str) -> list[int]:
    runs = json.loads(system.desk("runs", "--json"))
    return [run["id"] for run in runs if run["integration"] == "slow" and run["state"] == state]


def test_the_next_check_is_not_held_up(system: System, slow_sandbox: Sandbox, victim: Victim) -> None:
    report = json.loads(system.desk("check", "slow", "--json"))
    assert report["imported"] == system.orders_in("Slow orders") + report["needs_attention"] > 0
    assert len(runs_of_slow(system, "crashed")) == 1


def test_the_dead_run_shows_as_crashed_within_two_minutes(system: System, victim: Victim) -> None:
    run = system.finished(victim.run_id, CRASHED_WITHIN_SECONDS)
    assert run["state_type"] == "CRASHED"
    assert "its process died" in run["state"]["message"]
    noticed = datetime.fromisoformat(run["state"]["timestamp"])
    assert (noticed - victim.killed_at).total_seconds() < CRASHED_WITHIN_SECONDS
