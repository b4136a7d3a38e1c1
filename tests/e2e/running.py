"""A running system, and what tests ask it."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import httpx
import pytest

from deployments.stack.environment import PREFECT_DEFAULTS, ROOT

DESK = Path(sys.executable).with_name("desk")
START_SECONDS = 120
RUN_SECONDS = 120
STOP_SECONDS = 60
FULFILLER_SECRET = "canary-of-a-fulfiller-4712"
Found = TypeVar("Found")


def wait_for(
    what: str, find: Callable[[], Found | None], seconds: float = RUN_SECONDS, pause: float = 0.3
) -> Found:
    """Ask again and again until there is something; fail after so many seconds."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if found := find():
            return found
        time.sleep(pause)
    pytest.fail(f"{what}: not within {seconds:.0f} seconds")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


@dataclass
class System:
    """A running `desk up` and its places."""

    place: Path
    port: int
    process: subprocess.Popen[bytes]
    extra: list[Path] = field(default_factory=list)
    """Outputs of what was started beside it."""
    variables: dict[str, str] = field(default_factory=dict)
    """What its processes find in their environment beside the usual."""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def home(self) -> Path:
        return self.place / "prefect"

    @property
    def output(self) -> str:
        return (self.place / "up.log").read_text()

    @property
    def environment(self) -> dict[str, str]:
        return environment(self.place) | {"PREFECT_API_URL": f"{self.url}/api"} | self.variables

    def call(self, method: str, path: str, body: Any = None) -> httpx.Response:
        """Send a request to Prefect's API; it answers 503, or late, while its database is busy."""
        address = f"{self.url}/api{path}"
        lateness = (httpx.TimeoutException,) if method == "GET" else ()
        for pause in (0.5, 1, 2, 4, 8):
            with suppress(*lateness):
                response = httpx.request(method, address, json=body, timeout=30 if method == "GET" else 90)
                if response.status_code != 503:
                    return response
            time.sleep(pause)
        return httpx.request(method, address, json=body, timeout=90)

    def api(self, method: str, path: str, body: Any = None) -> Any:
        """Send a request that must succeed and return what it answers."""
        response = self.call(method, path, body)
        assert response.is_success, f"{method} {path}: {response.status_code} {response.text[:500]}"
        return response.json() if response.content else None

    def desk(self, *arguments: str, code: int = 0, **variables: str) -> str:
        """Run a command of the desk and return what stands on stdout."""
        done = self.run_desk(*arguments, **variables)
        assert done.returncode == code, f"desk {arguments}: {done.returncode} {done.stdout} {done.stderr}"
        return done.stdout

    def run_desk(self, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        """Run a command of the desk, whatever comes of it."""
        return self._run(DESK, arguments, variables)

    def run_prefect(self, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        """Run a command of Prefect, whatever comes of it."""
        return self._run(DESK.with_name("prefect"), arguments, variables)

    def _run(
        self, program: Path, arguments: tuple[str, ...], variables: dict[str, str]
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [program, *arguments],
            env=self.environment | variables,
            capture_output=True,
            text=True,
            timeout=RUN_SECONDS,
            check=False,
        )

    def orders_in(self, folder: str) -> int:
        found = json.loads(self.desk("folders", "--json"))
        return next((row["orders"] for row in found if row["name"] == folder), 0)

    def deployment(self, name: str) -> dict[str, Any]:
        found: dict[str, Any] = self.api("GET", f"/deployments/name/{name}/{name}")
        return found

    def stop_schedules(self, *deployments: dict[str, Any]) -> None:
        """Let nothing start by itself."""
        for deployment in deployments:
            for schedule in deployment["schedules"]:
                path = f"/deployments/{deployment['id']}/schedules/{schedule['id']}"
                self.api("PATCH", path, {"active": False})

    def copy_deployment(self, name: str, pool: str, /, **changes: Any) -> str:
        """Put a deployment like another one into a pool of its own, and return its id."""
        template = self.api("GET", "/work_pools/desk")["base_job_template"]
        made = self.call(
            "POST", "/work_pools/", {"name": pool, "type": "process", "base_job_template": template}
        )
        assert made.status_code in {201, 409}
        kept = (
            "flow_id",
            "entrypoint",
            "pull_steps",
            "job_variables",
            "parameters",
            "parameter_openapi_schema",
        )
        body = {key: value for key, value in self.deployment(name).items() if key in kept}
        body |= {"name": f"{name}-{pool}", "work_pool_name": pool} | changes
        return str(self.api("POST", "/deployments/", body)["id"])

    def start_run(self, deployment_id: str, parameters: dict[str, Any], **variables: str) -> str:
        """Start a run, with these variables in its environment, and return its id."""
        body: dict[str, Any] = {"parameters": parameters, "state": {"type": "SCHEDULED"}}
        body |= {"job_variables": {"env": variables}} if variables else {}
        return str(self.api("POST", f"/deployments/{deployment_id}/create_flow_run", body)["id"])

    def flow_run(self, run_id: str) -> dict[str, Any]:
        run: dict[str, Any] = self.api("GET", f"/flow_runs/{run_id}")
        return run

    def finished(self, run_id: str, seconds: float = RUN_SECONDS) -> dict[str, Any]:
        """Wait until a run has ended and return it."""
        ends = {"COMPLETED", "FAILED", "CRASHED", "CANCELLED"}

        def ended() -> dict[str, Any] | None:
            run = self.flow_run(run_id)
            return run if run["state_type"] in ends else None

        return wait_for(f"the end of run {run_id}", ended, seconds)

    @contextmanager
    def worker(self, pool: str, **variables: str) -> Iterator[subprocess.Popen[bytes]]:
        """A worker of a pool beside the system's own; killed with all it started, if it still lives."""
        log = self.place / f"worker-{pool}.log"
        self.extra.append(log)
        command = [sys.executable, "-m", "prefect", "worker", "start", "--pool", pool, "--limit", "4"]
        with log.open("wb") as output:
            process = subprocess.Popen(
                command,
                cwd=ROOT,
                env=PREFECT_DEFAULTS | self.environment | variables,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        try:
            yield process
        finally:
            process.terminate()
            try:
                process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                kill(*descendants(process.pid), process.pid)
                process.wait()


def environment(place: Path) -> dict[str, str]:
    """The environment of a machine where nothing of Prefect or the desk is set up."""
    clean = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("PREFECT_", "DESK_", "PODOS_"))
    }
    return clean | {
        "HOME": str(place / "home"),
        "TMPDIR": str(place / "tmp"),
        "PREFECT_HOME": str(place / "prefect"),
        "DESK_DATABASE_URL": f"sqlite:///{place / 'desk.db'}",
    }


def start_system(place: Path, *options: str, port: int | None = None, **variables: str) -> System:
    """Start `desk up`, with these variables too, and wait until it says that all is ready.

    It makes no password of its own unless told to, whoever has an account on the machine of the tests, and
    checks nothing at the start.
    """
    port = port or free_port()
    if "--password" not in options:
        options = (*options, "--no-password")
    if "--check" not in options:
        options = (*options, "--no-check")
    if "--web-port" not in options:
        options = (*options, "--web-port", str(free_port()))
    for directory in ("home", "tmp"):
        (place / directory).mkdir(exist_ok=True)
    with (place / "up.log").open("wb") as output:
        process = subprocess.Popen(
            [DESK, "up", "--port", str(port), *options],
            env=environment(place) | variables,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    system = System(place, port, process, variables=variables)

    def ready() -> bool:
        assert process.poll() is None, f"desk up ended: {system.output}"
        return "Ctrl-C stops all of it" in system.output

    try:
        wait_for("desk up", ready, START_SECONDS)
    except BaseException:
        process.terminate()
        raise
    return system


def descendants(pid: int) -> list[int]:
    """The processes that a process started, and those that they started, from /proc."""
    parents: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                status = (entry / "stat").read_text().rpartition(")")[2].split()
            except OSError:  # it has ended
                continue
            if status[0] != "Z":
                parents.setdefault(int(status[1]), []).append(int(entry.name))
    found = list(parents.get(pid, []))
    for answer in found:
        found.extend(parents.get(answer, []))
    return found


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def kill(*pids: int) -> None:
    """End processes of ours, as a power cut does."""
    for pid in pids:
        if is_alive(pid):
            os.kill(pid, signal.SIGKILL)
