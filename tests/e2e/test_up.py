"""`desk up` again and again: what a person changed stays, and nothing is left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from deployments.sandbox.server import Sandbox, SandboxSettings
from deployments.stack.environment import ROOT
from deployments.stack.up import check_port
from tests.e2e.running import STOP_SECONDS, System, descendants, is_alive, kill, start_system, wait_for

pytestmark = pytest.mark.e2e
PREFECT = Path(sys.executable).with_name("prefect")


def test_a_changed_schedule_stays_and_nothing_is_left_behind(tmp_path: Path) -> None:
    system = start_system(tmp_path)
    deployment = system.deployment("check-for-new-orders")
    (schedule,) = deployment["schedules"]
    assert (schedule["schedule"]["cron"], schedule["active"]) == ("*/15 * * * *", True)
    path = f"/deployments/{deployment['id']}/schedules"
    changed = {"schedule": {"cron": "7 * * * *", "timezone": "Europe/London"}, "active": False}
    system.api("PATCH", f"{path}/{schedule['id']}", changed)
    system.api("POST", path, [{"schedule": {"interval": 86_400}, "active": True}])
    _stop(system, signal.SIGINT)

    system = start_system(tmp_path, port=system.port)
    schedules = system.deployment("check-for-new-orders")["schedules"]
    kept = {
        (schedule["schedule"].get("cron"), schedule["schedule"].get("interval"), schedule["active"])
        for schedule in schedules
    }
    assert kept == {("7 * * * *", None, False), (None, 86_400.0, True)}
    with Sandbox(SandboxSettings(orders=20)) as sandbox:
        system.desk(
            "connect", "--project", sandbox.project, "--base-url", sandbox.url, PODOS_API_TOKEN=sandbox.token
        )
        sandbox.faults.latency_seconds = 20
        manual = system.deployment("manual-import")["id"]
        run = system.start_run(manual, {"request": {"since": "2020-01-01"}})
        wait_for("the run", lambda: system.flow_run(run)["state_type"] == "RUNNING")
        _stop(system, signal.SIGTERM)


def _stop(system: System, number: signal.Signals) -> None:
    """Send a signal to `desk up` alone, as Ctrl-C and service managers do; all it started must end."""
    processes = descendants(system.process.pid)
    assert len(processes) >= 2
    os.kill(system.process.pid, number)
    try:
        assert system.process.wait(STOP_SECONDS) == 0, system.output
        assert [pid for pid in processes if is_alive(pid)] == []
    finally:
        kill(*processes, system.process.pid)
    check_port(system.port)


def test_deploy_needs_no_answer_no_git_and_no_docker(system: System, tmp_path: Path) -> None:
    """In a directory that is no checkout, with nothing but Python on the path."""
    done = subprocess.run(
        [PREFECT, "--no-prompt", "deploy", "--all", "--prefect-file", ROOT / "prefect.yaml"],
        cwd=ROOT,
        env=system.environment | {"PATH": str(tmp_path)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    for name in ("check-for-new-orders", "manual-import"):
        assert system.deployment(name)["work_pool_name"] == "desk"


def test_workers_start_a_run_with_this_very_python_and_no_supervisor_before_it(system: System) -> None:
    template = system.api("GET", "/work_pools/desk")["base_job_template"]
    assert template["job_configuration"]["command"] == "{{ command }}"
    assert template["variables"]["properties"]["command"]["default"] == f"{sys.executable} -m prefect.engine"


def test_the_demo_shows_the_report() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "deployments.stack.demo"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    for words in ("Imported", "Needs Attention", "Rejected", ".demo/desk.db"):
        assert words in done.stdout
