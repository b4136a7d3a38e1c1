"""`desk changes`, `desk changes take` and `desk changes keep`."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from deployments.cli.desk_access import open_the_desk
from deployments.cli.order_arguments import ORDER_HELP, tell_desk_ids, the_orders
from deployments.cli.output import AsJson, print_json, print_json_list, say, show, table, when

if TYPE_CHECKING:
    from tasks.desk.open_changes import ChangeSummary

DEFAULT_LIMIT = 50
_FIELDS_SHOWN = 3

changes_app = typer.Typer()
Orders = Annotated[
    list[str],
    typer.Argument(metavar="ORDER...", help=ORDER_HELP),
]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.add_typer(changes_app, name="changes")


@changes_app.callback(invoke_without_command=True, epilog="Example: desk changes --all --limit 20")
def list_the_changes(
    context: typer.Context,
    *,
    every: Annotated[bool, typer.Option("--all", help="Also those that are settled.")] = False,
    limit: Annotated[
        int | None, typer.Option(min=1, metavar="N", help=f"At most N; {DEFAULT_LIMIT}, with --json all.")
    ] = None,
    before: Annotated[
        int | None, typer.Option(min=1, metavar="ID", help="Only those with a smaller id: the next page.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """List what podOS changed of orders after their import and nobody has settled, the newest first.

    `desk order ORDER` shows podOS's values beside the desk's.
    """
    if context.invoked_subcommand:
        if every or limit or before or as_json:
            raise typer.BadParameter(
                f"put options behind the command: desk changes {context.invoked_subcommand} ..."
            )
        return
    from tasks.desk.open_changes import list_changes

    with open_the_desk() as engine:
        if as_json:
            found = list_changes(engine, only_open=not every, limit=limit, before_id=before)
            print_json_list(change.as_dict() for change in found)
            return
        size = limit or DEFAULT_LIMIT
        shown = list(list_changes(engine, only_open=not every, limit=size + 1, before_id=before))
    table(
        ["Id", "Order", "Folder", "Changed", "Fields", "Seen (UTC)", "State"],
        [
            (
                change.id,
                change.order,
                change.folder,
                change.kind,
                _fields(change),
                when(change.at),
                change.state,
            )
            for change in shown[:size]
        ],
    )
    if len(shown) > size:
        say(f"There are more: --limit N shows N, --before {shown[size - 1].id} goes on from here.")


def _fields(change: ChangeSummary) -> str:
    """Return the names of what changed; values, which may be personal, are with the order."""
    names = list(change.new_values)
    more = f" and {len(names) - _FIELDS_SHOWN} more" if len(names) > _FIELDS_SHOWN else ""
    return ", ".join(names[:_FIELDS_SHOWN]) + more


@changes_app.command("take", epilog="Example: desk changes take A-1001")
def take(orders: Orders, *, as_json: AsJson = False) -> None:
    """Take podOS's address and artwork over into these orders, and the flag from them."""
    from tasks.imports.review import having_them, take_theirs

    with open_the_desk() as engine:
        named = the_orders(engine, orders, as_json=as_json)
        references = [order.reference for order in named]
        done = take_theirs(engine, references, now=datetime.now(UTC))
        fulfillers = having_them(engine, references)
    _tell(done, "taken over", as_json=as_json)
    tell_desk_ids(named)
    if fulfillers:
        say(f"the old values were handed over to {', '.join(fulfillers)}: tell them")


@changes_app.command("keep", epilog="Example: desk changes keep A-1001")
def keep(orders: Orders, *, as_json: AsJson = False) -> None:
    """Leave these orders as they are, and take the flag from them."""
    from tasks.imports.review import keep_ours

    with open_the_desk() as engine:
        named = the_orders(engine, orders, as_json=as_json)
        references = [order.reference for order in named]
        done = keep_ours(engine, references, now=datetime.now(UTC))
    _tell(done, "settled", as_json=as_json)
    tell_desk_ids(named)


def _tell(done: list[int], what: str, *, as_json: bool) -> None:
    if as_json:
        print_json({"changes": done})
    else:
        show(f"{len(done)} {'change' if len(done) == 1 else 'changes'} {what}")
