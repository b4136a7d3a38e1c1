"""`desk send`, `desk outbox`, `desk outbox resend`, `desk outbox cancel`, `desk hold` and `desk release`."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

from deployments.cli.desk_access import open_the_desk
from deployments.cli.listing import (
    Before,
    Failed,
    Limit,
    Waiting,
    is_for_subcommand,
    refuse_both,
    show_or_print,
)
from deployments.cli.order_arguments import ORDER_HELP, tell_desk_ids, the_order, the_orders
from deployments.cli.output import AsJson, print_json, say, show, when
from deployments.cli.run_outcome import print_deliveries, run_observed
from deployments.stack.environment import prepare_prefect

if TYPE_CHECKING:
    from collections.abc import Collection

    from flows.runs import Observer
    from models.handovers import SendReport
    from tasks.fulfilment.store import HandoverSummary

outbox_app = typer.Typer()
Order = Annotated[str, typer.Argument(metavar="ORDER", help=ORDER_HELP)]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command("send", epilog="Example: desk send A-1001 --to acme")(send)
    app.add_typer(outbox_app, name="outbox")
    app.command("hold", epilog='Example: desk hold A-1001 --reason "artwork is unclear"')(hold)
    app.command("release", epilog="Example: desk release A-1001")(release)


def send(
    orders: Annotated[
        list[str] | None,
        typer.Argument(metavar="[ORDER]...", help=ORDER_HELP),
    ] = None,
    *,
    to: Annotated[str | None, typer.Option("--to", metavar="F", help="The fulfiller that gets them.")] = None,
    folder: Annotated[
        str | None, typer.Option("--folder", metavar="F", help="All orders of this folder.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Hand orders over to a fulfiller now; without orders, all that waits.

    An order goes to each fulfiller once, whatever is asked for. What can't be sent now waits and is tried
    again; `desk outbox` shows it with the reason.
    """
    if orders and folder:
        raise typer.BadParameter("give orders or --folder, not both", param_hint="--folder")
    prepare_prefect(quiet=True, needs_server=to is not None or not (orders or folder))
    observing = asyncio.run(_send(orders or [], folder, to, as_json=as_json))
    reports: list[SendReport] = list(observing.reports.values())
    if as_json:
        print_json([report.as_dict() for report in reports])
    else:
        for report in reports:
            _print(report)
    if observing.error:
        raise observing.error


async def _send(orders: list[str], folder: str | None, to: str | None, *, as_json: bool) -> Observer:
    from flows.runs import Observer
    from tasks.fulfilment.fulfillers import fulfiller_names, load_fulfiller
    from tasks.fulfilment.store import find_orders, queue_by_hand

    if to is not None:
        await load_fulfiller(to)  # an unknown one is told before anything is queued
    if not orders and folder is None:
        names: Collection[str] = [to] if to else await fulfiller_names()
        if not names:
            say("no fulfiller is set up yet: desk fulfillers add")
        return await _run(names, Observer())
    with open_the_desk() as engine:
        named = the_orders(engine, orders, as_json=as_json)
        ids = find_orders(engine, [order.reference for order in named], folder)
        names = queue_by_hand(engine, ids, to, now=datetime.now(UTC))
    tell_desk_ids(named)
    return await _run(names, Observer(order_ids=ids))


async def _run(names: Collection[str], observing: Observer) -> Observer:
    prepare_prefect(quiet=True, needs_server=bool(names))
    from flows.send_orders import send_orders

    for name in sorted(names):
        await run_observed(partial(send_orders, name, return_state=True), name, observing)
    return observing


def _print(report: SendReport) -> None:
    print_deliveries(report, f"Orders to {report.name}", "Orders", "nothing sent")
    if report.would_send is not None:
        say(f"read-only mode: nothing was sent, {report.would_send} would be")


@outbox_app.callback(invoke_without_command=True, epilog="Example: desk outbox --failed")
def list_the_outbox(
    context: typer.Context,
    *,
    failed: Failed = False,
    waiting: Waiting = False,
    limit: Limit = None,
    before: Before = None,
    as_json: AsJson = False,
) -> None:
    """List the orders queued for fulfillers, the newest first: where each stands, and why."""
    if is_for_subcommand(context, failed, waiting, limit, before, as_json):
        return
    refuse_both(failed=failed, waiting=waiting)
    from models.tables.outbox import OutboxState
    from tasks.fulfilment.store import list_handovers

    state = OutboxState.FAILED if failed else OutboxState.WAITING if waiting else None
    columns = ["Id", "Order", "Fulfiller", "State", "Tries", "Next try (UTC)", "Sent (UTC)", "Reference"]
    with open_the_desk() as engine:
        show_or_print(
            lambda size: list_handovers(engine, state=state, limit=size, before_id=before),
            [*columns, "Reason"],
            _cells,
            limit,
            as_json=as_json,
            optional=("Reference", "Sent (UTC)", "Tries", "Next try (UTC)", "Fulfiller"),
        )


def _cells(handover: HandoverSummary) -> tuple[object, ...]:
    next_try = when(handover.next_attempt_at) if handover.state == "waiting" else None
    return (
        *(handover.id, handover.order, handover.fulfiller, handover.state.replace("_", " ")),
        *(handover.attempts, next_try, when(handover.sent_at), handover.reference, handover.reason),
    )


@outbox_app.command("resend", epilog="Example: desk outbox resend --all-failed")
def resend(
    ids: Annotated[
        list[int] | None, typer.Argument(metavar="[ID]...", help="Handovers, as `desk outbox` shows them.")
    ] = None,
    *,
    all_failed: Annotated[bool, typer.Option("--all-failed", help="All that failed.")] = False,
    as_json: AsJson = False,
) -> None:
    """Let orders be sent again, as if for the first time; the fulfiller knows them by their key."""
    if bool(ids) == all_failed:
        raise typer.BadParameter("give handovers, or --all-failed", param_hint="ID")
    prepare_prefect(quiet=True)
    from tasks.fulfilment.store import resend_handovers
    from tasks.prefect_api.events import emit_orders_queued

    with open_the_desk() as engine:
        again, fulfillers = resend_handovers(engine, None if all_failed else ids, now=datetime.now(UTC))
    asyncio.run(emit_orders_queued(fulfillers))
    if as_json:
        print_json({"resent": again})
    else:
        show(f"{len(again)} {'order waits' if len(again) == 1 else 'orders wait'} to be sent")


@outbox_app.command("cancel", epilog="Example: desk outbox cancel 12 13")
def cancel(
    ids: Annotated[
        list[int], typer.Argument(metavar="ID...", help="Handovers, as `desk outbox` shows them.")
    ],
    *,
    as_json: AsJson = False,
) -> None:
    """Take orders that wait or failed out of the outbox: they are not sent, unless you resend them."""
    from tasks.fulfilment.store import cancel_handovers

    with open_the_desk() as engine:
        canceled, begun = cancel_handovers(engine, ids, now=datetime.now(UTC))
    if as_json:
        print_json({"canceled": canceled, "fulfillers_to_ask": sorted(begun)})
        return
    show(f"{len(canceled)} {'order is' if len(canceled) == 1 else 'orders are'} taken out of the outbox")
    for name in sorted(begun):
        show(f"an attempt had begun: ask {name} whether an order arrived")


def hold(
    order: Order,
    *,
    reason: Annotated[str, typer.Option("--reason", metavar="R", help="Why; it is shown with the order.")],
) -> None:
    """Keep an order from being sent to any fulfiller, until `desk release`."""
    from tasks.fulfilment.store import hold_order

    with open_the_desk() as engine:
        named = the_order(engine, order)
        hold_order(engine, named.reference, reason, now=datetime.now(UTC))
    show(f"{named.shown} is held")


def release(order: Order) -> None:
    """Let a held order be sent again."""
    from tasks.fulfilment.store import release_order

    with open_the_desk() as engine:
        named = the_order(engine, order)
        release_order(engine, named.reference, now=datetime.now(UTC))
    show(f"{named.shown} is released")
