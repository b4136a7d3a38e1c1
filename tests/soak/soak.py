"""Run a soak: start everything, let the plan happen, calm down, compare."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

import httpx

from deployments.environment import PREFECT_DEFAULTS, ROOT
from tests.e2e.running import DESK, environment, free_port
from tests.soak.actors import Repeated, Service
from tests.soak.compare import Verdict, compare
from tests.soak.lanes import FULFILLER, Lane, Runs
from tests.soak.places import Postgres, SmallDisk
from tests.soak.plan import Event, make_plan
from tests.soak.podos import SECRET

CLI, WORKER = "cli", "worker"
PROJECTS = {CLI: "soak-sqlite-100001", WORKER: "soak-postgres-200002"}
SERVICES = ("run", "worker", "server", "postgres")
_SERVER_SECONDS = 180.0
_RUN_EVERY_SECONDS = 12.0
_CALM_ROUNDS = 6
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


@dataclass
class Outcome:
    """What a soak came to."""

    options: Options
    kills: Counter[str] = field(default_factory=Counter)
    not_there_to_kill: Counter[str] = field(default_factory=Counter)
    jumps: int = 0
    disk_full_seconds: float = 0.0
    disk_reason: str = ""
    runs_started: int = 0
    commands: dict[str, Counter[str]] = field(default_factory=dict)
    tracebacks: list[str] = field(default_factory=list)
    known: dict[str, Any] = field(default_factory=dict)
    verdicts: dict[str, Verdict] = field(default_factory=dict)
    reconciled: dict[str, dict[str, Any]] = field(default_factory=dict)
    resent: Counter[str] = field(default_factory=Counter)
    sent_twice: list[str] = field(default_factory=list)

    @property
    def is_lossless(self) -> bool:
        """Whether nothing was missed, doubled, lost or sent twice, and every error was a sentence."""
        losses = [ids for verdict in self.verdicts.values() for ids in verdict.losses.values()]
        return not (any(losses) or self.sent_twice or self.tracebacks or self.known["printer"]["problems"])


class Soak:
    """One soak; use it with ``with``."""

    def __init__(self, options: Options, place: Path) -> None:
        self.options = options
        self.outcome = Outcome(options)
        self._place = place
        self._stack = ExitStack()
        self._services: dict[str, Service] = {}
        self._repeated: dict[str, Repeated] = {}
        self._revivals: list[threading.Thread] = []
        self._runs: Runs | None = None
        self._postgres: Postgres | None = None

    def __enter__(self) -> Soak:
        """Start podOS, disk, databases and Prefect, and connect."""
        try:
            self._start()
        except BaseException:
            self._stack.close()
            raise
        return self

    def __exit__(self, *_error: object) -> None:
        """Stop everything that still runs."""
        self._stack.close()

    def run(self) -> Outcome:
        """Let the plan happen, calm down and compare."""
        self._begin_work()
        self._storm()
        self._end_work()
        self._calm()
        return self.outcome

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
        process = subprocess.Popen(
            command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self._stack.callback(process.kill)
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
        command = ["deployments.prefect_server", "server", "start", "--host", "127.0.0.1", "--port", port]
        self._service("server", command, answers).start(_SERVER_SECONDS)
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

    def _begin_work(self) -> None:
        cli, integration = self._lanes[CLI], self._integration(CLI)
        long_ago = f"{datetime.now(UTC) - timedelta(days=60):%Y-%m-%d}"
        self._repeated = {
            "check": cli.repeated("check", integration, pause_seconds=1.0),
            "sync": cli.repeated("sync", integration, pause_seconds=2.0),
            "ship": cli.shipping(),
            "import": cli.repeated("import", integration, "--since", long_ago, pause_seconds=15.0),
            "send": cli.repeated("send", "--folder", "New", "--to", FULFILLER, pause_seconds=8.0),
        }
        if self.options.with_worker:
            self._repeated["ship to postgres"] = self._lanes[WORKER].shipping()
        self._tell_podos({"do": "start"})
        for one in self._repeated.values():
            one.start()
        if self._runs:
            self._runs.start()

    def _storm(self) -> None:
        options = self.options
        services = SERVICES if options.with_worker else ()
        plan = make_plan(
            options.seed, options.seconds, list(self._repeated), services, options.kill_every_seconds
        )
        began = time.monotonic()
        for event in [*plan, Event(self.options.seconds, "end", {})]:
            while (left := began + event.at - time.monotonic()) > 0:
                if self.disk.is_full:
                    self.disk.fill()
                time.sleep(min(left, 0.5))
            self._happen(event)

    def _happen(self, event: Event) -> None:
        match event.kind:
            case "kill":
                self._kill(event.facts["target"], event.facts["down_seconds"])
            case "disk":
                (self.disk.fill if event.facts["full"] else self.disk.free)()
            case "faults" | "clock":
                self._tell_podos({"do": event.kind, **event.facts})
                self.outcome.jumps += event.kind == "clock"

    def _kill(self, target: str, down_seconds: float) -> None:
        if target in self._repeated:
            repeated = self._repeated[target]
            is_killed, revive = repeated.kill(), repeated.resume
        elif target == "run":
            is_killed, revive = self._services["worker"].kill_a_child(), lambda: None
        elif target == "postgres":
            assert self._postgres is not None
            self._postgres.kill()
            is_killed, revive = True, self._postgres.start
        else:
            is_killed, revive = self._services[target].kill(), self._services[target].start
        (self.outcome.kills if is_killed else self.outcome.not_there_to_kill)[target] += 1
        revival = threading.Timer(down_seconds, revive)
        revival.start()
        self._revivals.append(revival)

    def _end_work(self) -> None:
        self._tell_podos({"do": "calm"})
        self.disk.free()
        for revival in self._revivals:
            revival.join()
        if self._runs:
            self._runs.stop()
            self.outcome.runs_started = self._runs.started
        for one in self._repeated.values():
            one.stop()
        if worker := self._services.get("worker"):
            worker.stop()
        if server := self._services.get("server"):
            server.kill()
            server.start(_SERVER_SECONDS)

    def _calm(self) -> None:
        """Let each desk catch up as it does on a quiet day, then compare."""
        for name, lane in self._lanes.items():
            self._catch_up(name, lane)
        dump = self._place / "podos.json"
        self._tell_podos({"do": "dump", "path": str(dump)})
        outcome = self.outcome
        outcome.known = json.loads(dump.read_text())
        outcome.disk_full_seconds, outcome.disk_reason = self.disk.full_seconds, self.disk.reason
        for one in self._repeated.values():
            outcome.commands[one.name] = one.outcomes
            outcome.tracebacks += one.tracebacks
        taken = Counter(outcome.known["printer"]["taken"].values())
        outcome.sent_twice = sorted(id_ for id_, count in taken.items() if count > 1)
        for name, lane in self._lanes.items():
            known = outcome.known["projects"][lane.project]
            outcome.verdicts[name] = compare(known, lane.url, lane.project, lane.told)

    def _catch_up(self, name: str, lane: Lane) -> None:
        integration = self._integration(name)
        desk = lane.repeated("check", integration)
        desk.once([str(DESK), "check", integration])
        lane.ship_once_more(desk)
        before: list[str] = []
        for _ in range(_CALM_ROUNDS):
            found = json.loads(self._desk(lane, "shipments", "--json"))
            waiting = [str(one["id"]) for one in found if one["state"] in {"waiting", "failed"}]
            if waiting == before:  # none, or those that podOS shows as refunded
                break
            before = waiting
            self._desk(lane, "shipments", "resend", *waiting)
            desk.once([str(DESK), "sync", integration])
        _, out = desk.once([str(DESK), "reconcile", integration, "--json"])
        with suppress(ValueError):
            self.outcome.reconciled[name] = json.loads(out)
        self.outcome.commands[f"at the end, {name}"] = desk.outcomes
        self.outcome.tracebacks += desk.tracebacks
