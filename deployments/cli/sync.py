"""`desk sync`, `desk shipments` and `desk shipments resend`."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from deployments.cli.desk_access import open_the_desk
from deployments.cli.integrations import Name
from deployments.cli.listing import (
    Before,
    Failed,
    Limit,
    Waiting,
    is_for_subcommand,
    refuse_both,
    show_or_print,
)
from deployments.cli.output import AsJson, print_json, say, show, when
from deployments.cli.run_outcome import print_deliveries, run_observed
from deployments.stack.environment import prepare_prefect

if TYPE_CHECKING:
    from models.shipments import SyncReport
    from tasks.tracking.shipment_list import ShipmentSummary

shipments_app = typer.Typer()


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command("sync", epilog="Example: desk sync default")(sync)
    app.add_typer(shipments_app, name="shipments")


def sync(name: Name = "default", *, as_json: AsJson = False) -> None:
    """Send what waits to podOS now: tracking, and the order marked complete.

    What podOS shows already is not sent again. What can't be sent now waits and is tried again by later
    syncs; `desk shipments` shows it with the reason.
    """
    prepare_prefect(quiet=True, needs_server=True)
    from deployments.cli.connecting import checked_name

    checked_name(name)
    report, error = run_and_watch(name)
    if report:
        _print(report, as_json=as_json)
    if error:
        raise error
    if report and report.would_send is not None:
        say(f"read-only mode: nothing was sent, {report.would_send} would be; desk connect --no-read-only")
    told = report.production if report else None
    if told and (told.pending or told.refused):
        say(f"production: {told.one_line()}")
    if report and report.is_off:
        say("Sync Tracking Numbers is off: nothing was sent; desk connect --sync-tracking switches it on")


def run_and_watch(name: str) -> tuple[SyncReport | None, Exception | None]:
    """Run the flow in this process and return its report, and the error that ended it."""
    from flows.runs import Observer
    from flows.sync_tracking import sync_tracking

    observing = Observer()
    report = asyncio.run(run_observed(lambda: sync_tracking(name, return_state=True), name, observing))
    return report, observing.error


def _print(report: SyncReport, *, as_json: bool) -> None:
    if as_json:
        print_json(report.as_dict())
    else:
        print_deliveries(report, f"Sync of {report.name}", "Shipments", "nothing to send")


@shipments_app.callback(invoke_without_command=True, epilog="Example: desk shipments --failed")
def list_the_shipments(
    context: typer.Context,
    *,
    failed: Failed = False,
    waiting: Waiting = False,
    limit: Limit = None,
    before: Before = None,
    as_json: AsJson = False,
) -> None:
    """List the shipments, the newest first: where each stands, and why one waits or failed."""
    if is_for_subcommand(context, failed, waiting, limit, before, as_json):
        return
    refuse_both(failed=failed, waiting=waiting)
    from models.tables.outbox import OutboxState
    from tasks.tracking.shipment_list import list_shipments

    state = OutboxState.FAILED if failed else OutboxState.WAITING if waiting else None
    with open_the_desk() as engine:
        show_or_print(
            lambda size: list_shipments(engine, state=state, limit=size, before_id=before),
            ["Id", "Order", "Courier", "Code", "State", "Tries", "Next try (UTC)", "Sent (UTC)", "Reason"],
            _cells,
            limit,
            as_json=as_json,
            optional=("Sent (UTC)", "Tries", "Next try (UTC)", "Courier"),
        )


def _cells(shipment: ShipmentSummary) -> tuple[object, ...]:
    return (
        *(shipment.id, shipment.order, shipment.courier, shipment.code, shipment.state.replace("_", " ")),
        *(shipment.attempts, when(shipment.next_attempt_at), when(shipment.sent_at), shipment.reason),
    )


@shipments_app.command("resend", epilog="Example: desk shipments resend --all-failed")
def resend(
    ids: Annotated[
        list[int] | None, typer.Argument(metavar="[ID]...", help="Shipments, as `desk shipments` shows them.")
    ] = None,
    *,
    all_failed: Annotated[bool, typer.Option("--all-failed", help="All that failed.")] = False,
    force: Annotated[
        bool, typer.Option("--force", help="Replace another tracking that podOS already shows.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Let the next sync try shipments again, as if for the first time."""
    if bool(ids) == all_failed:
        raise typer.BadParameter("give shipments, or --all-failed", param_hint="ID")
    prepare_prefect(quiet=True)
    from tasks.desk.engine import reading
    from tasks.prefect_api.events import emit_shipments_added
    from tasks.tracking.store import integrations_of, resend_shipments

    with open_the_desk() as engine:
        again = resend_shipments(engine, None if all_failed else ids, overwrite=force, now=datetime.now(UTC))
        with reading(engine) as connection:
            integrations = integrations_of(connection, again)
    asyncio.run(emit_shipments_added(integrations))
    if as_json:
        print_json({"resent": again})
    else:
        show(f"{len(again)} {'shipment waits' if len(again) == 1 else 'shipments wait'} for the next sync")
