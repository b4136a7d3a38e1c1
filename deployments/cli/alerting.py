"""`desk alerts`, `desk alerts setup` and `desk alerts test`."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated

import typer

from deployments.cli.output import AsJson, print_json, say, table
from deployments.stack.environment import prepare_prefect

if TYPE_CHECKING:
    from uuid import UUID

    from pydantic import SecretStr

alerts_app = typer.Typer()
TEST_SECONDS = 60.0


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.add_typer(alerts_app, name="alerts")


@alerts_app.callback(invoke_without_command=True, epilog="Example: desk alerts --json")
def list_alerts(context: typer.Context, *, as_json: AsJson = False) -> None:
    """List the alerts: which are on, and where they go."""
    if context.invoked_subcommand:
        if as_json:
            raise typer.BadParameter(
                f"put options behind the command: desk alerts {context.invoked_subcommand} ..."
            )
        return
    _need_a_server()
    from deployments.stack import alerts

    found = asyncio.run(alerts.list_alerts())
    if as_json:
        print_json([alert._asdict() for alert in found])
        return
    table(
        ["Alert", "On", "Goes to"],
        [(alert.name, "yes" if alert.is_on else "no", alert.block) for alert in found],
    )
    if not found:
        say("no alerts are set up: desk alerts setup --webhook URL")


@alerts_app.command("setup", epilog="Example: desk alerts setup --block slack-webhook/ops")
def setup(
    *,
    webhook: Annotated[
        str | None, typer.Option(metavar="URL", help="Post alerts there. Or put it into DESK_ALERT_WEBHOOK.")
    ] = None,
    block: Annotated[
        str | None, typer.Option(metavar="SLUG", help="Notify through this Prefect block: TYPE/NAME.")
    ] = None,
    silence: Annotated[
        float | None,
        typer.Option(
            min=0.1,
            metavar="MINUTES",
            help="No check has ended for so long: that is an alert. Default: as `desk status` judges.",
        ),
    ] = None,
) -> None:
    """Set up alerts as automations of the Prefect server, or change where they go. Safe to repeat.

    Each cause is told once, and again only after it was well in between. What a person switched off in the
    Prefect pages stays off.
    """
    _need_a_server()
    from pydantic import SecretStr

    from models.settings import Environment

    if webhook and block:
        raise typer.BadParameter("give --webhook or --block, not both", param_hint="--webhook")
    address = SecretStr(webhook) if webhook else None if block else Environment().desk_alert_webhook
    if not address and not block:
        raise typer.BadParameter(
            "give --webhook URL or --block TYPE/NAME, or set DESK_ALERT_WEBHOOK", param_hint="--webhook"
        )
    changed = asyncio.run(_set_up(address, block, timedelta(minutes=silence) if silence else None))
    for name in changed:
        say(f"set up: {name}")
    say("alerts are set up; try: desk alerts test" if changed else "nothing to change")


async def _set_up(address: SecretStr | None, block: str | None, silence: timedelta | None) -> list[str]:
    from deployments.stack.alerts import find_block, save_webhook, set_up_alerts, usual_silence

    block_id: UUID = await save_webhook(address) if address else await find_block(str(block))
    return await set_up_alerts(block_id, silence or await usual_silence())


@alerts_app.command("test", epilog="Example: desk alerts test")
def test() -> None:
    """Send a test alert the way that every alert goes, and wait until it was taken."""
    _need_a_server()
    from deployments.stack.alerts import send_test

    asyncio.run(send_test(TEST_SECONDS))
    say("the test alert was taken")


def _need_a_server() -> None:
    prepare_prefect(quiet=True)
    from models.settings import Environment

    if not Environment().prefect_api_url:
        raise typer.BadParameter("set PREFECT_API_URL to the server's address", param_hint="PREFECT_API_URL")
