"""Run a soak: start everything, let the plan happen, calm down, compare."""

from __future__ import annotations

import json
import threading
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from tests.e2e.running import DESK
from tests.soak.actors import Repeated
from tests.soak.compare import AttemptOutcome, compare
from tests.soak.lanes import FULFILLER, Lane
from tests.soak.plan import Event, make_plan
from tests.soak.stage import CLI, SERVER_SECONDS, WORKER, Options, Stage

SERVICES = ("run", "worker", "server", "postgres")
_CALM_ROUNDS = 6


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
    verdicts: dict[str, AttemptOutcome] = field(default_factory=dict)
    reconciled: dict[str, dict[str, Any]] = field(default_factory=dict)
    resent: Counter[str] = field(default_factory=Counter)
    sent_twice: list[str] = field(default_factory=list)

    @property
    def is_lossless(self) -> bool:
        """Whether nothing was missed, doubled, lost or sent twice, and every error was a sentence."""
        losses = [ids for verdict in self.verdicts.values() for ids in verdict.losses.values()]
        return not (any(losses) or self.sent_twice or self.tracebacks or self.known["printer"]["problems"])


class Soak(Stage):
    """One soak; use it with ``with``."""

    def __init__(self, options: Options, place: Path) -> None:
        super().__init__(options, place)
        self.outcome = Outcome(options)
        self._repeated: dict[str, Repeated] = {}
        self._revivals: list[threading.Thread] = []

    def __enter__(self) -> Soak:
        """Start podOS, disk, databases and Prefect, and connect."""
        try:
            self._start()
        except BaseException:
            self._stack.close()
            raise
        return self

    def run(self) -> Outcome:
        """Let the plan happen, calm down and compare."""
        self._begin_work()
        self._storm()
        self._end_work()
        self._calm()
        return self.outcome

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
        for order in self._repeated.values():
            order.start()
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
        if self._postgres:
            self._postgres.start()  # on a busy machine an earlier start can have timed out
        if self._runs:
            self._runs.stop()
            self.outcome.runs_started = self._runs.started
        for order in self._repeated.values():
            order.stop()
        if worker := self._services.get("worker"):
            worker.stop()
        if server := self._services.get("server"):
            server.kill()
            server.start(SERVER_SECONDS)

    def _calm(self) -> None:
        """Let each desk catch up as it does on a quiet day, then compare."""
        for name, lane in self._lanes.items():
            self._catch_up(name, lane)
        dump = self._place / "podos.json"
        self._tell_podos({"do": "dump", "path": str(dump)})
        outcome = self.outcome
        outcome.known = json.loads(dump.read_text())
        outcome.disk_full_seconds, outcome.disk_reason = self.disk.full_seconds, self.disk.reason
        for order in self._repeated.values():
            outcome.commands[order.name] = order.outcomes
            outcome.tracebacks += order.tracebacks
        taken = Counter(outcome.known["printer"]["taken"].values())
        outcome.sent_twice = sorted(id_ for id_, count in taken.items() if count > 1)
        for name, lane in self._lanes.items():
            known = outcome.known["projects"][lane.project]
            outcome.verdicts[name] = compare(known, lane.url, lane.project, lane.told)

    def _catch_up(self, name: str, lane: Lane) -> None:
        integration = self._integration(name)
        lane.environment["DESK_LOOK_BACK_EVERY_MINUTES"] = "0"  # as if an hour had passed
        desk = lane.repeated("check", integration)
        desk.once([str(DESK), "check", integration])
        lane.ship_once_more(desk)
        before: list[str] = []
        for _ in range(_CALM_ROUNDS):
            found = json.loads(self._desk(lane, "shipments", "--json"))
            waiting = [str(row["id"]) for row in found if row["state"] in {"waiting", "failed"}]
            if waiting in ([], before):  # none, or those that podOS shows as refunded
                break
            before = waiting
            self._desk(lane, "shipments", "resend", *waiting)
            desk.once([str(DESK), "sync", integration])
        _, out = desk.once([str(DESK), "reconcile", integration, "--json"])
        with suppress(ValueError):
            self.outcome.reconciled[name] = json.loads(out)
        self.outcome.commands[f"at the end, {name}"] = desk.outcomes
        self.outcome.tracebacks += desk.tracebacks
