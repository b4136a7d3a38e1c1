"""`desk check` and `desk import`."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import date, datetime
from typing import TYPE_CHECKING, Annotated, Any
from zoneinfo import ZoneInfo

import typer

from deployments.cli.history import rejected_app
from deployments.cli.integrations import Name
from deployments.cli.output import AsJson, print_json, progress, table
from deployments.cli.run_outcome import run_observed
from deployments.stack.environment import prepare_prefect

if TYPE_CHECKING:
    from models.reports import ImportReport


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command("check", epilog="Example: desk check default")(check)
    app.command(
        "import", epilog="Example: desk import default --since 2026-11-01 --until 2026-11-07 --dry-run"
    )(import_orders)
    rejected_app.command("replay", epilog="Example: desk rejected replay default")(replay)


def check(name: Name = "default", *, as_json: AsJson = False) -> None:
    """Look for new orders now, and import them."""
    prepare_prefect(quiet=True, needs_server=True)
    from deployments.cli.connecting import checked_name
    from flows.check_orders import check_for_new_orders

    checked_name(name)
    print_report(run_and_watch(lambda: check_for_new_orders(name, return_state=True), name), as_json=as_json)


def import_orders(
    name: Name = "default",
    *,
    since: Annotated[
        str | None, typer.Option(help="First day, e.g. 2026-11-01, or a moment, e.g. 2026-11-01T09:30.")
    ] = None,
    until: Annotated[
        str | None, typer.Option(help="Last day, counted whole, or the moment before which the import ends.")
    ] = None,
    order: Annotated[
        list[str] | None, typer.Option(help="Only this podOS fulfillment (its id); several times.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Write nothing; say what would happen.")] = False,
    as_json: AsJson = False,
) -> None:
    """Import orders from a date on, or single orders; any volume in one go.

    Days count whole, in the integration's time zone. Orders that are in the desk already stay as they are.
    The date may lie before the First Import Date.
    """
    prepare_prefect(quiet=True, needs_server=True)
    from deployments.cli.connecting import checked_name
    from flows.manual_import import import_single_orders, manual_import

    checked_name(name)
    if bool(order) == bool(since):
        raise typer.BadParameter("give either --since D or --order SOURCE-ID", param_hint="--since / --order")
    if order:
        ids = list(order)
        report = run_and_watch(
            lambda: import_single_orders(name, ids, dry_run=dry_run, return_state=True), name
        )
    else:
        moments = (moment_of(str(since), "--since"), moment_of(until, "--until") if until else None)
        report = run_and_watch(lambda: _manual(name, moments, dry_run, manual_import), name)
    print_report(report, as_json=as_json)


def replay(name: Name = "default", *, as_json: AsJson = False) -> None:
    """Try the rejected orders again, as podOS has them now."""
    prepare_prefect(quiet=True, needs_server=True)
    from deployments.cli.connecting import checked_name
    from flows.manual_import import replay_rejected

    checked_name(name)
    print_report(run_and_watch(lambda: replay_rejected(name, return_state=True), name), as_json=as_json)


Moment = tuple[date, datetime | None]


async def _manual(name: str, moments: tuple[Moment, Moment | None], dry_run: bool, flow: Any) -> Any:
    from models.forms import ManualImport
    from tasks.prefect_api.integrations import load_integration

    zone = ZoneInfo((await load_integration(name)).time_zone)
    since, since_time = _day_and_time(moments[0], zone)
    until, until_time = _day_and_time(moments[1], zone) if moments[1] else (None, "")
    request = ManualImport(
        integration=name,
        since=since,
        until=until,
        dry_run=dry_run,
        since_time=since_time,
        until_time=until_time,
    )
    return await flow(request, return_state=True)


def _day_and_time(moment: Moment, zone: ZoneInfo) -> tuple[date, str]:
    day, time = moment
    if time is None:
        return day, ""
    local = time.astimezone(zone) if time.tzinfo else time
    return local.date(), f"{local:%H:%M:%S}"


def moment_of(text: str, option: str) -> Moment:
    """Return a day, and the moment if a time was given (naive: in the integration's time zone)."""
    try:
        if len(text) <= 10:
            return date.fromisoformat(text), None
        moment = datetime.fromisoformat(text)
    except ValueError:
        message = f"{text!r} is no date; write 2026-11-01 or 2026-11-01T09:30"
        raise typer.BadParameter(message, param_hint=option) from None
    return moment.date(), moment


def run_and_watch(run: Callable[[], Awaitable[Any]], name: str) -> ImportReport:
    """Run a flow in this process, show its progress on a terminal and return its report.

    Raises:
        Exception: the error that ended the run, as it was.
        RunFailedError: Prefect ended it for a reason of its own.
    """
    from flows.runs import Observer

    def tell(report: ImportReport) -> None:
        if observing.windows is None:
            show(report.fetched, report.one_line())
            return
        done, total = observing.windows
        show(done, f"{done} of {total} windows; {report.one_line()}", total)

    with progress(f"importing orders of {name}") as show:
        observing = Observer(tell)
        report: ImportReport = asyncio.run(run_observed(run, name, observing))
    if observing.error:
        raise observing.error
    return report


def print_report(report: ImportReport, *, as_json: bool) -> None:
    """Show a report: a table, or with ``as_json`` one JSON document."""
    if as_json:
        print_json(report.as_dict())
        return
    from models.reports import SKIPPED, Outcome

    imported = "Would import" if report.dry_run else "Imported"
    rows = [
        ("Fetched", report.fetched),
        (imported, report.counts[Outcome.IMPORTED]),
        ("  of these, need attention", report.needs_attention),
        ("Already imported", report.counts[Outcome.ALREADY_IMPORTED]),
        *((f"Skipped: {reason.value.replace('_', ' ')}", report.counts[reason]) for reason in SKIPPED),
        ("Rejected", report.counts[Outcome.REJECTED]),
    ]
    rows += [
        (f"Changed upstream: {kind.value.replace('_', ' ')}", count)
        for kind, count in report.changed.items()
        if count
    ]
    if report.rules:
        rows += [("Times that rules fired", report.rules.fired), ("Queued by rules", report.rules.queued)]
    run = f"run {report.run_id}" if report.run_id else "dry run, nothing written"
    table(
        [f"{report.kind.capitalize()} of {report.integration} ({run})", "Orders"],
        [(label, str(count)) for label, count in rows],
    )
