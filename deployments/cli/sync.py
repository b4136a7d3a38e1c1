"""`desk sync`, `desk shipments` and `desk shipments resend`."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from deployments.cli.desk_access import open_the_desk
from deployments.cli.integrations import Name
from deployments.cli.output import AsJson, print_json, print_json_list, say, show, table, when
from deployments.cli.run_outcome import print_deliveries, run_observed
from deployments.stack.environment import prepare_prefect

if TYPE_CHECKING:
    from models.desk import OutboxState
    from models.shipments import SyncReport
    from tasks.tracking.shipment_list import ShipmentSummary

DEFAULT_LIMIT = 50

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
    prepare_prefect(quiet=True)
    from deployments.cli.connecting import checked_name

    checked_name(name)
    report, error = run_and_watch(name)
    if report:
        _print(report, as_json=as_json)
    if error:
        raise error
    if report and report.would_send is not None:
        say(f"read-only mode: nothing was sent, {report.would_send} would be; desk connect --no-read-only")
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
    failed: Annotated[bool, typer.Option("--failed", help="Only those that failed.")] = False,
    waiting: Annotated[bool, typer.Option("--waiting", help="Only those that wait.")] = False,
    limit: Annotated[
        int | None,
        typer.Option(min=1, metavar="N", help=f"At most N shipments; {DEFAULT_LIMIT}, with --json all."),
    ] = None,
    before: Annotated[
        int | None, typer.Option(min=1, metavar="ID", help="Only those with a smaller id: the next page.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """List the shipments, the newest first: where each stands, and why one waits or failed."""
    if context.invoked_subcommand:
        if failed or waiting or limit or before or as_json:
            raise typer.BadParameter("put options behind the command: desk shipments resend ...")
        return
    if failed and waiting:
        raise typer.BadParameter("--failed and --waiting exclude each other", param_hint="--failed")
    from tasks.tracking.shipment_list import list_shipments

    state = _state(failed=failed, waiting=waiting)
    with open_the_desk() as engine:
        if as_json:
            found = list_shipments(engine, state=state, limit=limit, before_id=before)
            print_json_list(shipment.as_dict() for shipment in found)
            return
        size = limit or DEFAULT_LIMIT
        shown = list(list_shipments(engine, state=state, limit=size + 1, before_id=before))
    _show(shown[:size])
    if len(shown) > size:
        say(f"There are more: --limit N shows N, --before {shown[size - 1].id} goes on from here.")


def _state(*, failed: bool, waiting: bool) -> OutboxState | None:
    from models.desk import OutboxState

    if failed:
        return OutboxState.FAILED
    return OutboxState.WAITING if waiting else None


def _show(shipments: Sequence[ShipmentSummary]) -> None:
    table(
        ["Id", "Order", "Courier", "Code", "State", "Tries", "Next try (UTC)", "Sent (UTC)", "Reason"],
        [
            (
                *(
                    shipment.id,
                    shipment.order,
                    shipment.courier,
                    shipment.code,
                    shipment.state.replace("_", " "),
                    shipment.attempts,
                ),
                *(when(shipment.next_attempt_at), when(shipment.sent_at), shipment.reason),
            )
            for shipment in shipments
        ],
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
