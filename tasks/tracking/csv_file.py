"""Read shipments from a CSV file, as spreadsheets and shipping programs write it. Bounded in size."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple

from models.errors import AppError, ExitCode
from tasks.text_cells import from_csv_cell
from tasks.visible_text import visible

COLUMNS = ("order", "courier", "code", "url", "shipped_at", "desk_id")
NEEDED = ("order", "courier", "code")
DESK_ID = "desk_id"
"""It may stand in for the order, or beside it where several orders share a number."""
MAX_FILE_BYTES = 20_000_000
MAX_ROWS = 100_000
MAX_COLUMNS = 200
MAX_LINE_CHARACTERS = 100_000


class ShipmentFileError(AppError):
    """A file can't be used at all; the text says what to change."""

    exit_code = ExitCode.BAD_INPUT


class FileRow(NamedTuple):
    """One row of a file, its values as they are seen in a spreadsheet.

    ``line`` is where it begins, from 1; ``code_is_text``: the code was marked as text, so that no spreadsheet
    can have rounded it.
    """

    line: int
    order: str
    courier: str
    code: str
    url: str
    shipped_at: str
    desk_id: str = ""
    code_is_text: bool = False


class BadRow(NamedTuple):
    """A row that can't be taken, and why; the reason holds no value of the row."""

    line: int
    reason: str


class FileRows(NamedTuple):
    """The rows of a file: those of the right shape, and the others."""

    rows: list[FileRow]
    bad: list[BadRow]


def read_bytes(path: Path) -> bytes:
    """Return a file's content.

    Raises:
        ShipmentFileError: it is larger than ``MAX_FILE_BYTES``; then nothing of it is read.
        OSError: it can't be read.
    """
    with path.open("rb") as file:
        return read_content(file, path.name)


def read_content(file: BinaryIO, name: str) -> bytes:
    """Return the content of an open file, as ``read_bytes`` does.

    Raises:
        ShipmentFileError: it is larger than ``MAX_FILE_BYTES``; then no more of it is read.
    """
    content = file.read(MAX_FILE_BYTES + 1)
    if len(content) > MAX_FILE_BYTES:
        raise ShipmentFileError(f"{name} is larger than {MAX_FILE_BYTES // 1_000_000} MB: split it")
    return content


def read_rows(content: bytes) -> FileRows:
    """Return the rows of a CSV file.

    Header names may be in capitals and in any order, further columns are passed over; the separator is a
    comma or a semicolon; the text is UTF-8, with or without a byte order mark. Empty lines do not count.

    What keeps a cell text, an apostrophe or ``="..."``, is taken off (``tasks.text_cells``), and so is what
    can't be seen (``tasks.visible_text``).

    Raises:
        ShipmentFileError: it has too many rows or columns, too long a line, is no UTF-8, or lacks a column.
    """
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise ShipmentFileError("the file is not UTF-8: save it as CSV UTF-8") from None
    lines = _lines(text)
    header = next(lines, None)
    if header is None or isinstance(header, BadRow):
        raise ShipmentFileError(f"the file has no header line: {', '.join(COLUMNS)}")
    places, width = _places(header[1]), len(header[1])
    if width > MAX_COLUMNS:
        raise ShipmentFileError(f"line {header[0]}: the file has more than {MAX_COLUMNS} columns")
    found = FileRows([], [])
    for line in lines:
        if isinstance(line, BadRow):
            found.bad.append(line)
        elif len(line[1]) > width:
            found.bad.append(BadRow(line[0], "it has more columns than the header"))
        else:
            found.rows.append(_row(*line, places))
        if len(found.rows) + len(found.bad) > MAX_ROWS:
            raise ShipmentFileError(f"line {line[0]}: the file has more than {MAX_ROWS} rows: split it")
    return found


def _lines(text: str) -> Iterator[tuple[int, list[str]] | BadRow]:
    """Yield each row that is not empty with its line number, or why it can't be read."""
    reader = csv.reader(_short_lines(text), delimiter=_separator(text), strict=True)
    while True:
        line = reader.line_num + 1
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error:
            yield BadRow(line, "its quotation marks are not closed, or a value is far too long")
            continue
        if any(cell.strip() for cell in cells):
            yield line, cells


def _short_lines(text: str) -> Iterator[str]:
    for number, line in enumerate(io.StringIO(text, newline=""), 1):
        if len(line) > MAX_LINE_CHARACTERS:
            raise ShipmentFileError(f"line {number} is longer than {MAX_LINE_CHARACTERS} characters")
        yield line


def _separator(text: str) -> str:
    header = text.lstrip().partition("\n")[0]
    return ";" if header.count(";") > header.count(",") else ","


def _places(header: list[str]) -> dict[str, int]:
    names = [_cell(name).casefold() for name in header]
    names = [DESK_ID if name == "desk id" else name for name in names]
    twice = [name for name in COLUMNS if names.count(name) > 1]
    if twice:
        raise ShipmentFileError(f"the file has the column {twice[0]} twice")
    missing = [name for name in NEEDED if name not in names and not (name == "order" and DESK_ID in names)]
    if missing:
        raise ShipmentFileError(
            f"the file lacks the column {', '.join(missing)}; it needs {', '.join(NEEDED)}"
        )
    return {name: names.index(name) for name in COLUMNS if name in names}


def _row(line: int, cells: list[str], places: dict[str, int]) -> FileRow:
    written = {
        name: visible(cells[places[name]]) if name in places and places[name] < len(cells) else ""
        for name in COLUMNS
    }
    values = {name: _cell(text) for name, text in written.items()}
    return FileRow(line, **values, code_is_text=written["code"] != values["code"])


def _cell(text: str) -> str:
    return visible(from_csv_cell(visible(text)))
