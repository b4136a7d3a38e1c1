"""Read the rows of an XLSX or ODS workbook as text. Bounded, unpacked sizes included.

A small file can unpack to gigabytes, or have one cell at the far end of a sheet, for which the reader would
make room for all cells before it. So both are measured before the reader sees the file.
"""

from __future__ import annotations

import io
import re
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Mapping
from datetime import date, datetime
from typing import Any, NamedTuple
from xml.parsers import expat

import python_calamine

from tasks.tracking.tables import Line, ShipmentFileError

ZIP_START = b"PK\x03\x04"
OLD_OFFICE_START = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
MAX_UNPACKED_BYTES = 100_000_000
MAX_PARTS = 1000
MAX_CELLS = 6_000_000
MOST_EXACT_DIGITS = 15
_NEEDED = (".xml", ".rels", "mimetype")
_PLACE = re.compile(r"([A-Za-z]{1,3})([0-9]{1,7})")
_UNREADABLE = "the file is no XLSX or ODS workbook that can be read: save it again, or save it as CSV UTF-8"
_PACKED_WRONG = (
    zipfile.BadZipFile,
    zlib.error,
    NotImplementedError,
    RuntimeError,
    EOFError,
    ValueError,
    OSError,
)


class Sheet(NamedTuple):
    """A visible sheet: its name and its rows that are not empty."""

    name: str
    lines: Iterator[Line]


def sheets_of(content: bytes) -> Iterator[Sheet]:
    """Yield the visible sheets of a workbook, in their sequence.

    Raises:
        ShipmentFileError: it is no such workbook, is protected by a password, or is too large unpacked.
    """
    parts = _unpacked(content)
    _refuse_far_cells(parts)
    try:
        book = python_calamine.CalamineWorkbook.from_filelike(io.BytesIO(_stored(parts)))
        for about in book.sheets_metadata:
            if about.visible == python_calamine.SheetVisibleEnum.Visible:
                yield Sheet(about.name, _lines(book.get_sheet_by_name(about.name).iter_rows()))
    except python_calamine.CalamineError:
        raise ShipmentFileError(_UNREADABLE) from None


def _lines(rows: Iterable[Iterable[Any]]) -> Iterator[Line]:
    for number, row in enumerate(rows, 1):
        cells = [_text(value) for value in row]
        if any(cell.strip() for cell in cells):
            yield number, cells


def _text(value: object) -> str:
    """Return a cell as text; a number of which digits may be lost is written so that it is refused."""
    if isinstance(value, bool):
        return str(value).upper()
    if isinstance(value, float):
        is_exact = value.is_integer() and abs(value) < 10**MOST_EXACT_DIGITS
        return str(int(value)) if is_exact else _inexact(value)
    if isinstance(value, datetime):
        return value.isoformat(" ") if value.time().isoformat() != "00:00:00" else value.date().isoformat()
    return value.isoformat() if isinstance(value, date) else str(value)


def _inexact(value: float) -> str:
    return repr(value) if abs(value) < 10**MOST_EXACT_DIGITS else f"{value:.14E}"


def _unpacked(content: bytes) -> dict[str, bytes]:
    """Return the parts of a workbook that hold text; what a part says of its size is not believed."""
    parts: dict[str, bytes] = {}
    left = MAX_UNPACKED_BYTES
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as packed:
            names = [info for info in packed.infolist() if info.filename.lower().endswith(_NEEDED)]
            if len(names) > MAX_PARTS or sum(info.file_size for info in names) > left:
                raise ShipmentFileError(_too_large())
            for info in names:
                with packed.open(info) as part:
                    parts[info.filename] = part.read(left + 1)
                left -= len(parts[info.filename])
                if left < 0:
                    raise ShipmentFileError(_too_large())
    except _PACKED_WRONG:
        raise ShipmentFileError(_UNREADABLE) from None
    return parts


def _too_large() -> str:
    return f"the file is larger than {MAX_UNPACKED_BYTES // 1_000_000} MB unpacked: split it"


def _stored(parts: Mapping[str, bytes]) -> bytes:
    """Return the parts as a workbook that is not packed: nothing in it can be larger than it says."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as book:
        for name, part in parts.items():
            book.writestr(name, part)
    return file.getvalue()


def _refuse_far_cells(parts: Mapping[str, bytes]) -> None:
    for name, part in parts.items():
        if name.lower().endswith(".xml"):
            try:
                _Extent().measure(part)
            except expat.ExpatError:
                raise ShipmentFileError(_UNREADABLE) from None


class _Extent:
    """How far the filled cells of a sheet reach, in either format."""

    def __init__(self) -> None:
        self._row = self._column = self._rows = self._columns = self._cells = 0
        self._repeats, self._next_row = (1, 1), 1

    def measure(self, part: bytes) -> None:
        """Raise ShipmentFileError if the filled cells reach too far."""
        isfinal = True
        parser = expat.ParserCreate()
        parser.StartElementHandler = self._start
        parser.StartDoctypeDeclHandler = _refuse_doctype
        parser.Parse(part, isfinal)

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        local = name.rpartition(":")[2]
        if local == "table":
            self._row = self._rows = self._columns = 0
            self._next_row = 1
        elif local in {"row", "table-row"}:
            self._begin_row(attributes)
        elif local in {"c", "table-cell", "covered-table-cell"}:
            self._begin_cell(attributes)
        elif local in {"v", "is", "p", "f"} and self._row:
            self._fill()

    def _begin_row(self, attributes: Mapping[str, str]) -> None:
        self._row = _number(attributes.get("r")) or self._next_row
        repeats = _number(attributes.get("table:number-rows-repeated")) or 1
        self._next_row, self._column = self._row + repeats, 0

    def _begin_cell(self, attributes: Mapping[str, str]) -> None:
        place = _PLACE.fullmatch(attributes.get("r", ""))
        repeats = _number(attributes.get("table:number-columns-repeated")) or 1
        self._column = _column(place[1]) if place else self._column + repeats
        if place:
            self._row = int(place[2])
        if "office:value-type" in attributes:
            self._fill()

    def _fill(self) -> None:
        self._rows = max(self._rows, self._row, self._next_row - 1)
        self._columns = max(self._columns, self._column)
        if self._rows * self._columns > MAX_CELLS:
            raise ShipmentFileError(
                f"the file has a cell far from its table, or more than {MAX_CELLS:,} cells: delete what is "
                "not part of the table"
            )


def _refuse_doctype(*_: object) -> None:
    raise ShipmentFileError(_UNREADABLE)


def _number(text: str | None) -> int:
    return int(text) if text and text.isascii() and text.isdecimal() and len(text) < MOST_EXACT_DIGITS else 0


def _column(letters: str) -> int:
    number = 0
    for letter in letters.upper():
        number = number * 26 + ord(letter) - ord("A") + 1
    return number
