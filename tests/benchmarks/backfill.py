"""Measure a backfill with one, two and four worker processes against one PostgreSQL.

Run by `make bench-backfill`; about ten minutes at full size. Desk and Prefect server both lie on PostgreSQL;
podOS answers after 150 ms; each window has two connections, so that the workers wait and this machine's cores
are not the limit. After each run the rows are counted and compared with those of the first, order by order.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from resource import RUSAGE_CHILDREN, getrusage
from typing import Any

from sqlalchemy import create_engine, make_url, text

from tests.e2e.running import descendants
from tests.support.postgres import MISSING, PROGRAMS, address_of, administer, debian_postgres

ROOT = Path(__file__).parents[2]
DESK = [sys.executable, "-c", "from deployments.cli.app import main; main()"]
PREFECT = [sys.executable, "-m", "prefect"]
PORT = 4271
SAME = """
SELECT count(*), sum(items), sum(hashtextextended(whole, 0)) FROM (
  SELECT (to_jsonb(o) - '{id,folder_id,import_run_id,imported_at}'::text[])::text || f.name || '|' ||
    (SELECT string_agg((to_jsonb(i) - 'order_id')::text, '|' ORDER BY i.position)
       FROM order_items i WHERE i.order_id = o.id) || '|' ||
    coalesce((SELECT string_agg(h.event || h.text, '|' ORDER BY h.id)
       FROM order_history h WHERE h.order_id = o.id), '') AS whole,
    (SELECT count(*) FROM order_items i WHERE i.order_id = o.id) AS items
  FROM orders o JOIN folders f ON f.id = o.folder_id
) AS all_orders
"""
"""Orders, items, and the sum of a hash of everything that a desk holds of each order, but ids and times."""


@dataclass
class Bench:
    """What is measured, and what was found."""

    options: argparse.Namespace
    server: str
    environment: dict[str, str]
    podos: dict[str, str]
    processes: dict[str, int]
    """The parts that all runs share, by name: their process ids."""
    seconds: dict[int, list[float]] = field(default_factory=dict)
    first_desk: tuple[Any, ...] | None = None


def main() -> None:
    """Measure and print the table."""
    options = _options()
    print(f"{machine()}\n", flush=True)
    with ExitStack() as stack:
        place = Path(tempfile.mkdtemp(prefix="desk-bench-"))
        stack.callback(shutil.rmtree, place, ignore_errors=True)
        server = stack.enter_context(postgres(place))
        podos = stack.enter_context(sandbox(options.orders, options.latency_ms))
        environment = _environment(place, server, podos["token"])
        prefect = stack.enter_context(prefect_server(environment))
        subprocess.run([*DESK, "deploy"], env=environment, cwd=ROOT, check=True)
        postmaster = int((place / "postgres" / "postmaster.pid").read_text().split()[0])
        shared = {"PostgreSQL": postmaster, "Prefect server": prefect.pid, "sandbox": int(podos["pid"])}
        bench = Bench(options, server, environment, podos, shared)
        print("| workers | s | CPU s: backfill, workers, their runs, " + ", ".join(shared) + " | load |")
        print("| --- | --- | --- | --- |", flush=True)
        for _ in range(options.rounds):
            for workers in options.workers:
                one_run(bench, workers)
    base = statistics.median(bench.seconds[options.workers[0]])
    print("\n| workers | s | times the speed of the first |\n| --- | --- | --- |")
    for workers, times in bench.seconds.items():
        shown = ", ".join(f"{seconds:.1f}" for seconds in times)
        print(f"| {workers} | {shown} | {base / statistics.median(times):.2f} |", flush=True)
    print(f"\nAll desks are the same, order by order: {bench.first_desk}")


def machine() -> str:
    """Return what the figures depend on."""
    load = ", ".join(f"{figure:.1f}" for figure in os.getloadavg())
    packages = ", ".join(f"{name} {version(name)}" for name in ("prefect", "sqlalchemy", "psycopg", "pandas"))
    return (
        f"{platform.platform()}, {os.cpu_count()} cores, load {load}; Python {platform.python_version()}; "
        f"{packages}"
    )


def one_run(bench: Bench, workers: int) -> None:
    """Backfill an empty desk with so many workers, check the rows, and print what it took."""
    options, name = bench.options, f"desk_{time.monotonic_ns()}"
    administer(bench.server, f"CREATE DATABASE {name}")
    own = bench.environment | {"DESK_DATABASE_URL": address_of(bench.server, name)}
    connect = ["connect", "default", "--project", bench.podos["project"], "--base-url", bench.podos["url"]]
    connect += ["--connections", str(options.connections), "--json"]
    subprocess.run([*DESK, *connect], env=own, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    with ExitStack() as stack:
        names = [f"{name}-{number}" for number in range(workers)]
        start = [*PREFECT, "worker", "start", "--pool", "desk", "--limit", "1", "--name"]
        started = [stack.enter_context(process([*start, worker], own)).pid for worker in names]
        wait_for_workers(own, set(names))
        before = {part: cpu_seconds(pid) for part, pid in bench.processes.items()}
        idle = [cpu_seconds(pid) for pid in started]
        command = [*DESK, "backfill", "--since", "2026-01-01", "--windows", str(options.windows), "--json"]
        children = getrusage(RUSAGE_CHILDREN)
        done = subprocess.run(command, env=own, cwd=ROOT, check=True, stdout=subprocess.PIPE)
        ended = getrusage(RUSAGE_CHILDREN)
        used = [ended.ru_utime + ended.ru_stime - children.ru_utime - children.ru_stime]
        used += [sum(cpu_seconds(pid, whole=False) for pid in started) - sum(idle)]
        used += [sum(map(cpu_seconds, started)) - sum(idle) - used[1]]
        used += [cpu_seconds(pid) - before[part] for part, pid in bench.processes.items()]
    report = json.loads(done.stdout)
    load = os.getloadavg()[0]
    check_desk(bench, own["DESK_DATABASE_URL"], report)
    shown = ", ".join(f"{seconds:.1f}" for seconds in used)
    print(f"| {workers} | {report['seconds']:.1f} | {shown} | {load:.1f} |", flush=True)
    bench.seconds.setdefault(workers, []).append(float(report["seconds"]))


def check_desk(bench: Bench, url: str, report: dict[str, Any]) -> None:
    """Count the rows of a desk, and compare all that it holds with what the first run made."""
    engine = create_engine(url)
    with engine.connect() as connection:
        desk = tuple(connection.execute(text(SAME)).one())
    engine.dispose()
    orders = bench.options.orders
    assert (report["imported"], *desk[:2]) == (orders, orders, 2 * orders), (report, desk)
    bench.first_desk = bench.first_desk or desk
    assert desk == bench.first_desk


def cpu_seconds(pid: int, *, whole: bool = True) -> float:
    """Return the CPU time of a process and, as a whole, of all that it started: those that ended too."""
    ticks = 0
    for process_id in [pid, *descendants(pid)] if whole else [pid]:
        try:
            fields = Path(f"/proc/{process_id}/stat").read_text().rpartition(")")[2].split()
        except OSError:  # it has ended
            continue
        ticks += sum(map(int, fields[11 : 15 if whole else 13]))
    return ticks / os.sysconf("SC_CLK_TCK")


def wait_for_workers(environment: dict[str, str], names: set[str]) -> None:
    """Return when all of these workers are online."""
    address = f"{environment['PREFECT_API_URL']}/work_pools/desk/workers/filter"
    while True:
        body = json.dumps({"workers": {"status": {"any_": ["ONLINE"]}}}).encode()
        request = urllib.request.Request(address, body, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request) as answer:
            if names <= {worker["name"] for worker in json.load(answer)}:
                return
        time.sleep(1)


def postgres(place: Path) -> AbstractContextManager[str]:
    """Run a PostgreSQL server of Debian's, on a port of its own, with its usual, safe settings."""
    if PROGRAMS is None:
        raise SystemExit(MISSING)
    place.chmod(0o755)
    return debian_postgres(place, PORT + 1)


@contextmanager
def sandbox(orders: int, latency_ms: int) -> Iterator[dict[str, str]]:
    """The sandbox in benchmark mode, in a process of its own."""
    command = [*DESK, "sandbox", "--benchmark", "--orders", str(orders), "--json"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as running:
        assert running.stdout is not None
        facts: dict[str, str] = json.loads(running.stdout.readline()) | {"pid": str(running.pid)}
        urllib.request.urlopen(f"{facts['url']}/_benchmark?latency_ms={latency_ms}").close()
        try:
            yield facts
        finally:
            running.terminate()


@contextmanager
def prefect_server(environment: dict[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    """A Prefect server on PostgreSQL."""
    command = [*PREFECT, "server", "start", "--host", "127.0.0.1", "--port", str(PORT)]
    with process(command, environment) as server:
        for _ in range(600):
            try:
                urllib.request.urlopen(f"{environment['PREFECT_API_URL']}/health").close()
                break
            except OSError:
                time.sleep(0.2)
        yield server


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
        "DESK_DATABASE_URL": address_of(server, "postgres"),
    }
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PREFECT_", "DESK_"))}
    return kept | {name: str(value) for name, value in own.items()}


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--orders", type=int, default=320_000)
    parser.add_argument("--windows", type=int, default=8)
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2, 4])
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--latency-ms", type=int, default=150)
    parser.add_argument("--connections", type=int, default=2)
    return parser.parse_args()


if __name__ == "__main__":
    main()
