"""The other side of a soak in a process of its own: a podOS for each lane, and a printer that takes orders.

``python -m tests.soak.podos SEED ORDERS RATE PROJECT...``: prints where it listens, then obeys one JSON
command a line on stdin, answering each with a line. ``dump`` writes all that it knows into a file.
"""

from __future__ import annotations

import json
import random
import sys
import threading
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from deployments.sandbox.churn import Churn, churn
from deployments.sandbox.receiver import Receiver
from deployments.sandbox.server import Sandbox, SandboxSettings

SECRET = "a secret of the soak"
_LOG_LIMIT = 2_000_000
_TICK_SECONDS = 0.25
_KINDS_OF_CHANGE = 4
_PRINTER_FAULTS: tuple[int | str, ...] = (500, 503, 429, "cut", "cut after taking")


class Traffic:
    """Lets orders appear, change, leave and come back: all the time, and between two pages."""

    def __init__(self, sandbox: Sandbox, seed: int, orders_per_second: float) -> None:
        self._sandbox = sandbox
        per_tick = orders_per_second * _KINDS_OF_CHANGE * _TICK_SECONDS
        self._steady = churn(per_tick, seed=seed * 2)
        self._between_pages = churn(0.5, seed=seed * 2 + 1)
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def start(self) -> None:
        """Begin."""
        self._sandbox.faults.before_list = self._between_pages
        self._thread.start()

    def stop(self) -> None:
        """Let no order change any more."""
        self._sandbox.faults.before_list = None
        self._stopped.set()
        self._thread.join()

    @property
    def churns(self) -> tuple[Churn, Churn]:
        """What was changed."""
        return self._steady, self._between_pages

    def _run(self) -> None:
        while not self._stopped.wait(_TICK_SECONDS):
            self._steady(self._sandbox.store, 0)


class OtherSide:
    """All that the desks of a soak talk to."""

    def __init__(self, stack: ExitStack, seed: int, orders: int, rate: float, projects: list[str]) -> None:
        self._rng = random.Random(f"printer:{seed}")  # noqa: S311 - nothing secret
        self.printer = stack.enter_context(Receiver(SECRET, latency_seconds=0.01))
        self.sandboxes = {
            name: stack.enter_context(
                Sandbox(
                    SandboxSettings(
                        orders=orders, seed=seed * 100 + number, project=name, broken=3, log_limit=_LOG_LIMIT
                    )
                )
            )
            for number, name in enumerate(projects, 1)
        }
        self._traffic = {
            name: Traffic(sandbox, seed * 100 + number, rate)
            for number, (name, sandbox) in enumerate(self.sandboxes.items(), 1)
        }

    def obey(self, command: Mapping[str, Any]) -> dict[str, Any]:
        """Do what a command says, and return what there is to say about it."""
        match command["do"]:
            case "start":
                for traffic in self._traffic.values():
                    traffic.start()
            case "faults":
                self._set_faults(command)
            case "clock":
                for sandbox in self.sandboxes.values():
                    sandbox.faults.clock_ahead_seconds = command["ahead_seconds"]
            case "calm":
                self._calm_down()
            case "dump":
                Path(command["path"]).write_text(json.dumps(self._all_that_is_known()))
        return {"done": command["do"]}

    def _set_faults(self, command: Mapping[str, Any]) -> None:
        for sandbox in self.sandboxes.values():
            for name, value in command.items():
                if name != "do":
                    setattr(sandbox.faults, name, value)
        self.printer.faults.extend(self._rng.choices(_PRINTER_FAULTS, k=3))

    def _calm_down(self) -> None:
        for traffic in self._traffic.values():
            traffic.stop()
        for sandbox in self.sandboxes.values():
            played = sandbox.faults.played
            sandbox.faults.reset()
            sandbox.faults.played = played
        self.printer.faults.clear()

    def _all_that_is_known(self) -> dict[str, Any]:
        return {
            "projects": {name: self._known_of(name) for name in self.sandboxes},
            "printer": {
                "taken": {key: body["order"]["source_id"] for key, body in self.printer.taken.items()},
                "posts": sum(self.printer.posts.values()),
                "problems": self.printer.problems,
            },
        }

    def _known_of(self, name: str) -> dict[str, Any]:
        sandbox = self.sandboxes[name]
        log = sandbox.store.log
        churns = self._traffic[name].churns
        return {
            "orders": sandbox.store.all(),
            "changes": [
                [change.order_id, change.status, change.frozen, change.at] for change in log.changes()
            ],
            "patches": log.patches(),
            "requests": len(log.requests()),
            "played": sandbox.faults.played,
            "churn": {
                kind: sum(len(getattr(churn, kind)) for churn in churns)
                for kind in ("moved", "left", "returned", "appeared")
            },
        }


def main() -> None:
    """Serve until stdin ends."""
    seed, orders, rate, *projects = sys.argv[1:]
    with ExitStack() as stack:
        side = OtherSide(stack, int(seed), int(orders), float(rate), projects)
        addresses = {name: [sandbox.url, sandbox.token] for name, sandbox in side.sandboxes.items()}
        _say({"projects": addresses, "printer": side.printer.url})
        for line in sys.stdin:
            _say(side.obey(json.loads(line)))


def _say(answer: Mapping[str, Any]) -> None:
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
