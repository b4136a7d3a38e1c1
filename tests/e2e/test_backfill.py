"""A backfill whose processes are killed for real, with the desk and Prefect's server both on PostgreSQL."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import Engine, make_url, text

from deployments.sandbox.server import Sandbox, SandboxSettings
from deployments.sandbox.store import Store
from deployments.stack.environment import PREFECT_DEFAULTS, ROOT
from tasks.desk.browse import export_orders
from tasks.desk.engine import make_engine, open_desk
from tests.e2e.running import (
    DESK,
    START_SECONDS,
    STOP_SECONDS,
    System,
    descendants,
    environment,
    free_port,
    is_alive,
    kill,
    wait_for,
)
from tests.support.postgres import MISSING, PROGRAMS, address_of, administer, debian_postgres

pytestmark = [pytest.mark.e2e, pytest.mark.skipif(PROGRAMS is None, reason=MISSING)]
BACKFILL = ("backfill", "--since", "2020-01-01", "--windows", "4", "--json")
FAST = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}
NUMBERS = count(1)


@dataclass
class Floor:
    """A Prefect server on PostgreSQL, the database server itself, and podOS."""

    system: System
    postgres: str
    sandbox: Sandbox
    single: list[dict[str, Any]]
    """The orders as a manual import in one process leaves them in the desk."""


@dataclass
class Desk:
    """An empty desk on PostgreSQL, and what a test does with it."""

    floor: Floor
    url: str
    engine: Engine
    started: list[subprocess.Popen[str]] = field(default_factory=list)

    def start_backfill(self) -> subprocess.Popen[str]:
        """Start `desk backfill` in a process of its own."""
        process = subprocess.Popen(
            [DESK, *BACKFILL],
            env=self.floor.system.environment | {"DESK_DATABASE_URL": self.url},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.started.append(process)
        return process

    def orders(self) -> list[dict[str, Any]]:
        """Return all that the desk holds, without the ids and times of its own."""
        return orders_of(self.engine)

    def windows(self) -> list[tuple[str, int]]:
        """Return state and attempts of each window of the first backfill."""
        return [(row.state, row.attempts) for row in self._rows()]

    def runs(self) -> dict[int, str]:
        """Return the flow run of each window that was handed out, by number."""
        return {row.number: row.flow_run_id for row in self._rows() if row.flow_run_id}

    def at_work(self) -> list[int]:
        """Return the windows of which a process is in the middle."""
        query = text(
            "SELECT w.number FROM backfill_windows w JOIN import_runs r ON r.flow_run_id = w.flow_run_id "
            "WHERE r.state = 'running' AND w.state = 'running' ORDER BY w.number"
        )
        with self.engine.connect() as connection:
            return list(connection.execute(query).scalars())

    def _rows(self) -> Any:
        with self.engine.connect() as connection:
            return connection.execute(
                text("SELECT * FROM backfill_windows WHERE backfill_id = 1 ORDER BY number")
            ).all()


@pytest.fixture(scope="module")
def floor() -> Iterator[Floor]:
    """All that the tests share, started once."""
    # Not pytest's own directory: PostgreSQL runs as another user, who can't enter it.
    place = Path(tempfile.mkdtemp(prefix="desk-tests-"))
    place.chmod(0o755)
    with ExitStack() as stack:
        stack.callback(shutil.rmtree, place, ignore_errors=True)
        postgres = stack.enter_context(debian_postgres(place, free_port(), FAST))
        system = stack.enter_context(prefect_on(postgres, place))
        sandbox = stack.enter_context(Sandbox(SandboxSettings(orders=900, seed=5, broken=1)))
        connect = ("connect", "default", "--project", sandbox.project, "--base-url", sandbox.url)
        own = new_database(postgres)
        system.desk(*connect, "--connections", "2", PODOS_API_TOKEN=sandbox.token, DESK_DATABASE_URL=own)
        system.desk("import", "--since", "2020-01-01", DESK_DATABASE_URL=own)
        engine = make_engine(own)
        single = orders_of(engine)
        engine.dispose()
        assert len(single) > 300
        yield Floor(system, postgres, sandbox, single)


@contextmanager
def prefect_on(postgres: str, place: Path) -> Iterator[System]:
    """Prefect's server with its database on PostgreSQL, and our deployments on it."""
    for directory in ("home", "tmp"):
        (place / directory).mkdir()
    url = make_url(new_database(postgres)).set(drivername="postgresql+asyncpg")
    variables = {
        **PREFECT_DEFAULTS,
        "PREFECT_API_DATABASE_CONNECTION_URL": url.render_as_string(hide_password=False),
        "PREFECT_WORKER_QUERY_SECONDS": "1",
    }
    port = free_port()
    with (place / "server.log").open("wb") as output:
        command = ["-m", "deployments.stack.prefect_server", "server", "start", "--port", str(port)]
        process = subprocess.Popen(
            [sys.executable, *command],
            cwd=ROOT,
            env=environment(place) | variables,
            stdout=output,
            stderr=output,
        )
    system = System(place, port, process, [place / "server.log"], variables)
    try:
        wait_for("the server", lambda: answers(system), START_SECONDS)
        system.desk("deploy")
        system.stop_schedules(*system.api("POST", "/deployments/filter", {}))
        yield system
    finally:
        process.terminate()
        process.wait(STOP_SECONDS)


def answers(system: System) -> bool:
    assert system.process.poll() is None, (system.place / "server.log").read_text()
    try:
        return httpx.get(f"{system.url}/api/health").is_success
    except httpx.TransportError:
        return False


def new_database(postgres: str) -> str:
    name = f"database_{next(NUMBERS)}"
    administer(postgres, f"CREATE DATABASE {name}")
    return address_of(postgres, name)


def orders_of(engine: Engine) -> list[dict[str, Any]]:
    own = ("id", "imported_at")
    orders = [
        {key: value for key, value in order.items() if key not in own} for order in export_orders(engine)
    ]
    return sorted(orders, key=lambda order: str(order["source_id"]))


@pytest.fixture
def desk(floor: Floor) -> Iterator[Desk]:
    """A desk of the test's own; afterwards podOS is as it was."""
    url = new_database(floor.postgres)
    engine = open_desk(url)
    desk = Desk(floor, url, engine)
    yield desk
    kill(*(process.pid for process in desk.started))
    engine.dispose()
    floor.sandbox.faults.reset()


def finished(process: subprocess.Popen[str]) -> tuple[int, dict[str, Any], str]:
    """Wait for `desk backfill`; return its exit code, its report and what it told a person."""
    out, err = process.communicate(timeout=240)
    return process.returncode, json.loads(out) if out else {}, err


def test_killed_with_its_workers_in_the_middle_it_goes_on_and_ends_as_one_process_does(
    floor: Floor, desk: Desk
) -> None:
    floor.sandbox.faults.latency_seconds = 1
    with floor.system.worker("desk", DESK_DATABASE_URL=desk.url) as worker:
        first = desk.start_backfill()
        wait_for("two windows at work", lambda: len(desk.at_work()) >= 2)
        doomed = [worker.pid, *descendants(worker.pid)]
        assert len(doomed) >= 3
        kill(*doomed, first.pid)
        wait_for("their end", lambda: not any(map(is_alive, doomed)))
    assert finished(first)[0] == -9
    assert len(desk.orders()) < len(floor.single)
    states = {number: floor.system.flow_run(run)["state_type"] for number, run in desk.runs().items()}
    # A worker that dies before its run's process has begun leaves it Pending.
    victims = [number for number, state in states.items() if state in {"RUNNING", "PENDING"}]
    assert len(victims) >= 2

    floor.sandbox.faults.reset()
    again = desk.start_backfill()
    with floor.system.worker("desk", DESK_DATABASE_URL=desk.url):
        notice_the_dead(floor.system, [desk.runs()[number] for number in victims])
        code, report, err = finished(again)

    assert (code, err) == (0, "")
    assert [state for state, _ in desk.windows()] == ["done"] * 4
    assert [attempts for _, attempts in desk.windows()] == [
        2 if number in victims else 1 for number in range(1, 5)
    ]
    assert report["fetched"] == 900
    assert desk.orders() == floor.single


def notice_the_dead(system: System, runs: list[str]) -> None:
    """Do at once what the server's watch on dead runs does after some time of silence."""
    state = {"state": {"type": "CRASHED", "message": "its process died"}, "force": True}
    for run in runs:
        system.api("POST", f"/flow_runs/{run}/set_state", state)


def test_failed_and_cancelled_windows_are_named_and_only_they_are_repeated(floor: Floor, desk: Desk) -> None:
    system = floor.system
    spoil(desk, 2)
    with system.worker("desk", DESK_DATABASE_URL=desk.url):
        first = desk.start_backfill()
        wait_for("all windows handed out", lambda: len(desk.runs()) == 4)
        with silence(floor.sandbox):
            wait_for("window 3 at work", lambda: 3 in desk.at_work())
            cancel(system, desk.runs()[3])
        code, _, err = finished(first)
        assert code == 1
        assert "2 of 4 windows are done; window 2 (" in err
        assert "; window 3 (" in err
        assert "its flow run ended as cancelled" in err
        assert desk.windows() == [("done", 1), ("failed", 1), ("failed", 1), ("done", 1)]

        mend(desk)
        with silence(floor.sandbox):
            by_hand = desk.start_backfill()
            wait_for("both windows at work", lambda: desk.at_work() == [2, 3])
            by_hand.send_signal(signal.SIGINT)
            code, _, err = finished(by_hand)
            assert (code, "the same command again" in err, "Traceback" in err) == (130, True, False), err
            form = {"request": {"since": "2020-01-01", "windows": 4}}
            deployment = system.api("GET", "/deployments/name/backfill-orders/backfill")["id"]
            by_form = system.start_run(deployment, form)
            wait_for("the run", lambda: system.flow_run(by_form)["state_type"] == "RUNNING")
            cancel(system, by_form)
            runs = desk.runs()
            assert [system.finished(runs[number])["state_type"] for number in (2, 3)] == ["CANCELLED"] * 2
        code, report, err = finished(desk.start_backfill())

    assert (code, err) == (0, "")
    assert desk.windows() == [("done", 1), ("done", 3), ("done", 3), ("done", 1)]
    assert report["fetched"] == 900
    assert desk.orders() == floor.single


@contextmanager
def silence(sandbox: Sandbox) -> Iterator[None]:
    """Let podOS answer nobody for a while."""
    over = threading.Event()

    def wait(_store: Store, _number: int) -> None:
        over.wait(STOP_SECONDS)

    sandbox.faults.before_list = wait
    try:
        yield
    finally:
        sandbox.faults.before_list = None
        over.set()


def cancel(system: System, run_id: str) -> None:
    """Do what the button in the pages does, and wait until it is done."""
    system.api("POST", f"/flow_runs/{run_id}/set_state", {"state": {"type": "CANCELLING"}})
    assert system.finished(run_id)["state_type"] == "CANCELLED"


def spoil(desk: Desk, number: int) -> None:
    """Let the database refuse that a window is done."""
    with desk.engine.begin() as connection:
        connection.execute(
            text(
                "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS "
                "$$ BEGIN RAISE EXCEPTION 'no'; END $$"
            )
        )
        connection.execute(
            text(
                "CREATE TRIGGER broken BEFORE UPDATE ON backfill_windows FOR EACH ROW "
                f"WHEN (NEW.number = {number} AND NEW.state = 'done') EXECUTE FUNCTION refuse()"
            )
        )


def mend(desk: Desk) -> None:
    with desk.engine.begin() as connection:
        connection.execute(text("DROP TRIGGER broken ON backfill_windows"))
