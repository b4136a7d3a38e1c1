"""What commands write: results to stdout, everything else to stderr. Text from outside is made harmless.

Every line is written as one line: a line break in a name does not make another.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from io import TextIOWrapper
from typing import Annotated, TextIO

import typer

from models.unreadable import is_readable
from tasks.text_cells import terminal_cell, terminal_line

_NOT_A_TERMINAL_WIDTH = 100_000

AsJson = Annotated[bool, typer.Option("--json", help="One JSON document on stdout and nothing else.")]


def take_all_text(stream: TextIO) -> None:
    """Let a stream of this process take every character, whatever encoding the environment names.

    Files and pipes get UTF-8: JSON and CSV with escapes for what the encoding lacks would not be what the
    desk holds. A terminal keeps its encoding and shows such characters as escapes.
    """
    if isinstance(stream, TextIOWrapper) and not stream.encoding.lower().startswith("utf"):
        if stream.isatty():
            stream.reconfigure(errors="backslashreplace")
        else:
            stream.reconfigure(encoding="utf-8", errors="backslashreplace")


def json_text(value: object, *, indent: int | None = None) -> str:
    """Return a value as JSON in which only what prints stands as it is; all else is escaped.

    JSON itself leaves C1 control characters and signs that turn the direction of writing as they are.
    """
    text = json.dumps(value, ensure_ascii=False, indent=indent, allow_nan=False)
    if text.isprintable():
        return text
    # A line break is one of the indentation's: those of values are escaped by now.
    return "".join(char if char.isprintable() or char == "\n" else json.dumps(char)[1:-1] for char in text)


def print_json(value: object) -> None:
    """Write one JSON document to stdout."""
    typer.echo(json_text(value, indent=2))


def print_json_list(values: Iterable[object]) -> None:
    """Write one JSON document, a list, to stdout; its values are taken one by one, however many there are."""
    begin = "[\n"
    for value in values:
        typer.echo(begin + json_text(value), nl=False)
        begin = ",\n"
    typer.echo("[]" if begin == "[\n" else "\n]")


def say(*lines: str) -> None:
    """Write a message for a person to stderr, each argument as one line."""
    for line in lines:
        typer.echo(terminal_line(line), err=True)


def show(*lines: str) -> None:
    """Write a result for a person to stdout, each argument as one line."""
    for line in lines:
        typer.echo(terminal_line(line))


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
        grid.add_column(Text(terminal_cell(column)), overflow="fold")
    for row in rows:
        grid.add_row(*(Text("" if value is None else _cell(str(value))) for value in row))
    console.print(grid)


def _cell(text: str) -> str:
    return ("  " if text.startswith("  ") else "") + terminal_cell(text)  # a part of the row above


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
        task = bar.add_task(terminal_cell(title), total=None, text="")
        yield lambda done, text, total=None: bar.update(
            task, completed=done, text=terminal_cell(text), total=total
        )


def when(instant: datetime | None) -> str | None:
    """Return an aware instant for a person, in UTC to the second."""
    if not instant:
        return None
    return f"{instant.astimezone(UTC):%Y-%m-%d %H:%M:%S}" if is_readable(instant) else "unreadable"


class HarmlessOutput:
    """A file for text that can't be made harmless where it is made, because it must stay what it is.

    On a terminal it is made harmless, in a file or a pipe it is not changed.

    Args:
        file: stdout, mostly.
    """

    def __init__(self, file: TextIO) -> None:
        self._file = file
        self._is_terminal = file.isatty()

    def write(self, text: str) -> int:
        """Write one line, or one row of a table."""
        return self._file.write(f"{terminal_line(text.rstrip())}\n" if self._is_terminal else text)
