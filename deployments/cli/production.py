"""`desk printed`, `desk production` and `desk production resend`."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
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
from deployments.cli.order_arguments import ORDER_HELP, tell_desk_ids, the_orders
from deployments.cli.output import AsJson, print_json, show, when
from deployments.stack.environment import prepare_prefect

if TYPE_CHECKING:
    from tasks.production.store import ProductionSummary

production_app = typer.Typer()


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command("printed", epilog="Example: desk printed A-1001 A-1002")(printed)
    app.add_typer(production_app, name="production")


def printed(
    orders: Annotated[list[str], typer.Argument(metavar="ORDER...", help=ORDER_HELP)],
    *,
    as_json: AsJson = False,
) -> None:
    """Say that orders are printed: the next sync tells podOS, where the integration is set to tell it.

    See the setting Tell podOS When Production Begins. A refunded order is refused, and then none is noted.
    """
    prepare_prefect(quiet=True)
    from tasks.prefect_api.events import emit_shipments_added
    from tasks.production.store import mark_printed

    with open_the_desk() as engine:
        named = the_orders(engine, orders, as_json=as_json)
        new, integrations = mark_printed(engine, [order.reference for order in named], now=datetime.now(UTC))
    asyncio.run(emit_shipments_added(integrations))
    tell_desk_ids(named)
    if as_json:
        print_json({"printed": len(new), "known": len(set(orders)) - len(new)})
    else:
        show(f"{len(new)} {'order is' if len(new) == 1 else 'orders are'} printed")


@production_app.callback(invoke_without_command=True, epilog="Example: desk production --failed")
def list_production(
    context: typer.Context,
    *,
    failed: Failed = False,
    waiting: Waiting = False,
    limit: Limit = None,
    before: Before = None,
    as_json: AsJson = False,
) -> None:
    """List what podOS is told of production, the newest first: where each status stands, and why."""
    if is_for_subcommand(context, failed, waiting, limit, before, as_json):
        return
    refuse_both(failed=failed, waiting=waiting)
    from models.tables.outbox import OutboxState
    from tasks.production.store import list_statuses

    state = OutboxState.FAILED if failed else OutboxState.WAITING if waiting else None
    with open_the_desk() as engine:
        show_or_print(
            lambda size: list_statuses(engine, state=state, limit=size, before_id=before),
            ["Id", "Order", "Status", "State", "Tries", "Next try (UTC)", "Told (UTC)", "Reason"],
            _cells,
            limit,
            as_json=as_json,
            optional=("Tries", "Told (UTC)", "Next try (UTC)"),
        )


def _cells(row: ProductionSummary) -> tuple[object, ...]:
    next_try = when(row.next_attempt_at) if row.state == "waiting" else None
    told = when(row.sent_at)
    return (
        row.id,
        row.order,
        row.status,
        row.state.replace("_", " "),
        row.attempts,
        next_try,
        told,
        row.reason,
    )


@production_app.command("resend", epilog="Example: desk production resend --all-failed")
def resend(
    ids: Annotated[
        list[int] | None, typer.Argument(metavar="[ID]...", help="Statuses, as `desk production` shows them.")
    ] = None,
    *,
    all_failed: Annotated[bool, typer.Option("--all-failed", help="All that failed.")] = False,
    as_json: AsJson = False,
) -> None:
    """Let the next sync tell podOS statuses again."""
    if bool(ids) == all_failed:
        raise typer.BadParameter("give statuses, or --all-failed", param_hint="ID")
    prepare_prefect(quiet=True)
    from tasks.prefect_api.events import emit_shipments_added
    from tasks.production.store import resend_statuses

    with open_the_desk() as engine:
        count, integrations = resend_statuses(engine, None if all_failed else ids)
    asyncio.run(emit_shipments_added(integrations))
    if as_json:
        print_json({"resent": count})
    else:
        show(f"{count} {'status waits' if count == 1 else 'statuses wait'} to be told")
