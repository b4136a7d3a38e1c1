"""What a desk of a soak does all day: it checks, imports, ships, sends its tracking and hands orders over."""

from __future__ import annotations

import csv
import threading
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import httpx
from sqlalchemy import create_engine, text
from sqlalchemy.exc import SQLAlchemyError

from tests.e2e.running import DESK
from tests.soak.actors import Repeated

FULFILLER = "printer"
COURIER = "Royal Mail"
_SHIPPED_AT_ONCE = 60
_UNSHIPPED = """
SELECT source_id FROM orders
WHERE project = :project AND id NOT IN (SELECT order_id FROM shipments) ORDER BY id LIMIT :limit
"""


class Lane:
    """A desk, its integration, and the shipments that it was told of.

    Attributes:
        told: tracking code by podOS id, of all shipments that a command took.
    """

    def __init__(
        self, name: str, project: str, url: str, environment: Mapping[str, str], place: Path
    ) -> None:
        self.name = name
        self.project = project
        self.url = url
        self.environment = {**environment, "DESK_DATABASE_URL": url}
        self.told: dict[str, str] = {}
        self._file = place / f"shipments-{name}.csv"
        self._asked: dict[str, str] = {}
        self._engine = create_engine(url)

    def repeated(self, *words: str, pause_seconds: float = 0.5) -> Repeated:
        """A command of `desk` on this desk, again and again."""
        command = [str(DESK), *words]
        return Repeated(
            f"{words[0]} {self.name}", lambda: command, self.environment, pause_seconds=pause_seconds
        )

    def shipping(self) -> Repeated:
        """Ship the oldest orders that have no shipment, by files; a file that failed is given again."""
        return Repeated(
            f"ship {self.name}",
            self._next_file,
            self.environment,
            pause_seconds=4.0,
            on_done=lambda _output: self._took_file(),
        )

    def ship_once_more(self, desk: Repeated) -> None:
        """Give the last file again if it failed, else one more."""
        command = self._next_file()
        if command and desk.once(command)[0] == 0:
            self._took_file()

    def _next_file(self) -> list[str] | None:
        if not self._asked:
            try:
                with self._engine.connect() as connection:
                    facts = {"project": self.project, "limit": _SHIPPED_AT_ONCE}
                    found = connection.execute(text(_UNSHIPPED), facts).scalars().all()
            except SQLAlchemyError:
                return None  # killed, or full
            self._asked = {id_: f"SOAK-{id_[:13].upper()}" for id_ in found}
            self._write(self._asked)
        return [str(DESK), "ship", "--csv", str(self._file)] if self._asked else None

    def _write(self, codes: Mapping[str, str]) -> None:
        with self._file.open("w", newline="") as file:
            csv.writer(file).writerows(
                [("order", "courier", "code"), *((id_, COURIER, code) for id_, code in codes.items())]
            )

    def _took_file(self) -> None:
        self.told |= self._asked
        self._asked = {}

    def close(self) -> None:
        """Close the connections of the reader."""
        self._engine.dispose()


class Runs:
    """Starts runs of deployments at the Prefect server, one after the other, for the worker to take.

    Attributes:
        started: how many the server took.
    """

    def __init__(self, api: str, names: Iterable[str], integration: str, every_seconds: float) -> None:
        self.started = 0
        self._api = api
        self._names = list(names)
        self._integration = integration
        self._every_seconds = every_seconds
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """Start no more."""
        self._stopped.set()
        self._thread.join()

    def switch_schedules_off(self) -> None:
        """Let nothing run but what is started here."""
        for deployment in self._call("/deployments/filter", {}):
            for schedule in deployment["schedules"]:
                path = f"/deployments/{deployment['id']}/schedules/{schedule['id']}"
                self._call(path, {"active": False}, "PATCH")

    def _run(self) -> None:
        number = 0
        while not self._stopped.wait(self._every_seconds):
            name = self._names[number % len(self._names)]
            number += 1
            try:
                found = self._call(f"/deployments/name/{name}/{name}", None, "GET")
                body = {"parameters": {"integration": self._integration}, "state": {"type": "SCHEDULED"}}
                self._call(f"/deployments/{found['id']}/create_flow_run", body)
                self.started += 1
            except httpx.HTTPError:
                continue  # the server was killed

    def _call(self, path: str, body: Any, method: str = "POST") -> Any:
        answer = httpx.request(method, f"{self._api}{path}", json=body, timeout=10)
        answer.raise_for_status()
        return answer.json() if answer.content else None
