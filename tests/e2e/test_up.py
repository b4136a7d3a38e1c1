"""`desk up` again and again: what a person changed stays, and nothing is left behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import httpx
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


def test_the_sandbox_keeps_to_itself_and_commands_find_it(tmp_path: Path) -> None:
    """As a new user has it: nothing is set, and no address is ever typed."""
    system = start_system(tmp_path, "--sandbox", "--check", DESK_DATABASE_URL="", PREFECT_HOME="")
    lines = system.output.splitlines()
    assert lines[0].startswith("pages:     http://127.0.0.1:")
    assert any(line.startswith("checks:    one runs now, the next at ") for line in lines)
    here = {"PREFECT_API_URL": ""}
    orders = system.run_desk("orders", "--json", **here)
    assert "Using the sandbox's desk" in orders.stderr
    wait_for(
        "the first check", lambda: len(json.loads(system.run_desk("orders", "--json", **here).stdout)) > 5
    )
    assert system.run_desk("settings", "--json", **here).returncode == 0
    own_page = {"Sec-Fetch-Site": "same-origin", "Origin": "null"}
    asked = httpx.post(f"{lines[0].split()[1]}/check", headers=own_page, follow_redirects=True, timeout=60)
    assert "a check was started" in asked.text
    by_name = {"flow_runs": {"name": {"any_": ["check from the page"]}}}
    wait_for("the check", lambda: system.api("POST", "/flow_runs/filter", by_name))
    real = system.run_desk("connect", "real", "--project", "real-123456", PODOS_API_TOKEN="x", **here)
    assert real.returncode == 2
    assert "invented orders" in real.stderr
    _stop(system, signal.SIGINT)

    after = system.run_desk("orders", "--json", **here)
    assert (json.loads(after.stdout), after.stderr) == ([], "")
    data = tmp_path / "home" / ".local" / "share" / "podos-order-desk"
    assert (data / "sandbox" / "desk.db").exists()
    settings = system.run_desk("settings", **here, PREFECT_SERVER_EPHEMERAL_ENABLED="false")
    assert "there is no integration 'default'" in settings.stderr
    home = {"PREFECT_HOME": str(data / "sandbox" / "prefect"), "PREFECT_SERVER_EPHEMERAL_ENABLED": "false"}
    kept = system.run_desk("settings", "--json", **here, **home)  # read from the files, without a server
    assert json.loads(kept.stdout)["project"] == "sandbox-100001", kept.stderr


def test_each_schedule_has_its_next_run_when_all_is_ready(tmp_path: Path) -> None:
    """Without Prefect's own planner, which comes by when it likes."""
    system = start_system(tmp_path, PREFECT_SERVER_SERVICES_SCHEDULER_ENABLED="false")
    try:
        scheduled = {"flow_runs": {"state": {"type": {"any_": ["SCHEDULED"]}}}}
        planned = {run["deployment_id"] for run in system.api("POST", "/flow_runs/filter", scheduled)}
        deployments = system.api("POST", "/deployments/filter", {})
        active = {
            deployment["id"]
            for deployment in deployments
            if any(schedule["active"] for schedule in deployment["schedules"])
        }
        assert len(active) >= 3
        assert planned == active
    finally:
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
