"""What a soak plays on: podOS and printer, disk, databases, Prefect server and worker, all connected."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import httpx

from deployments.stack.environment import PREFECT_DEFAULTS, ROOT
from tests.e2e.running import DESK, environment, free_port
from tests.soak.actors import Service
from tests.soak.lanes import FULFILLER, Lane, Runs
from tests.soak.places import Postgres, SmallDisk
from tests.soak.podos import SECRET

CLI, WORKER = "cli", "worker"
PROJECTS = {CLI: "soak-sqlite-100001", WORKER: "soak-postgres-200002"}
SERVER_SECONDS = 180.0
_RUN_EVERY_SECONDS = 12.0
Closing = TypeVar("Closing")


@dataclass(frozen=True)
class Options:
    """How a soak is run.

    Attributes:
        seed: of the plan, the orders and the traffic.
        seconds: how long the storm lasts.
        orders: in each podOS at first.
        orders_per_second: about how many appear in each podOS.
        with_worker: whether a second desk, on PostgreSQL, is filled by a Prefect worker.
        kill_every_seconds: about how often a process is killed.
        disk_megabytes: size of the file system of the SQLite desk.
        prefect_api: a Prefect server that runs already and is not killed; empty: one of the soak's own.
    """

    seed: int = 1
    seconds: float = 600.0
    orders: int = 400
    orders_per_second: float = 2.0
    with_worker: bool = True
    kill_every_seconds: float = 15.0
    disk_megabytes: int = 160
    prefect_api: str = ""


class Stage:
    """Starts all of it and stops it at the end; use it with ``with``."""

    def __init__(self, options: Options, place: Path) -> None:
        self.options = options
        self._place = place
        self._stack = ExitStack()
        self._services: dict[str, Service] = {}
        self._runs: Runs | None = None
        self._postgres: Postgres | None = None

    def __exit__(self, *_error: object) -> None:
        """Stop everything that still runs."""
        self._stack.close()

    def _start(self) -> None:
        for name in ("home", "tmp"):
            (self._place / name).mkdir()
        names = [CLI, WORKER] if self.options.with_worker else [CLI]
        self._podos = self._start_podos([PROJECTS[name] for name in names])
        self.disk = self._closing(SmallDisk(self._place / "disk", self.options.disk_megabytes))
        api = self.options.prefect_api or f"http://127.0.0.1:{free_port()}/api"
        self._environment = PREFECT_DEFAULTS | environment(self._place)
        self._environment |= {"PREFECT_API_URL": api, "FULFILLER_SECRET": SECRET}
        if not self.options.prefect_api:
            self._start_prefect(api)
        urls = {CLI: f"sqlite:///{self.disk.path / 'desk.db'}"}
        if self.options.with_worker:
            self._postgres = self._closing(Postgres())
            urls[WORKER] = self._postgres.url
        self._lanes = {
            name: self._closing(Lane(name, PROJECTS[name], url, self._environment, self._place))
            for name, url in urls.items()
        }
        for name, lane in self._lanes.items():
            address, token = self._addresses["projects"][lane.project]
            words = ("--project", lane.project, "--base-url", address)
            self._desk(lane, "connect", self._integration(name), *words, PODOS_API_TOKEN=token)
        self._desk(
            self._lanes[CLI],
            "fulfillers",
            "add",
            "webhook",
            FULFILLER,
            "--address",
            self._addresses["printer"],
        )
        self._desk(self._lanes[CLI], "check", self._integration(CLI))
        if self.options.with_worker:
            self._start_worker(api)

    def _integration(self, lane: str) -> str:
        return f"soak-{lane}"

    def _closing(self, thing: Closing) -> Closing:
        self._stack.callback(thing.close)  # type: ignore[attr-defined]
        return thing

    def _start_podos(self, projects: list[str]) -> subprocess.Popen[str]:
        options = self.options
        facts = (options.seed, options.orders, options.orders_per_second)
        command = [sys.executable, "-m", "tests.soak.podos", *map(str, facts), *projects]
        process = self._stack.enter_context(
            subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        )
        self._stack.callback(process.kill)  # before it is waited for
        assert process.stdout is not None
        self._addresses: dict[str, Any] = json.loads(process.stdout.readline())
        return process

    def _tell_podos(self, command: Mapping[str, Any]) -> None:
        process = self._podos
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(json.dumps(command) + "\n")
        process.stdin.flush()
        process.stdout.readline()

    def _service(
        self, name: str, command: list[str], is_ready: Callable[[], bool], **variables: str
    ) -> Service:
        service = Service(
            [sys.executable, "-m", *command],
            self._environment | variables,
            self._place / f"{name}.log",
            is_ready,
        )
        self._stack.callback(service.stop)
        self._services[name] = service
        return service

    def _start_prefect(self, api: str) -> None:
        def answers() -> bool:
            with suppress(httpx.HTTPError):
                return httpx.get(f"{api}/health", timeout=5).is_success
            return False

        port = api.rsplit(":", 1)[1].split("/")[0]
        command = [
            "deployments.stack.prefect_server",
            "server",
            "start",
            "--host",
            "127.0.0.1",
            "--port",
            port,
        ]
        self._service("server", command, answers).start(SERVER_SECONDS)
        subprocess.run([DESK, "deploy"], env=self._environment, check=True, stdout=subprocess.DEVNULL)

    def _start_worker(self, api: str) -> None:
        names = ("check-for-new-orders", "sync-tracking")
        self._runs = Runs(api, names, self._integration(WORKER), _RUN_EVERY_SECONDS)
        self._runs.switch_schedules_off()
        command = ["prefect", "worker", "start", "--pool", "desk", "--limit", "3"]
        url = self._lanes[WORKER].url
        self._service("worker", command, lambda: True, DESK_DATABASE_URL=url).start()

    def _desk(self, lane: Lane, *words: str, **variables: str) -> str:
        """Run a command that must succeed."""
        done = subprocess.run(
            [DESK, *words],
            cwd=ROOT,
            env=lane.environment | variables,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            raise SystemExit(f"desk {' '.join(words)}: {done.returncode} {done.stdout} {done.stderr}")
        return done.stdout
