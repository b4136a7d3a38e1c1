"""What commands write: results to stdout, everything else to stderr. Text from outside is made harmless.

Every line is written as one line: a line break in a name does not make another.
"""

from __future__ import annotations

import json
import re
import shutil
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
_BETWEEN_COLUMNS = 3
_WORDS_WIDTH = 12
_WHOLE = re.compile(r"\s*\S{0,40}|\d{4}-\d\d-\d\d \d\d:\d\d(:\d\d)?")

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


def width_of_output() -> int:
    """Return how many characters a line of stdout has room for."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else _NOT_A_TERMINAL_WIDTH


def table(columns: Sequence[str], rows: Iterable[Sequence[object]], *, optional: Sequence[str] = ()) -> None:
    """Write a table to stdout; None is an empty cell. It is never cut where the output is no terminal.

    Args:
        columns: their titles.
        rows: a value for each column.
        optional: titles of columns that a narrow terminal does without, in the sequence in which they go.

    Numbers, ids and dates are never broken over lines.
    """
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console(file=sys.stdout, width=width_of_output())
    titles = [terminal_cell(column) for column in columns]
    cells = [["" if value is None else _cell(str(value)) for value in row] for row in rows]
    whole = [all(_WHOLE.fullmatch(row[place]) for row in cells) for place in range(len(titles))]
    needed = [_narrowest([title, *(row[n] for row in cells)], whole[n]) for n, title in enumerate(titles)]
    shown = _fitting(titles, needed, console.width, optional)
    grid = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for place in shown:
        grid.add_column(Text(titles[place]), overflow="fold", no_wrap=whole[place])
    for row in cells:
        grid.add_row(*(Text(row[place]) for place in shown))
    console.print(grid)
    if gone := [title for place, title in enumerate(titles) if place not in shown]:
        say(f"left out, because the terminal is narrow: {', '.join(gone)}")


def _narrowest(texts: Sequence[str], is_whole: bool) -> int:
    """Return how narrow a column can be; a title, and texts of several words, may be broken between words."""
    from rich.cells import cell_len

    title, *cells = texts
    widest = max(map(cell_len, cells), default=0)
    if is_whole:
        return max(widest, cell_len(title))
    return max(min(widest, _WORDS_WIDTH), *map(cell_len, title.split()))


def _fitting(titles: Sequence[str], needed: Sequence[int], width: int, optional: Sequence[str]) -> list[int]:
    """Return the places of the columns that fit into a width; only optional ones go."""
    shown = list(range(len(titles)))
    for title in optional:
        if sum(needed[place] + _BETWEEN_COLUMNS for place in shown) <= width:
            break
        shown = [place for place in shown if titles[place] != title]
    return shown


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
