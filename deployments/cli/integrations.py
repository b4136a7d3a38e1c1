"""`desk connect` and `desk settings`."""

from __future__ import annotations

import asyncio
import sys
from datetime import date
from typing import Annotated, Any
from urllib.parse import urlsplit

import typer

from deployments.cli.output import AsJson, print_json, say, table
from deployments.stack.environment import prepare_prefect

Name = Annotated[str, typer.Argument(help="The integration.", metavar="NAME")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command(
        "connect",
        epilog="Example: PODOS_API_TOKEN=... desk connect default --project acme-441595 --country GB",
    )(connect)
    app.command("settings", epilog="Example: desk settings default --json")(settings)


def connect(
    name: Name = "default",
    *,
    project: Annotated[str | None, typer.Option(help="Project Name in podOS, e.g. acme-441595.")] = None,
    base_url: Annotated[str | None, typer.Option(help="Where podOS answers.")] = None,
    folder: Annotated[str | None, typer.Option(help="Folder for New Orders.")] = None,
    status: Annotated[
        list[str] | None, typer.Option(help="Order Status Filter; may be given several times.")
    ] = None,
    order_prefix: Annotated[str | None, typer.Option(help="Order Prefix.")] = None,
    country_mode: Annotated[
        str | None, typer.Option(help="Country Filter: standard (only these) or inverted (all but these).")
    ] = None,
    country: Annotated[
        list[str] | None, typer.Option(help="Country Filter: ISO code; several times; ALL empties the list.")
    ] = None,
    first_import_date: Annotated[
        str | None, typer.Option(help="First Import Date, e.g. 2026-11-01; NONE: from the beginning.")
    ] = None,
    timezone: Annotated[str | None, typer.Option(help="Time zone of its days, e.g. Europe/London.")] = None,
    sync_tracking: Annotated[
        bool | None, typer.Option("--sync-tracking/--no-sync-tracking", help="Sync Tracking Numbers.")
    ] = None,
    read_only: Annotated[
        bool | None, typer.Option("--read-only/--no-read-only", help="Read-Only Mode: never write to podOS.")
    ] = None,
    courier: Annotated[
        list[str] | None,
        typer.Option(
            help="Courier Names: CODE=NAME, such as RM24=Royal Mail; several times; NONE: no names."
        ),
    ] = None,
    move_to: Annotated[
        str | None, typer.Option(help="After Shipment, Move To: a folder; NONE: orders stay.")
    ] = None,
    if_canceled: Annotated[
        str | None, typer.Option(help="If Canceled, Move To: a folder; NONE: orders stay, and are held.")
    ] = None,
    when_away: Annotated[
        str | None, typer.Option(help="When podOS Is Away: wait with handovers, or send without a last look.")
    ] = None,
    tell_production: Annotated[
        str | None,
        typer.Option(help="Tell podOS When Production Begins: off, at the handover, or when accepted."),
    ] = None,
    connections: Annotated[int | None, typer.Option(min=1, max=64, help="Requests to podOS at once.")] = None,
    requests_per_second: Annotated[
        float | None, typer.Option(min=0, max=1000, help="The most requests per second; 0: no limit.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Connect a podOS project, or change the settings of one that is connected.

    podOS is asked whether project and token are right before anything is saved. The token comes from
    PODOS_API_TOKEN or a hidden prompt, never from an argument. Given again with the same NAME, only what is
    given changes.
    """
    prepare_prefect(quiet=True, needs_server=True)
    given: dict[str, Any] = {
        "project": project,
        "base_url": base_url,
        "folder": folder,
        "statuses": [text.strip().lower() for text in status] if status else None,
        "order_prefix": order_prefix,
        "country_mode": country_mode.capitalize() if country_mode else None,
        "countries": _countries(country),
        "time_zone": timezone,
        "sync_tracking": sync_tracking,
        "read_only": read_only,
        "couriers": _couriers(courier),
        "after_shipment_folder": _folder(move_to),
        "canceled_folder": _folder(if_canceled),
        "when_away": when_away.strip().lower() if when_away else None,
        "tell_production": tell_production.strip().lower() if tell_production else None,
        "connections": connections,
        "requests_per_second": requests_per_second,
    }
    given = {field: value for field, value in given.items() if value is not None}
    if first_import_date is not None:
        given["first_import_date"] = _day(first_import_date)
    shown = asyncio.run(_connect(name, given))
    if as_json:
        print_json(shown)
        return
    say(f"connected {name}: podOS accepted project and token")
    _show(shown)
    say(f"next: desk check {name}")


async def _connect(name: str, given: dict[str, Any]) -> dict[str, Any]:
    from deployments.cli.connecting import connect, saved_fields, shown
    from models.settings import Environment
    from models.web_address import PODOS_BASE_URL

    saved = await saved_fields(name)
    _refuse_real_orders_beside_invented(str(given.get("base_url") or saved.get("base_url") or PODOS_BASE_URL))
    token = Environment().podos_api_token
    if token is None and not saved and sys.stdin.isatty():
        token = typer.prompt("podOS API token", hide_input=True)
    if token:
        given = {**given, "api_token": token}
    return shown(name, await connect(name, saved, given))


def _refuse_real_orders_beside_invented(base_url: str) -> None:
    """Keep a real project out of the desk that belongs to the sandbox."""
    from deployments.stack.running_system import uses_sandbox
    from models.web_address import is_loopback

    if uses_sandbox() and not is_loopback(urlsplit(base_url).hostname or ""):
        raise typer.BadParameter(
            "desk up --sandbox is running, and its desk is for invented orders: stop it, connect, and start "
            "desk up without --sandbox; or give --base-url for a sandbox on this machine",
            param_hint="--base-url",
        )


def _folder(name: str | None) -> str | None:
    return "" if name is not None and name.upper() == "NONE" else name


def _countries(codes: list[str] | None) -> list[str] | None:
    if codes is None:
        return None
    return [] if [code.upper() for code in codes] == ["ALL"] else codes


def _couriers(pairs: list[str] | None) -> dict[str, str] | None:
    if pairs is None:
        return None
    if [pair.upper() for pair in pairs] == ["NONE"]:
        return {}
    wrong = [pair for pair in pairs if "=" not in pair]
    if wrong:
        message = f"{wrong[0]!r} is no pair: write CODE=NAME, such as RM24=Royal Mail"
        raise typer.BadParameter(message, param_hint="--courier")
    return dict(pair.split("=", 1) for pair in pairs)


def _day(text: str) -> date | None:
    if text.upper() == "NONE":
        return None
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter(
            f"{text!r} is no date; write it as 2026-11-01", param_hint="--first-import-date"
        ) from None


def settings(name: Name = "default", *, as_json: AsJson = False) -> None:
    """Show an integration's settings, the token masked."""
    prepare_prefect(quiet=True)
    from deployments.cli.connecting import checked_name, shown
    from deployments.stack.reading_server import read_settings
    from tasks.prefect_api.integrations import load_integration

    fields = shown(name, read_settings(load_integration(checked_name(name))))
    if as_json:
        print_json(fields)
    else:
        _show(fields)


def _show(fields: dict[str, Any]) -> None:
    from models.blocks import Integration
    from models.countries import country_name

    titles = {key: field.title or key for key, field in Integration.model_fields.items()}
    country_filter = fields["country_filter"]
    countries = ", ".join(f"{code} ({country_name(code)})" for code in country_filter["countries"])
    words = {
        **fields,
        "statuses": ", ".join(fields["statuses"]),
        "sync_tracking": "on" if fields["sync_tracking"] else "off",
        "country_filter": f"{country_filter['mode']}: {countries or 'Select All'}",
        "first_import_date": fields["first_import_date"] or "from the beginning",
        "couriers": ", ".join(f"{code}: {shown}" for code, shown in fields["couriers"].items())
        or "as they are",
        "after_shipment_folder": fields["after_shipment_folder"] or "orders stay",
        "canceled_folder": fields["canceled_folder"] or "orders stay, and are held",
        "read_only": "on" if fields["read_only"] else "off",
        "requests_per_second": fields["requests_per_second"] or "no limit",
    }
    rows = [(titles[key], str(value)) for key, value in words.items() if key != "name"]
    table(["Setting", "Value"], [("Name", fields["name"]), *rows])
