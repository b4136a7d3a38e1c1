"""`desk ship`: shipments come in, one by one, from a CSV file or from a drop folder; and `desk ship void`."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from deployments.cli.desk_access import open_the_desk
from deployments.cli.order_arguments import ORDER_HELP, the_order
from deployments.cli.output import AsJson, print_json, say, show, table
from deployments.cli.rules import react
from deployments.stack.environment import prepare_prefect
from deployments.stack.stop_signals import asked_to_stop

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from models.shipments import ShipmentReading
    from tasks.tracking.intake import Taken

POLL_SECONDS = 2.0
VOID = "void"


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("ship", epilog='Example: desk ship A-1001 --courier "Royal Mail" --code AB123456789GB')(ship)


def ship(
    what: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[ORDER | void SHIPMENT]",
            help=f"{ORDER_HELP} Or void and a shipment's id.",
        ),
    ] = None,
    *,
    courier: Annotated[str | None, typer.Option(metavar="C", help="Who carries the parcel.")] = None,
    code: Annotated[str | None, typer.Option(metavar="T", help="The tracking code.")] = None,
    url: Annotated[
        str | None, typer.Option(metavar="U", help="Where to follow it; known for common couriers.")
    ] = None,
    shipped_at: Annotated[
        str | None, typer.Option(metavar="W", help="When it left, e.g. 2026-11-23 or 2026-11-23T09:30.")
    ] = None,
    csv: Annotated[
        Path | None,
        typer.Option("--csv", "--file", metavar="FILE", help="Take the shipments of a file: CSV, XLSX, ODS."),
    ] = None,
    watch: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Take the files dropped into DIR, until Ctrl-C.")
    ] = None,
    strict: Annotated[bool, typer.Option("--strict", help="Take all rows of a file or none.")] = False,
    force: Annotated[
        bool, typer.Option("--force", help="Replace another tracking that podOS already shows.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Say that an order shipped: the next sync sends its tracking to podOS and marks it complete.

    A file (CSV, XLSX or ODS) has the columns order, courier, code and, if wanted, url, shipped_at and
    desk_id, or what carriers and shops call them; a number in the column order is never a desk id. Its
    good rows are taken, its bad rows are listed; the same file again adds nothing. `desk ship void
    SHIPMENT` says that a label was replaced: it frees the order's one place in podOS for the next
    shipment.
    """
    prepare_prefect(quiet=True)
    words, single = (
        what or [],
        {"--courier": courier, "--code": code, "--url": url, "--shipped-at": shipped_at},
    )
    given = [name for name, value in single.items() if value is not None]
    if (len(words) > 0) + (csv is not None) + (watch is not None) != 1:
        raise typer.BadParameter("give an ORDER, --csv FILE or --watch DIR", param_hint="ORDER")
    if words[:1] == [VOID]:
        _void(words[1:], given, as_json=as_json)
    elif words:
        _ship_one(words, single, force=force, as_json=as_json)
    elif given:
        raise typer.BadParameter("it goes with an ORDER only", param_hint=given[0])
    elif csv:
        _ship_file(csv, strict=strict, force=force, as_json=as_json)
    elif watch:
        _watch(watch, strict=strict)


def _void(words: list[str], given: list[str], *, as_json: bool) -> None:
    if len(words) != 1 or not words[0].isdecimal() or given:
        raise typer.BadParameter("give the id of one shipment: desk ship void 12", param_hint="SHIPMENT")
    from tasks.tracking.store import void_shipment

    shipment_id = int(words[0])
    with open_the_desk() as engine:
        following = void_shipment(engine, shipment_id, now=datetime.now(UTC))
        if following is not None:
            _emit(engine, [following])
        shown = _shown(engine, [shipment_id])
    if as_json:
        print_json(shown[0])
        return
    show(f"voided shipment {shipment_id}")
    if following is not None:
        show(f"shipment {following} of this order now waits to be sent")


def _ship_one(words: list[str], single: dict[str, str | None], *, force: bool, as_json: bool) -> None:
    if len(words) > 1:
        raise typer.BadParameter("give one order at a time, or --csv FILE", param_hint="ORDER")
    for name in ("--courier", "--code"):
        if single[name] is None:
            raise typer.BadParameter("it is needed", param_hint=name)
    from tasks.tracking.intake import take_one
    from tasks.tracking.shipment_file import FileRow

    courier, code, url, shipped_at = (value or "" for value in single.values())
    with open_the_desk() as engine:
        order = the_order(engine, words[0], as_json=as_json)
        row = FileRow(1, order.reference, courier, code, url, shipped_at)
        taken = take_one(engine, row, overwrite=force, now=datetime.now(UTC), reading=_reading())
        _emit_to(taken.integrations)
        (shipment,) = _shown(engine, taken.shipment_ids)
        name = f"shipment {shipment['id']} of {order.shown}"
        if as_json:
            print_json(shipment)
        else:
            show(f"added {name}" if taken.added else f"{name} is in the desk already ({shipment['state']})")
        react(engine)


def _ship_file(path: Path, *, strict: bool, force: bool, as_json: bool) -> None:
    from tasks.tracking.intake import take_file
    from tasks.tracking.shipment_file import read_bytes
    from tasks.tracking.tables import ShipmentFileError

    content = read_bytes(path)
    with open_the_desk() as engine:
        try:
            taken = take_file(
                engine, content, strict=strict, overwrite=force, now=datetime.now(UTC), reading=_reading()
            )
        except ShipmentFileError as error:
            raise ShipmentFileError(f"{path.name}: {error}") from None
        _emit_to(taken.integrations)
        _tell_taken(path, taken, as_json=as_json)
        react(engine)
    if taken.bad and not taken.shipment_ids:
        say("Error: nothing was taken; mend the rows listed and give the file again")
        raise typer.Exit(2)


def _reading() -> ShipmentReading:
    from models.settings import Environment

    return Environment().shipment_reading()


def _tell_taken(path: Path, taken: Taken, *, as_json: bool) -> None:
    if as_json:
        bad = [row._asdict() for row in taken.bad]
        print_json(
            {"file": str(path), "added": taken.added, "known": taken.known, "bad": bad}
            | ({"sheet": taken.sheet} if taken.sheet else {})
        )
        return
    name = f"{path.name}, sheet {taken.sheet}" if taken.sheet else path.name
    show(f"{name}: {taken.added} added, {taken.known} in the desk already, {len(taken.bad)} bad")
    if taken.bad:
        table(["Line", "Reason"], taken.bad)


def _watch(directory: Path, *, strict: bool) -> None:
    from tasks.tracking.drop_folder import take_folder

    say(f"watching {directory}; Ctrl-C stops it")
    said = ""
    with open_the_desk() as engine, asked_to_stop() as stop:
        while not stop.is_set():
            results = take_folder(engine, directory, strict=strict, now=datetime.now(UTC), reading=_reading())
            for result in results:
                show(result.one_line())
            _emit_to(set().union(*(result.taken.integrations for result in results)))
            said = _react_and_go_on(engine, said)
            stop.wait(POLL_SECONDS)
    if said:
        raise typer.Exit(1)


def _react_and_go_on(engine: Engine, said: str) -> str:
    """Let the rules look, and return what was said about rules that can't be used: each problem once."""
    from tasks.desk.errors import UnusableRuleError

    try:
        react(engine)
    except UnusableRuleError as error:
        if str(error) != said:
            say(f"Error: {error}")
        return str(error)
    return ""


def _shown(engine: Engine, shipment_ids: list[int]) -> list[dict[str, Any]]:
    from tasks.desk.engine import reading
    from tasks.tracking.shipment_list import get_shipments

    with reading(engine) as connection:
        return [shipment.as_dict() for shipment in get_shipments(connection, shipment_ids)]


def _emit(engine: Engine, shipment_ids: Collection[int]) -> None:
    from tasks.desk.engine import reading
    from tasks.tracking.store import integrations_of

    with reading(engine) as connection:
        names = integrations_of(connection, shipment_ids)
    _emit_to(names)


def _emit_to(integrations: Collection[str]) -> None:
    """Let the sync start at once where a Prefect server runs."""
    from tasks.prefect_api.events import emit_shipments_added

    asyncio.run(emit_shipments_added(integrations))
