"""What commands write: results to stdout, everything else to stderr. Text from outside is made harmless."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Annotated

import typer

_NOT_A_TERMINAL_WIDTH = 100_000

AsJson = Annotated[bool, typer.Option("--json", help="One JSON document on stdout and nothing else.")]


def print_json(value: object) -> None:
    """Write one JSON document to stdout."""
    typer.echo(json.dumps(value, ensure_ascii=False, indent=2, allow_nan=False))


def print_json_list(values: Iterable[object]) -> None:
    """Write one JSON document, a list, to stdout; its values are taken one by one, however many there are."""
    begin = "[\n"
    for value in values:
        typer.echo(begin + json.dumps(value, ensure_ascii=False, allow_nan=False), nl=False)
        begin = ",\n"
    typer.echo("[]" if begin == "[\n" else "\n]")


def say(text: str) -> None:
    """Write a message for a person to stderr."""
    typer.echo(harmless(text), err=True)


def show(text: str) -> None:
    """Write a result for a person to stdout."""
    typer.echo(harmless(text))


def table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Write a table to stdout; None is an empty cell. It is never cut where the output is no terminal."""
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    is_terminal = sys.stdout.isatty()
    console = Console(file=sys.stdout, width=None if is_terminal else _NOT_A_TERMINAL_WIDTH)
    grid = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for column in columns:
        grid.add_column(Text(harmless(column)), overflow="fold")
    for row in rows:
        grid.add_row(*(Text("" if value is None else harmless(str(value))) for value in row))
    console.print(grid)


@contextmanager
def progress(title: str) -> Iterator[Callable[..., None]]:
    """Show on stderr how far something is, if that is a terminal.

    Args:
        title: what is being done.

    Yields:
        A function to call with the number done so far, a line about it, and of how many, where that is known.
    """
    if not sys.stderr.isatty():
        yield lambda _done, _text, _total=None: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=20),
        TimeElapsedColumn(),
        TextColumn("{task.fields[text]}", markup=False),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True, redirect_stdout=False) as bar:
        task = bar.add_task(harmless(title), total=None, text="")
        yield lambda done, text, total=None: bar.update(
            task, completed=done, text=harmless(text), total=total
        )


def when(instant: datetime | None) -> str | None:
    """Return an aware instant for a person, in UTC to the second."""
    return f"{instant.astimezone(UTC):%Y-%m-%d %H:%M:%S}" if instant else None


def harmless(text: str) -> str:
    """Return text without characters that could steer the terminal; lines stay lines."""
    if text.isprintable():
        return text
    return "".join(
        char if char.isprintable() or char == "\n" else "\N{REPLACEMENT CHARACTER}" for char in text
    )
