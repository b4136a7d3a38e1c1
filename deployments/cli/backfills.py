"""`desk backfill`."""

from __future__ import annotations

from datetime import date
from typing import Annotated

import typer

from deployments.cli.exit_codes import Terminated
from deployments.cli.imports import print_report, run_and_watch
from deployments.cli.integrations import Name
from deployments.cli.output import AsJson, say
from deployments.stack.environment import prepare_prefect

WINDOWS = 8
GOES_ON = (
    "the workers go on with the windows that they have been given; "
    "the same command again waits for those and hands out the rest"
)


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("backfill", epilog="Example: desk backfill default --since 2024-01-01 --windows 24")(backfill)


def backfill(
    name: Name = "default",
    *,
    since: Annotated[str, typer.Option(help="First day, e.g. 2024-01-01.")],
    until: Annotated[str | None, typer.Option(help="Last day, counted whole; none: up to now.")] = None,
    windows: Annotated[
        int, typer.Option(min=1, max=1000, metavar="N", help="Into how many parts the orders are split.")
    ] = WINDOWS,
    as_json: AsJson = False,
) -> None:
    """Import any volume with many workers: the orders are split into windows, each a run on the work pool.

    Stopped or killed, and started again with the same dates, it goes on with the windows that are left.
    A window that fails does not stop the others. Needs a Prefect server (PREFECT_API_URL) with workers.
    """
    prepare_prefect(quiet=True)
    from deployments.cli.connecting import checked_name
    from flows.backfill_orders import backfill_orders
    from models.forms import Backfill

    request = Backfill(
        integration=checked_name(name),
        since=_day(since, "--since"),
        until=_day(until, "--until") if until else None,
        windows=windows,
    )
    try:
        report = run_and_watch(lambda: backfill_orders(request, return_state=True), name)
    except (KeyboardInterrupt, Terminated):
        say(GOES_ON)
        raise
    print_report(report, as_json=as_json)


def _day(text: str, option: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter(f"{text!r} is no date; write 2024-01-01", param_hint=option) from None
