"""`make bench`: each pair side by side on the same server, alternating; ratios with their spread.

Peers live in environments of their own under `.bench/`, which git ignores. Wall and CPU time of the work,
without imports, are shown: on a machine that others use too, the CPU ratio is steadier. Peak memory is the
operating system's own figure for the child process, imports included.
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
import urllib.request
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from sqlalchemy import create_engine, inspect, text

from tasks.desk.engine import open_desk
from tests.benchmarks.backfill import PORT, postgres, prefect_server, sandbox
from tests.support.postgres import address_of, administer

ROOT = Path(__file__).parents[2]
BENCH = ROOT / ".bench"
PEERS = {"dlt": ("dlt[sqlalchemy,postgres]",), "plain": ("httpx", "sqlmodel", "psycopg[binary]")}
OURS = ("ours", "through_flow")
TABLES = {"dlt": ("fulfillments", "fulfillments__items")}
BOUND_PAGES = 100


@dataclass(frozen=True)
class Measured:
    """One run of one subject."""

    seconds: float
    cpu_seconds: float
    peak_mb: float
    facts: dict[str, Any]


class Bench:
    """The server, a place for databases, and the runs against them."""

    def __init__(self, podos: dict[str, str], place: Path, server: str) -> None:
        self._podos = podos
        self._place = place
        self._server = server
        self._count = 0

    def control(self, **settings: int) -> dict[str, Any]:
        """Tell the server how many orders are to be seen, and how long a page waits."""
        query = "&".join(f"{name}={value}" for name, value in settings.items())
        with urllib.request.urlopen(f"{self._podos['url']}/_benchmark?{query}") as answer:
            facts: dict[str, Any] = json.load(answer)
        return facts

    def new_database(self, kind: str) -> str:
        """Return the address of an empty database."""
        self._count += 1
        if kind == "sqlite":
            return f"sqlite:///{self._place / f'{self._count}.db'}"
        administer(self._server, f"CREATE DATABASE bench_{self._count}")
        return address_of(self._server, f"bench_{self._count}")

    def new_desk(self, kind: str) -> str:
        """Return the address of a desk without orders: an import never meets another."""
        url = self.new_database(kind)
        open_desk(url).dispose()
        return url

    def run(self, subject: str, url: str, *more: str) -> Measured:
        """Run a subject in a process of its own and return what it took."""
        python = BENCH / subject / "bin" / "python" if subject in PEERS else Path(sys.executable)
        where = ROOT / "tests" / "benchmarks" / "peers" / f"{subject}_peer.py"
        program = [str(where)] if subject in PEERS else ["-m", f"tests.benchmarks.{subject}"]
        access = [part for name in ("url", "project", "token") for part in (f"--{name}", self._podos[name])]
        command = [str(python), *program, *access, "--database", url, *more]
        with (
            tempfile.TemporaryFile() as errors,
            subprocess.Popen(
                command,
                cwd=ROOT,
                env={**os.environ, "PYTHONWARNINGS": "ignore"},
                stdout=subprocess.PIPE,
                stderr=errors,
            ) as child,
        ):
            assert child.stdout is not None
            out = child.stdout.read()
            _, status, usage = os.wait4(child.pid, 0)
            child.returncode = os.waitstatus_to_exitcode(status)
            if child.returncode:
                errors.seek(0)
                raise SystemExit(f"{subject} failed: {errors.read().decode()[-2000:]}")
        facts = json.loads(out.splitlines()[-1])
        return Measured(facts["seconds"], facts["cpu_seconds"], usage.ru_maxrss / 1024, facts)


def check_rows(url: str, subject: str, orders: int) -> None:
    """Make sure that a subject stored all orders and two items for each."""
    engine = create_engine(url)
    with engine.connect() as connection:
        schema = "main" if subject == "dlt" and not url.startswith("sqlite") else None
        known = inspect(engine).get_table_names(schema=schema)
        for table, wanted in zip(
            TABLES.get(subject, ("orders", "order_items")), (orders, 2 * orders), strict=True
        ):
            assert table in known, (table, known)
            found = connection.execute(text(f"SELECT count(*) FROM {schema + '.' if schema else ''}{table}"))
            assert (count := found.scalar_one()) == wanted, (subject, table, count)
    engine.dispose()


def compare(
    bench: Bench, title: str, kind: str, orders: int, others: list[str], rounds: int, *, connections: int = 1
) -> None:
    """Measure ours beside others, alternating, and print a line each."""
    print(f"\n## {title}\n\n| who | wall s | CPU s | peak MB | ours is faster by (wall) | (CPU) |")
    print("| --- | --- | --- | --- | --- | --- |")
    runs: dict[str, list[Measured]] = {}
    for number in range(rounds):
        order = ["ours", *others] if number % 2 == 0 else [*others, "ours"]
        for subject in order:
            url = bench.new_desk(kind) if subject in OURS else bench.new_database(kind)
            more = ["--connections", str(connections)]
            more += ["--orders", str(orders)] if subject == "floor" else []
            more += ["--with-pandas"] if subject == "ours" else []
            runs.setdefault(subject, []).append(bench.run(subject, url, *more))
            check_rows(url, subject, orders)
    for subject in ("ours", *others):
        print(_line(subject, runs[subject], runs["ours"]), flush=True)


def _line(subject: str, runs: list[Measured], ours: list[Measured]) -> str:
    columns = [_spread([run.seconds for run in runs]), _spread([run.cpu_seconds for run in runs])]
    columns.append(f"{max(run.peak_mb for run in runs):.0f}")
    if subject == "ours":
        columns += ["", ""]
    else:
        pairs = list(zip(runs, ours, strict=True))
        columns.append(_spread([other.seconds / mine.seconds for other, mine in pairs]))
        columns.append(_spread([other.cpu_seconds / mine.cpu_seconds for other, mine in pairs]))
    return f"| {subject} | {' | '.join(columns)} |"


def _spread(values: list[float]) -> str:
    return f"{statistics.median(values):.2f} ({min(values):.2f} to {max(values):.2f})"


def through_the_flow(bench: Bench, orders: int, rounds: int) -> None:
    """Measure the plain run beside the flow, with a Prefect server running on SQLite."""
    bench.control(visible=orders, latency_ms=0)
    with tempfile.TemporaryDirectory(prefix="desk-bench-") as home:
        own = {
            "PREFECT_HOME": home,
            "PREFECT_API_URL": f"http://127.0.0.1:{PORT}/api",
            "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
            "DO_NOT_TRACK": "1",
        }
        before = dict(os.environ)
        os.environ.update(own)
        try:
            with prefect_server(dict(os.environ)):
                title = f"{orders} orders, SQLite, through the flow with a server running"
                compare(bench, title, "sqlite", orders, ["through_flow"], rounds)
        finally:
            os.environ.clear()
            os.environ.update(before)


def checks(bench: Bench, sizes: list[int], new: int) -> None:
    """Measure checks with nothing new and with some new, at several sizes of the desk."""
    print("\n## Checks, CPU time of our own work\n")
    print(f"| orders in the desk | nothing new: requests, ms | {new} new: requests, ms | import's peak MB |")
    print("| --- | --- | --- | --- |")
    for size in sizes:
        bench.control(visible=size, latency_ms=0)
        url = bench.new_desk("sqlite")
        first = bench.run("ours", url)
        none = [_counted(bench, url, 0) for _ in range(5)]
        bench.control(visible=size + new)
        some = _counted(bench, url, new)
        print(
            f"| {size} | {none[0][0]}, {_spread([timing[1] for timing in none])} | {some[0]}, {some[1]:.0f} "
            f"| {first.peak_mb:.0f} |",
            flush=True,
        )


def _counted(bench: Bench, url: str, new: int) -> tuple[int, float]:
    before = bench.control()["pages"]
    more = ["--with-pandas"] if new else []
    measured = bench.run("ours", url, *more)
    assert measured.facts["new"] == new, measured.facts
    return bench.control()["pages"] - before, measured.facts["cpu_seconds"] * 1000


def install_peers() -> None:
    """Make an environment for each peer, once."""
    for name, packages in PEERS.items():
        place = BENCH / name
        if (place / ".installed").exists():
            continue
        shutil.rmtree(place, ignore_errors=True)
        subprocess.run([sys.executable, "-m", "venv", place], check=True)
        pip: list[str | Path] = [
            place / "bin" / "python",
            "-m",
            "pip",
            "install",
            "--quiet",
            "--disable-pip-version-check",
        ]
        subprocess.run([*pip, *packages], check=True)
        (place / ".installed").touch()


def _machine(bench: Bench) -> str:
    names = ("sqlalchemy", "httpx", "msgspec", "pandas", "psycopg")
    ours = ", ".join(f"{name} {version(name)}" for name in names)
    python = BENCH / "dlt" / "bin" / "python"
    code = "from importlib.metadata import version; print(version('dlt'), version('sqlalchemy'))"
    theirs = subprocess.run([python, "-c", code], check=True, capture_output=True, text=True).stdout.split()
    load = ", ".join(f"{figure:.1f}" for figure in os.getloadavg())
    size = bench.control()["bytes_an_order"]
    return (
        f"{platform.platform()}, {os.cpu_count()} cores, load {load}; Python {platform.python_version()}; "
        f"{ours}; dlt {theirs[0]} with SQLAlchemy {theirs[1]}; {size} bytes an order"
    )


def _server_cost(bench: Bench, before: dict[str, Any]) -> str:
    after = bench.control()
    pages = after["pages"] - before["pages"]
    milliseconds = (after["cpu_seconds"] - before["cpu_seconds"]) / max(pages, 1) * 1000
    return f"{milliseconds:.2f} ms of CPU a page ({pages} pages)"


def main() -> None:
    """Measure what was asked for and print Markdown."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--only", nargs="+", default=["sqlite", "postgres", "latency", "checks", "plain", "flow"]
    )
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--scale", type=float, default=1.0, help="Smaller numbers of orders, to try it out.")
    options = parser.parse_args()
    install_peers()
    large, small = round(200_000 * options.scale), round(50_000 * options.scale)
    with ExitStack() as stack:
        place = Path(tempfile.mkdtemp(prefix="desk-bench-"))
        stack.callback(shutil.rmtree, place, ignore_errors=True)
        server = stack.enter_context(postgres(place))
        bench = Bench(stack.enter_context(sandbox(large + 100, 0)), place, server)
        print(f"{_machine(bench)}\n", flush=True)
        before = bench.control()
        for name, measure in _table(bench, large, small, options).items():
            if name in options.only:
                measure()
        print(f"\nThe server cost {_server_cost(bench, before)}.")


def _table(
    bench: Bench, large: int, small: int, options: argparse.Namespace
) -> dict[str, Callable[[], None]]:
    rounds = options.rounds

    def sqlite() -> None:
        bench.control(visible=large, latency_ms=0)
        compare(bench, f"{large} orders, SQLite, no latency", "sqlite", large, ["floor", "dlt"], rounds)

    def postgresql() -> None:
        bench.control(visible=small, latency_ms=0)
        compare(bench, f"{small} orders, PostgreSQL, no latency", "postgres", small, ["floor", "dlt"], rounds)

    def latency() -> None:
        bench.control(visible=small, latency_ms=150)
        bound = small / BOUND_PAGES * 0.150 / 8
        title = f"{small} orders, 150 ms a page, 8 connections, SQLite; the bound is {bound:.1f} s"
        compare(bench, title, "sqlite", small, ["floor"], rounds, connections=8)

    def plain() -> None:
        bench.control(visible=small // 10, latency_ms=0)
        title = f"{small // 10} orders, SQLite, beside a plain httpx and session.merge script"
        compare(bench, title, "sqlite", small // 10, ["plain"], rounds)

    return {
        "sqlite": sqlite,
        "postgres": postgresql,
        "latency": latency,
        "plain": plain,
        "flow": lambda: through_the_flow(bench, large, rounds),
        "checks": lambda: checks(bench, [round(10_000 * options.scale), large], 100),
    }


if __name__ == "__main__":
    main()
