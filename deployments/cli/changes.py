"""`desk changes`, `desk changes take` and `desk changes keep`."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from deployments.cli.desk_access import open_the_desk
from deployments.cli.listing import Before, Limit, is_for_subcommand, show_or_print
from deployments.cli.order_arguments import ORDER_HELP, tell_desk_ids, the_orders
from deployments.cli.output import AsJson, print_json, say, show, when

if TYPE_CHECKING:
    from tasks.desk.open_changes import ChangeSummary

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
    limit: Limit = None,
    before: Before = None,
    as_json: AsJson = False,
) -> None:
    """List what podOS changed of orders after their import and nobody has settled, the newest first.

    `desk order ORDER` shows podOS's values beside the desk's.
    """
    if is_for_subcommand(context, every, limit, before, as_json):
        return
    from tasks.desk.open_changes import list_changes

    with open_the_desk() as engine:
        show_or_print(
            lambda size: list_changes(engine, only_open=not every, limit=size, before_id=before),
            ["Id", "Order", "Folder", "Changed", "Fields", "Seen (UTC)", "State"],
            _cells,
            limit,
            as_json=as_json,
            optional=("State", "Folder", "Seen (UTC)"),
        )


def _cells(change: ChangeSummary) -> tuple[object, ...]:
    about = (change.id, change.order, change.folder, change.kind)
    return (*about, _fields(change), when(change.at), change.state)


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
