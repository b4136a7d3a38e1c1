"""What the commands that list rows share: the options --limit and --before, a table or JSON."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Annotated, Any, Protocol, TypeVar

import typer

from deployments.cli.output import print_json_list, say, table

DEFAULT_LIMIT = 50

Limit = Annotated[
    int | None, typer.Option(min=1, metavar="N", help=f"At most N; {DEFAULT_LIMIT}, with --json all.")
]
Before = Annotated[
    int | None, typer.Option(min=1, metavar="ID", help="Only those with a smaller id: the next page.")
]
Failed = Annotated[bool, typer.Option("--failed", help="Only those that failed.")]
Waiting = Annotated[bool, typer.Option("--waiting", help="Only those that wait.")]


class Listed(Protocol):
    """A row that has an id."""

    @property
    def id(self) -> int:
        """What the next page begins behind."""


class Printed(Listed, Protocol):
    """A row that can be printed as JSON."""

    def as_dict(self) -> dict[str, Any]:
        """Return it ready for JSON."""


Shown = TypeVar("Shown", bound=Listed)
Row = TypeVar("Row", bound=Printed)


def is_for_subcommand(context: typer.Context, *options: object) -> bool:
    """Return whether a subcommand was given; options of the list must not stand before it."""
    if not context.invoked_subcommand:
        return False
    if any(options):
        raise typer.BadParameter(
            f"put options behind the command: {context.command_path} {context.invoked_subcommand} ..."
        )
    return True


def refuse_both(*, failed: bool, waiting: bool) -> None:
    """Refuse --failed together with --waiting."""
    if failed and waiting:
        raise typer.BadParameter("--failed and --waiting exclude each other", param_hint="--failed")


def show_list(
    find: Callable[[int], Iterable[Shown]],
    columns: Sequence[str],
    cells: Callable[[Shown], Sequence[Any]],
    limit: int | None,
    *,
    optional: Sequence[str] = (),
) -> None:
    """Show the first rows as a table, and where the next page begins.

    Args:
        find: returns at most so many rows; each has an ``id``.
        columns: the titles.
        cells: returns what a row shows.
        limit: how many are shown, None for ``DEFAULT_LIMIT``.
        optional: columns that a narrow terminal does without (see ``table``).
    """
    size = limit or DEFAULT_LIMIT
    found = list(find(size + 1))
    shown = found[:size]
    table(columns, [cells(row) for row in shown], optional=optional)
    if len(found) > size:
        say(f"There are more: --limit N shows N, --before {shown[-1].id} goes on from here.")


def show_or_print(
    find: Callable[[int | None], Iterable[Row]],
    columns: Sequence[str],
    cells: Callable[[Row], Sequence[Any]],
    limit: int | None,
    *,
    as_json: bool,
    optional: Sequence[str] = (),
) -> None:
    """Show rows as a table, or with ``as_json`` print all of them, or ``limit``, as one JSON list."""
    if as_json:
        print_json_list(row.as_dict() for row in find(limit))
    else:
        show_list(find, columns, cells, limit, optional=optional)
