"""`desk status` and `desk metrics`: is all well, for people and for monitors."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated

import typer

from deployments.cli.desk_access import open_the_desk
from deployments.cli.output import AsJson, print_json, say, show, table, when
from deployments.stack.environment import prepare_prefect
from models.errors import ExitCode

if TYPE_CHECKING:
    from tasks.monitoring.status import Status

METRICS_PORT = 9464


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command("status", epilog="Example: desk status --late-after 60")(status)
    app.command("metrics", epilog="Example: desk metrics --port 9464")(metrics)


def status(
    *,
    late_after: Annotated[
        float | None,
        typer.Option(
            "--late-after",
            min=0.0,
            metavar="MINUTES",
            help="Work that was last complete longer ago is late. Default: three intervals of its schedule.",
        ),
    ] = None,
    as_json: AsJson = False,
) -> int:
    """Say whether all is well: last success, lag behind podOS, what waits and what failed.

    podOS is not asked. Exit code 1: something is late, failed, or over its
    threshold; it says what. Connected names and next runs come from the Prefect server of PREFECT_API_URL.
    """
    prepare_prefect(quiet=True)
    from models.settings import Environment
    from tasks.monitoring.plans import read_plans
    from tasks.monitoring.status import read_status

    thresholds = Environment().thresholds()
    if late_after:
        thresholds = thresholds._replace(late_after=timedelta(minutes=late_after))
    plans = asyncio.run(read_plans())
    with open_the_desk() as engine:
        found = read_status(engine, plans, thresholds, now=datetime.now(UTC))
    if as_json:
        print_json(found.as_dict())
    else:
        _print(found)
    return ExitCode.DONE if found.is_well else ExitCode.FAILED


def metrics(
    *,
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port on 127.0.0.1.")] = METRICS_PORT,
) -> None:
    """Serve /metrics for Prometheus and /health for monitors, until Ctrl-C: what `desk status` says.

    `desk up --metrics-port` does the same beside the system.
    """
    prepare_prefect(quiet=True)
    from deployments.stack.metrics_server import serving
    from deployments.stack.stop_signals import stopped_by_signals
    from deployments.stack.up import check_port

    check_port(port, option="--port")
    with stopped_by_signals(), serving(port) as address:
        say(f"{address}/metrics and {address}/health")
        say("Ctrl-C stops it")
        while True:
            time.sleep(0.5)


def _print(found: Status) -> None:
    from tasks.monitoring.health import spell

    unknown = None if found.plans_known else "unknown"
    table(
        ["Work", "Of", "Last success (UTC)", "Behind podOS", "Next run (UTC)"],
        [
            (
                status.work.value,
                status.name,
                when(status.last_success_at) or "never",
                None if status.behind_seconds is None else spell(timedelta(seconds=status.behind_seconds)),
                when(status.next_run_at) or unknown or "none is planned",
            )
            for status in found.work
        ],
    )
    counts = vars(found.backlog)
    table(
        ["Waits or failed", "Count"],
        [(name.replace("_", " ").capitalize(), count) for name, count in counts.items()],
    )
    for trouble in found.troubles:
        since = f" (since {when(trouble.since)} UTC)" if trouble.since else ""
        show(f"not well: {trouble.text}{since}")
    if found.is_well:
        show("all is well")
