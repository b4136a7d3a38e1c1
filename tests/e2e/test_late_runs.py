"""After a pause of the worker, one check does the work of all that were due meanwhile."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest

from tests.e2e.running import System, wait_for

pytestmark = pytest.mark.e2e
MISSED = 5


def test_late_checks_collapse_into_one(system: System) -> None:
    pool = f"late-{uuid4()}"
    deployment = system.copy_deployment("check-for-new-orders", pool)
    first = datetime.now(UTC) + timedelta(seconds=10)
    rule = f"DTSTART:{first:%Y%m%dT%H%M%S}\nRRULE:FREQ=SECONDLY;INTERVAL=1;COUNT={MISSED}"
    schedule = {"schedule": {"rrule": rule, "timezone": "UTC"}, "active": True}
    system.api("POST", f"/deployments/{deployment}/schedules", [schedule])
    missed = wait_for("the missed runs", lambda: _late(system, deployment))
    before = _checks(system)
    with system.worker(pool):
        runs = [system.finished(run["id"]) for run in missed]
    after = [check for check in _checks(system) if check not in before]
    assert sorted(check[1] for check in after) == sorted({check[1] for check in after})  # one of each
    assert "default" in {check[1] for check in after}
    assert {run["state_type"] for run in runs} <= {"COMPLETED", "CANCELLED"}
    messages = [run["state"]["message"] for run in runs]
    assert any("fetched" in message for message in messages)
    reasons = ("covers it", "nothing to do", "another run is at work")
    assert all("fetched" in message or any(why in message for why in reasons) for message in messages)


def _late(system: System, deployment: str) -> list[dict[str, Any]] | None:
    mine = {"deployments": {"id": {"any_": [deployment]}}, "sort": "EXPECTED_START_TIME_ASC"}
    runs: list[dict[str, Any]] = system.api("POST", "/flow_runs/filter", mine)
    now = datetime.now(UTC)
    due = [run for run in runs if datetime.fromisoformat(run["expected_start_time"]) < now]
    return due if len(due) == MISSED else None


def _checks(system: System) -> list[tuple[int, str]]:
    runs = json.loads(system.desk("runs", "--json"))
    return [(run["id"], run["integration"]) for run in runs if run["kind"] == "check"]
