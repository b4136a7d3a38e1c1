"""`desk fulfillers`, `desk fulfillers add` and `desk fulfillers remove`."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from deployments.cli.desk_access import open_the_desk
from deployments.cli.output import AsJson, print_json, say, table
from deployments.stack.environment import prepare_prefect

fulfillers_app = typer.Typer()
add_app = typer.Typer(help="Add a fulfiller, or change the settings that are given.", no_args_is_help=True)
fulfillers_app.add_typer(add_app, name="add")

Name = Annotated[str, typer.Argument(help="The fulfiller: small letters, digits and dashes.")]
MoveTo = Annotated[str | None, typer.Option(help="After Import, Move To: a folder; NONE: orders stay.")]
ReadOnly = Annotated[
    bool | None, typer.Option("--read-only/--no-read-only", help="Read-Only Mode: hand nothing over.")
]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.add_typer(fulfillers_app, name="fulfillers")


@fulfillers_app.callback(invoke_without_command=True, epilog="Example: desk fulfillers")
def list_the_fulfillers(context: typer.Context, *, as_json: AsJson = False) -> None:
    """List the fulfillers: who prints the orders, and how they get them."""
    if context.invoked_subcommand:
        return
    prepare_prefect(quiet=True)
    from deployments.stack.reading_server import read_settings

    shown = read_settings(_all())
    if as_json:
        print_json(shown)
        return
    columns = ("name", "kind", "goes_to", "move_to", "read_only", "rotating")
    words = {True: "on", False: "off"}
    rows = [
        [words[fulfiller[name]] if isinstance(fulfiller[name], bool) else fulfiller[name] for name in columns]
        for fulfiller in shown
    ]
    table(["Fulfiller", "Kind", "Goes to", "After import", "Read-only", "Two secrets"], rows)


async def _all() -> list[dict[str, Any]]:
    from tasks.fulfilment.fulfillers import fulfiller_names, load_fulfiller

    return [_shown(name, await load_fulfiller(name)) for name in await fulfiller_names()]


def _shown(name: str, fulfiller: Any) -> dict[str, Any]:
    goes_to = getattr(fulfiller, "directory", None) or getattr(fulfiller, "address", "")
    return {
        "name": name,
        "kind": fulfiller.kind,
        "goes_to": goes_to,
        "move_to": fulfiller.after_import_folder,
        "read_only": fulfiller.read_only,
        "rotating": getattr(fulfiller, "previous_secret", None) is not None,
    }


@fulfillers_app.command("remove", epilog="Example: desk fulfillers remove acme")
def remove(name: Name, *, as_json: AsJson = False) -> None:
    """Remove a fulfiller and its secret. It is refused while orders wait to be sent to it."""
    prepare_prefect(quiet=True, needs_server=True)
    from tasks.fulfilment.fulfillers import remove_fulfiller
    from tasks.fulfilment.queue import count_waiting

    with open_the_desk() as engine:
        waiting = count_waiting(engine, name)
    if waiting:
        orders = "1 order waits" if waiting == 1 else f"{waiting} orders wait"
        raise typer.BadParameter(
            f"{orders} to be sent to {name}: send them (desk send --to {name}), or take them out of the"
            " outbox (desk outbox --waiting; desk outbox cancel ID)",
            param_hint="NAME",
        )
    asyncio.run(remove_fulfiller(name))
    if as_json:
        print_json({"removed": name})
    else:
        say(f"fulfiller {name} is removed; rules that send to it let orders wait: see desk rules list")


@add_app.command(
    "webhook", epilog="Example: desk fulfillers add webhook acme --address https://hooks.example.test"
)
def add_webhook(
    name: Name,
    *,
    address: Annotated[str | None, typer.Option(help="Where orders are posted; https.")] = None,
    timeout: Annotated[float | None, typer.Option(help="Timeout in seconds.")] = None,
    connections: Annotated[int | None, typer.Option(help="Posts at once.")] = None,
    requests_per_second: Annotated[float | None, typer.Option(help="The most posts per second.")] = None,
    refusals: Annotated[
        str | None, typer.Option(metavar="FIELDS", help="Fields of a 200 that can say no, a,b; NONE: none.")
    ] = None,
    rotate: Annotated[
        bool | None,
        typer.Option(
            "--rotate-secret/--end-rotation",
            help="Set a new secret, and sign with the one before as well; then with the new one alone.",
        ),
    ] = None,
    move_to: MoveTo = None,
    read_only: ReadOnly = None,
    as_json: AsJson = False,
) -> None:
    """Add a printer's own address. The secret comes from FULFILLER_SECRET or a hidden prompt.

    To replace the secret: --rotate-secret, give the new one to the printer, then --end-rotation.
    """
    given = {
        "address": address,
        "timeout_seconds": timeout,
        "connections": connections,
        "requests_per_second": requests_per_second,
        "refusal_fields": "" if refusals is not None and refusals.upper() == "NONE" else refusals,
    }
    _add("webhook", name, given | _common(move_to, read_only), "secret", rotate=rotate, as_json=as_json)


@add_app.command("folder", epilog="Example: desk fulfillers add folder press --directory /srv/orders")
def add_folder(
    name: Name,
    *,
    directory: Annotated[Path | None, typer.Option(help="Where the files are put.")] = None,
    format_: Annotated[
        str | None, typer.Option("--format", help="json: a file an order. csv: print jobs.")
    ] = None,
    move_to: MoveTo = None,
    read_only: ReadOnly = None,
    as_json: AsJson = False,
) -> None:
    """Add a directory that a printer takes files from."""
    place = _directory(directory) if directory else None
    given = {"directory": place, "format": format_}
    _add("folder", name, given | _common(move_to, read_only), None, as_json=as_json)


def _directory(directory: Path) -> str:
    """Return the whole path of a directory; where there is none, offer to make it."""
    try:
        if directory.exists() and not directory.is_dir():
            raise _no_directory(f"{directory} is no directory")
        if not directory.exists():
            question = f"There is no directory {directory}. Make it?"
            if not (sys.stdin.isatty() and typer.confirm(question, err=True)):
                raise _no_directory(f"there is no directory {directory}: make it first")
            directory.mkdir(parents=True, mode=0o770)
        return str(directory.resolve())
    except OSError as error:
        why = error.strerror or "the system refused it"
        raise _no_directory(f"{directory} can't be used: {why}") from None


def _no_directory(problem: str) -> typer.BadParameter:
    return typer.BadParameter(problem, param_hint="--directory")


@add_app.command("orderdesk", epilog="Example: desk fulfillers add orderdesk store --store-id 12345")
def add_orderdesk(
    name: Name,
    *,
    store_id: Annotated[str | None, typer.Option(help="Order Desk's number of the store.")] = None,
    folder_name: Annotated[str | None, typer.Option(help="The store's folder for the orders.")] = None,
    address: Annotated[str | None, typer.Option(help="Where Order Desk answers.")] = None,
    move_to: MoveTo = None,
    read_only: ReadOnly = None,
    as_json: AsJson = False,
) -> None:
    """Add an Order Desk store. The API key comes from FULFILLER_SECRET or a hidden prompt."""
    given = {"store_id": store_id, "folder_name": folder_name, "address": address}
    _add("orderdesk", name, given | _common(move_to, read_only), "api_key", as_json=as_json)


def _common(move_to: str | None, read_only: bool | None) -> dict[str, Any]:
    folder = "" if move_to is not None and move_to.upper() == "NONE" else move_to
    return {"after_import_folder": folder, "read_only": read_only}


def _add(
    kind: str,
    name: str,
    given: dict[str, Any],
    secret_field: str | None,
    *,
    rotate: bool | None = None,
    as_json: bool,
) -> None:
    prepare_prefect(quiet=True, needs_server=True)
    from deployments.cli.connecting import checked_name

    checked_name(name, "a fulfiller")
    fields = {field: value for field, value in given.items() if value is not None}
    shown = asyncio.run(_save(kind, name, fields, secret_field, rotate=rotate))
    if as_json:
        print_json(shown)
    else:
        say(f"fulfiller {name} is set up ({kind}); next: desk send ORDER --to {name}")


async def _save(
    kind: str, name: str, given: dict[str, Any], secret_field: str | None, *, rotate: bool | None
) -> dict[str, Any]:
    from models.fulfillers import KINDS
    from tasks.fulfilment.fulfillers import checked_fulfiller, save_fulfiller, saved_fields

    saved = await saved_fields(name, KINDS[kind])
    if rotate is False:  # the secret stays, whatever the environment still holds
        given = {**given, "previous_secret": None}
    elif secret_field and (secret := _given_secret(KINDS[kind], secret_field, ask=not saved or bool(rotate))):
        given = {**given, secret_field: secret}
    if rotate:
        given = {**given, "previous_secret": _previous_secret(name, saved, given)}
    fulfiller = checked_fulfiller(KINDS[kind], {**saved, **given})
    await save_fulfiller(name, fulfiller)
    return _shown(name, fulfiller)


def _given_secret(kind: Any, field: str, *, ask: bool) -> str | None:
    from models.settings import Environment

    secret = Environment().fulfiller_secret
    if secret is not None:
        return secret.get_secret_value()
    if ask and sys.stdin.isatty():
        return str(typer.prompt(f"{kind.model_fields[field].title}", hide_input=True))
    return None


def _previous_secret(name: str, saved: dict[str, Any], given: dict[str, Any]) -> Any:
    """Return the saved secret, which goes on signing beside the given one."""
    if not saved:
        raise typer.BadParameter(f"there is no webhook {name!r} yet: add it without --rotate-secret")
    if saved.get("previous_secret"):
        raise typer.BadParameter(f"{name} signs with two secrets already: first end that with --end-rotation")
    if given.get("secret", saved["secret"]) == saved["secret"]:
        raise typer.BadParameter("no new secret was given: set FULFILLER_SECRET to it")
    return saved["secret"]
