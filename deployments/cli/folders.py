"""`desk folders`, `desk folders add|rename|delete` and `desk move`."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from deployments.cli.desk_access import open_the_desk
from deployments.cli.order_arguments import ORDER_HELP, tell_desk_ids, the_orders
from deployments.cli.output import AsJson, print_json, show, table
from deployments.cli.rules import react

folders_app = typer.Typer()

FolderName = Annotated[
    str, typer.Argument(metavar="NAME", help="The folder; upper and lower case are the same.")
]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.add_typer(folders_app, name="folders")
    app.command("move", epilog="Example: desk move A-1001 A-1002 --to Prepared")(move)


@folders_app.callback(invoke_without_command=True, epilog="Example: desk folders --json")
def list_the_folders(context: typer.Context, *, as_json: AsJson = False) -> None:
    """List the folders with the number of orders in each; add, rename or delete one."""
    if context.invoked_subcommand:
        if as_json:
            raise typer.BadParameter("--json is for the list of folders only", param_hint="--json")
        return
    from tasks.desk.folders import list_folders

    with open_the_desk() as engine:
        found = list_folders(engine)
    if as_json:
        print_json([asdict(folder) for folder in found])
    else:
        table(["Folder", "Orders"], [(folder.name, folder.orders) for folder in found])


@folders_app.command("add", epilog='Example: desk folders add "On hold"')
def add(name: Annotated[str, typer.Argument(metavar="NAME", help="Up to 100 characters.")]) -> None:
    """Make a folder."""
    from tasks.desk.folders import add_folder

    with open_the_desk() as engine:
        add_folder(engine, name)
    show(f"added folder {name.strip()}")


@folders_app.command("rename", epilog='Example: desk folders rename "On hold" Waiting')
def rename(
    name: FolderName, new_name: Annotated[str, typer.Argument(metavar="NEW-NAME", help="Its new name.")]
) -> None:
    """Give a folder another name; its orders stay in it."""
    from tasks.desk.folders import rename_folder

    with open_the_desk() as engine:
        rename_folder(engine, name, new_name)
    show(f"renamed folder {name.strip()} to {new_name.strip()}")


@folders_app.command("delete", epilog="Example: desk folders delete Waiting --move-to New")
def delete(
    name: FolderName,
    *,
    move_to: Annotated[
        str | None, typer.Option(metavar="F", help="Where its orders go; needed if it holds any.")
    ] = None,
) -> None:
    """Delete a folder. One that holds orders is deleted only when --move-to says where they go."""
    from tasks.desk.folders import delete_folder

    with open_the_desk() as engine:
        moved = delete_folder(engine, name, move_to=move_to)
        show(f"deleted folder {name.strip()}" + (f"; {_orders(moved)} moved to {move_to}" if moved else ""))
        react(engine)


def move(
    orders: Annotated[
        list[str],
        typer.Argument(metavar="ORDER", help=ORDER_HELP),
    ],
    *,
    to: Annotated[str, typer.Option(metavar="F", help="The folder they go to; it must exist.")],
) -> None:
    """Move orders to a folder, all of them or none. Every move is in the order's history."""
    from tasks.desk.folders import move_orders

    with open_the_desk() as engine:
        named = the_orders(engine, orders)
        moved = move_orders(engine, [order.reference for order in named], to)
        show(f"{_orders(moved)} moved to {to.strip()}")
        tell_desk_ids(named)
        react(engine)


def _orders(count: int) -> str:
    return f"{count} order" if count == 1 else f"{count} orders"
