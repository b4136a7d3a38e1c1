"""`desk maps load|show|test`."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Annotated

import typer

from deployments.cli.desk_access import open_the_desk
from deployments.cli.order_arguments import the_order
from deployments.cli.output import AsJson, print_json, say, show, table
from deployments.cli.rules import fulfillers, read_text

maps_app = typer.Typer(no_args_is_help=True)


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.add_typer(maps_app, name="maps", help="The fulfillers' words for locations, SKUs, methods, carriers.")


@maps_app.command("load", epilog="Example: desk maps load maps.yaml")
def load(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="A maps file, YAML or .csv; see docs/rules.md.")
    ],
) -> None:
    """Let the maps of a file be all the maps of the fulfillers that it names; other fulfillers' stay."""
    from tasks.rules.maps_file import load_maps
    from tasks.rules.maps_store import save_maps

    forms = load_maps(read_text(file), is_csv=file.suffix.lower() == ".csv")
    names = sorted({form.fulfiller for form in forms})
    _warn_of_strangers(names)
    with open_the_desk() as engine:
        save_maps(engine, forms)
    show(f"{len(forms)} {'map' if len(forms) == 1 else 'maps'} loaded for {', '.join(names) or 'nobody'}")


def _warn_of_strangers(names: Collection[str]) -> None:
    known = {name.casefold() for name in fulfillers()} if names else set()
    for name in (name for name in names if name.casefold() not in known):
        say(f"Warning: there is no fulfiller {name!r} yet; `desk fulfillers` lists them")


@maps_app.command("show", epilog="Example: desk maps show")
def show_maps(*, as_json: AsJson = False) -> None:
    """Show all maps, line by line."""
    from tasks.rules.maps_store import list_maps

    with open_the_desk() as engine:
        found = list_maps(engine)
    forms = [stored.form for stored in found if stored.form]
    for stored in found:
        if stored.form is None:
            say(f"Warning: the {stored.kind} map of {stored.fulfiller} can't be read; load its file again")
    if as_json:
        print_json([form.model_dump(mode="json") for form in forms])
        return
    rows: list[tuple[str, str, str]] = []
    for form in forms:
        lines = [*form.lines, *(f"{sku} is left out" for sku in form.skip)]
        lines.append(f"all else = {form.default}" if form.default else f"all else: {form.missing.value}")
        rows += [(form.fulfiller, form.map.value, line) for line in lines]
    table(["Fulfiller", "Map", "Line"], rows)


@maps_app.command("test", epilog="Example: desk maps test acme --order A-1001")
def try_out(
    fulfiller: Annotated[
        str, typer.Argument(metavar="FULFILLER", help="Whose maps; upper and lower case are the same.")
    ],
    *,
    order: Annotated[str | None, typer.Option(metavar="X", help="Only this order.")] = None,
    folder: Annotated[str | None, typer.Option(metavar="F", help="Only the orders of this folder.")] = None,
    as_json: AsJson = False,
) -> None:
    """Say what the maps would change on orders, and all that would keep each from being sent.

    Writes nothing and sends nothing. Without --order and --folder: the last 20 imported orders.
    """
    from tasks.desk.browse import export_orders, find_order
    from tasks.fulfilment.check import problems_of
    from tasks.rules.maps import apply_maps
    from tasks.rules.maps_store import read_maps

    with open_the_desk() as engine:
        maps = read_maps(engine, fulfiller)
        limit = None if folder else 20
        orders = (
            iter([find_order(engine, the_order(engine, order, as_json=as_json).reference).order])
            if order
            else export_orders(engine, folder=folder, newest_first=True, limit=limit)
        )
        mapped = [(order, apply_maps(order, maps)) for order in orders]
    found = [
        {
            "order": order["order_number"],
            "id": order["id"],
            "changes": after.notes,
            "problems": [problem.text for problem in after.problems] + problems_of(after.document),
        }
        for order, after in mapped
    ]
    if as_json:
        print_json(found)
        return
    rows = [
        (finding["id"], finding["order"], "; ".join(finding["changes"]), "; ".join(finding["problems"]))
        for finding in found
    ]
    table(["Id", "Order", "Changes", "Problems"], rows)
