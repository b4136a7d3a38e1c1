"""Read shipments from a file: CSV in all its forms, XLSX or ODS. Bounded in size."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import BinaryIO, NamedTuple

from models.shipments import DEFAULT_READING, ShipmentReading
from tasks.text_cells import from_csv_cell
from tasks.tracking.headers import COLUMNS, places_of
from tasks.tracking.tables import BadRow, Line, ShipmentFileError, text_lines
from tasks.tracking.workbooks import OLD_OFFICE_START, ZIP_START, sheets_of
from tasks.visible_text import visible

MAX_FILE_BYTES = 20_000_000
MAX_ROWS = 100_000
MAX_COLUMNS = 200
MAX_CELL_CHARACTERS = 100_000
FILE_ENDINGS = (".csv", ".tsv", ".tab", ".xlsx", ".xlsm", ".ods")
"""Of the files that a drop folder takes."""


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


class FileRows(NamedTuple):
    """The rows of a file: those of the right shape, and the others; ``sheet`` is where they stood."""

    rows: list[FileRow]
    bad: list[BadRow]
    sheet: str = ""


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


def read_rows(content: bytes, reading: ShipmentReading = DEFAULT_READING) -> FileRows:
    """Return the rows of a file.

    A workbook is told from text by its first bytes; its first visible sheet whose first line is a header
    counts. Header names may be in any case and any order (``tasks.tracking.headers``).
    Further columns, empty lines and empty cells behind the header's last are ignored.

    What keeps a cell text, an apostrophe or ``="..."``, is taken off (``tasks.text_cells``), and so is what
    can't be seen (``tasks.visible_text``).

    Raises:
        ShipmentFileError: it has too many rows or columns, too long a line, can't be read, or lacks a column.
    """
    if content.startswith(OLD_OFFICE_START):
        raise ShipmentFileError(
            "the file is an old or protected workbook: save it as XLSX without a password"
        )
    if not content.startswith(ZIP_START):
        return _rows(text_lines(content), reading.columns)
    problem = ShipmentFileError(_NO_HEADER)
    for number, sheet in enumerate(sheets_of(content)):
        try:
            return _rows(sheet.lines, reading.columns)._replace(sheet=sheet.name)
        except _NoHeaderError as error:
            problem = error if not number else problem
    raise ShipmentFileError(f"{problem}; no visible sheet has such a header")


class _NoHeaderError(ShipmentFileError):
    """The first line is no header."""


_NO_HEADER = f"the file has no header line: {', '.join(COLUMNS)}"


def _rows(lines: Iterable[Line], own: Mapping[str, str]) -> FileRows:
    lines = iter(lines)
    header = next(lines, None)
    if header is None or isinstance(header, BadRow):
        raise _NoHeaderError(_NO_HEADER)
    width = max(place for place, name in enumerate(header[1], 1) if name.strip())
    if width > MAX_COLUMNS:
        raise ShipmentFileError(f"line {header[0]}: the file has more than {MAX_COLUMNS} columns")
    try:
        places = places_of(header[1], own)
    except ShipmentFileError as error:
        raise _NoHeaderError(str(error)) from None
    found = FileRows([], [])
    for line in lines:
        if isinstance(line, BadRow):
            found.bad.append(line)
        elif problem := _problem(line[1], len(header[1])):
            found.bad.append(BadRow(line[0], problem))
        else:
            found.rows.append(_row(*line, places))
        if len(found.rows) + len(found.bad) > MAX_ROWS:
            raise ShipmentFileError(f"line {line[0]}: the file has more than {MAX_ROWS} rows: split it")
    return found


def _problem(cells: list[str], width: int) -> str | None:
    if any(cell.strip() for cell in cells[width:]):
        return "it has more columns than the header"
    return "a value is far too long" if any(len(cell) > MAX_CELL_CHARACTERS for cell in cells) else None


def _row(line: int, cells: list[str], places: dict[str, int]) -> FileRow:
    written = {
        name: visible(cells[places[name]]) if name in places and places[name] < len(cells) else ""
        for name in COLUMNS
    }
    values = {name: _cell(text) for name, text in written.items()}
    return FileRow(line, **values, code_is_text=written["code"] != values["code"])


def _cell(text: str) -> str:
    return visible(from_csv_cell(visible(text)))
