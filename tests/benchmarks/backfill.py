"""Measure a backfill with one, two and four worker processes against one PostgreSQL.

Run by `make bench-backfill`. Desk and Prefect server both lie on PostgreSQL; podOS answers after 150 ms; each
window has two connections, so that the workers wait and this machine's cores are not the limit.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import create_engine, make_url, text

ROOT = Path(__file__).parents[2]
DESK = [sys.executable, "-c", "from deployments.cli import main; main()"]
PREFECT = [sys.executable, "-m", "prefect"]
PORT = 4271


def main() -> None:
    """Measure and print the table."""
    options = _options()
    with ExitStack() as stack:
        place = Path(tempfile.mkdtemp(prefix="desk-bench-"))
        stack.callback(shutil.rmtree, place, ignore_errors=True)
        server = stack.enter_context(postgres(place))
        podos = stack.enter_context(sandbox(options.orders, options.latency_ms))
        environment = _environment(place, server, podos["token"])
        stack.enter_context(prefect_server(environment))
        subprocess.run([*DESK, "deploy"], env=environment, cwd=ROOT, check=True)
        seconds: dict[int, list[float]] = {}
        for _ in range(options.rounds):
            for workers in options.workers:
                took = one_run(server, environment, podos, workers, options)
                seconds.setdefault(workers, []).append(took)
        base = statistics.median(seconds[options.workers[0]])
        for workers, times in seconds.items():
            shown = ", ".join(f"{one:.1f}" for one in times)
            print(f"{workers} workers: {shown} s; {base / statistics.median(times):.2f} times", flush=True)


def one_run(
    server: str, environment: dict[str, str], podos: dict[str, str], workers: int, options: argparse.Namespace
) -> float:
    """Backfill an empty desk with so many workers; check the rows; return the seconds of the windows."""
    name = f"desk_{time.monotonic_ns()}"
    administer(server, f"CREATE DATABASE {name}")
    own = environment | {"DESK_DATABASE_URL": database(server, name)}
    connect = ["connect", "default", "--project", podos["project"], "--base-url", podos["url"]]
    connect += ["--connections", str(options.connections), "--json"]
    subprocess.run([*DESK, *connect], env=own, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    with ExitStack() as stack:
        for _ in range(workers):
            stack.enter_context(process([*PREFECT, "worker", "start", "--pool", "desk", "--limit", "1"], own))
        wait_for_workers(own, workers)
        command = [*DESK, "backfill", "--since", "2026-01-01", "--windows", str(options.windows), "--json"]
        done = subprocess.run(command, env=own, cwd=ROOT, check=True, stdout=subprocess.PIPE)
    report = json.loads(done.stdout)
    engine = create_engine(own["DESK_DATABASE_URL"])
    with engine.connect() as connection:
        orders, items = (
            connection.execute(text(f"SELECT count(*) FROM {table}")).scalar_one()
            for table in ("orders", "order_items")
        )
    engine.dispose()
    assert report["imported"] == orders == options.orders, (report, orders)
    assert items == 2 * orders
    print(f"  {workers} workers: {report['seconds']:.1f} s, {orders} orders, {items} items", flush=True)
    return float(report["seconds"])


def wait_for_workers(environment: dict[str, str], count: int) -> None:
    """Return when so many workers are online; those of the run before have gone offline by then."""
    address = f"{environment['PREFECT_API_URL']}/work_pools/desk/workers/filter"
    while True:
        body = json.dumps({"workers": {"status": {"any_": ["ONLINE"]}}}).encode()
        request = urllib.request.Request(address, body, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request) as answer:
            if len(json.load(answer)) >= count:
                return
        time.sleep(1)


@contextmanager
def postgres(place: Path) -> Iterator[str]:
    """A PostgreSQL server of Debian's, on a port of its own, with its usual, safe settings.

    Prefect's server needs the extension pg_trgm, which the server of the tests does not bring.
    """
    programs = max(Path("/usr/lib/postgresql").glob("*/bin"), default=None)
    if programs is None:
        raise SystemExit("this benchmark needs Debian's package postgresql: apt-get install postgresql")
    as_user: list[str | Path] = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []
    place.chmod(0o755)
    data = place / "postgres"
    data.mkdir()
    if as_user:
        shutil.chown(data, "postgres")
    quiet: dict[str, Any] = {"cwd": "/", "stdout": subprocess.DEVNULL}
    subprocess.run(
        [*as_user, programs / "initdb", "-D", data, "-A", "trust", "-U", "postgres"], check=True, **quiet
    )
    settings = f"-c listen_addresses=127.0.0.1 -c port={PORT + 1} -c max_connections=200 -k {data}"
    control = [*as_user, programs / "pg_ctl", "-D", data, "-w"]
    subprocess.run([*control, "-l", data / "log", "-o", settings, "start"], check=True, **quiet)
    try:
        yield f"postgresql+psycopg://postgres:postgres@127.0.0.1:{PORT + 1}/postgres"
    finally:
        subprocess.run([*control, "-m", "fast", "stop"], check=True, **quiet)


@contextmanager
def sandbox(orders: int, latency_ms: int) -> Iterator[dict[str, str]]:
    """The sandbox in benchmark mode, in a process of its own."""
    command = [*DESK, "sandbox", "--benchmark", "--orders", str(orders), "--json"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as running:
        assert running.stdout is not None
        facts: dict[str, str] = json.loads(running.stdout.readline())
        urllib.request.urlopen(f"{facts['url']}/_benchmark?latency_ms={latency_ms}").close()
        try:
            yield facts
        finally:
            running.terminate()


@contextmanager
def prefect_server(environment: dict[str, str]) -> Iterator[None]:
    """A Prefect server on PostgreSQL."""
    command = [*PREFECT, "server", "start", "--host", "127.0.0.1", "--port", str(PORT)]
    with process(command, environment):
        for _ in range(600):
            try:
                urllib.request.urlopen(f"{environment['PREFECT_API_URL']}/health").close()
                break
            except OSError:
                time.sleep(0.2)
        yield


@contextmanager
def process(command: list[str], environment: dict[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    """A child that is stopped at the end."""
    child = subprocess.Popen(
        command, env=environment, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        yield child
    finally:
        child.terminate()
        try:
            child.wait(20)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()


def administer(server: str, statement: str) -> None:
    """Run a statement outside of a transaction."""
    engine = create_engine(server, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text(statement))
    engine.dispose()


def database(server: str, name: str) -> str:
    """Return the address of another database of the server."""
    return make_url(server).set(database=name).render_as_string(hide_password=False)


def _environment(place: Path, server: str, token: str) -> dict[str, str]:
    administer(server, "CREATE DATABASE prefect")
    prefect = make_url(server).set(database="prefect", drivername="postgresql+asyncpg")
    own: dict[str, Any] = {
        "PREFECT_HOME": place / "prefect",
        "PREFECT_API_URL": f"http://127.0.0.1:{PORT}/api",
        "PREFECT_API_DATABASE_CONNECTION_URL": prefect.render_as_string(hide_password=False),
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "DO_NOT_TRACK": "1",
        "PREFECT_WORKER_QUERY_SECONDS": "2",
        "PREFECT_LOGGING_LEVEL": "WARNING",
        "PODOS_API_TOKEN": token,
        "DESK_DATABASE_URL": database(server, "postgres"),
    }
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PREFECT_", "DESK_"))}
    return kept | {name: str(value) for name, value in own.items()}


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--orders", type=int, default=50_000)
    parser.add_argument("--windows", type=int, default=8)
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2, 4])
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--latency-ms", type=int, default=150)
    parser.add_argument("--connections", type=int, default=2)
    return parser.parse_args()


if __name__ == "__main__":
    main()
