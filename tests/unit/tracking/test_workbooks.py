"""XLSX and ODS workbooks: every cell as it stands, nothing that the packing or a far cell makes large."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from datetime import date
from io import BytesIO
from typing import Any

import pytest

from tasks.tracking import workbooks as shipment_workbooks
from tasks.tracking.shipment_file import FileRow, read_rows
from tasks.tracking.tables import ShipmentFileError
from tests.support.workbooks import Cell, Sheets, ods, ods_of, packed, xlsx

HEADER = ("Order", "Courier", "Code", "Shipped_at")
Make = Callable[[Sheets], bytes]
BOTH = pytest.mark.parametrize("make", [xlsx, ods])


@BOTH
def test_every_cell_is_text_as_it_stands(make: Make) -> None:
    rows: list[tuple[Cell, ...]] = [
        HEADER,
        ("F1", "Royal\u00a0Mail", "00340434161094042557", date(2026, 11, 23)),
        (),
        (7, "DPD", 15501234567890),
    ]
    found = read_rows(make([("Export", rows)]))
    assert found.rows == [
        FileRow(2, "F1", "Royal Mail", "00340434161094042557", "", "2026-11-23"),
        FileRow(4, "7", "DPD", "15501234567890", "", ""),
    ]
    assert (found.bad, found.sheet) == ([], "Export")


@BOTH
@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (340434161094042557.0, "3.40434161094043E+17"),
        (1e15, "1.00000000000000E+15"),
        (1.5, "1.5"),
        (True, "TRUE"),
        (date(2026, 11, 23), "2026-11-23"),
    ],
)
def test_what_was_no_text_is_written_so_that_it_is_refused(make: Make, value: Any, shown: str) -> None:
    found = read_rows(make([("S", [HEADER, ("F1", "DPD", value)])]))
    assert found.rows[0].code == shown


def test_an_error_is_no_value() -> None:
    found = read_rows(xlsx([("S", [HEADER, ("F1", "DPD", "#!N/A")])]))
    assert found.rows[0].code == ""


@BOTH
def test_the_first_sheet_with_a_header_is_read(make: Make) -> None:
    found = read_rows(make([("About", [("Hello",)]), ("Empty", []), ("Rows", [HEADER, ("F1", "DPD", "1")])]))
    assert (found.sheet, len(found.rows)) == ("Rows", 1)


def test_a_hidden_sheet_is_not_read() -> None:
    sheets = [("Old", [HEADER, ("F9", "DPD", "9")]), ("New", [HEADER, ("F1", "DPD", "1")])]
    found = read_rows(xlsx(sheets, hidden=["Old"]))
    assert (found.sheet, [row.order for row in found.rows]) == ("New", ["F1"])
    with pytest.raises(ShipmentFileError, match="no visible sheet"):
        read_rows(xlsx(sheets[:1], hidden=["Old"]))


@pytest.mark.parametrize(
    "content",
    [
        b"PK\x03\x04" + b"x" * 100,
        xlsx([("S", [HEADER])])[:-200],
        packed({"word/document.xml": "<x/>"}),
        packed({"xl/workbook.xml": "<x"}),
        packed({"xl/workbook.xml": "<!DOCTYPE x [<!ENTITY a 'b'>]><x>&a;</x>"}),
        b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\x00" * 100,
    ],
)
def test_what_is_no_workbook_is_refused_with_the_remedy(content: bytes) -> None:
    with pytest.raises(ShipmentFileError, match="save it"):
        read_rows(content)


def test_a_file_is_measured_unpacked(monkeypatch: pytest.MonkeyPatch) -> None:
    content = xlsx([("S", [HEADER, ("F1", "DPD", "1" * 50_000)])])
    assert len(content) < 5000
    monkeypatch.setattr(shipment_workbooks, "MAX_UNPACKED_BYTES", 40_000)
    with pytest.raises(ShipmentFileError, match="unpacked: split it"):
        read_rows(content)


def test_a_size_that_a_part_claims_is_not_believed(monkeypatch: pytest.MonkeyPatch) -> None:
    content = xlsx([("S", [HEADER, ("F1", "DPD", "1" * 50_000)])])
    with zipfile.ZipFile(BytesIO(content)) as book:
        size = book.getinfo("xl/worksheets/1.xml").file_size
    lying = content.replace(size.to_bytes(4, "little"), (100).to_bytes(4, "little"))
    assert lying != content
    monkeypatch.setattr(shipment_workbooks, "MAX_UNPACKED_BYTES", 40_000)
    with pytest.raises(ShipmentFileError, match="the file is"):
        read_rows(lying)


REPEATED = (
    '<table:table table:name="S"><table:table-row{rows}>'
    '<table:table-cell office:value-type="string"{columns}>'
    "<text:p>Order</text:p></table:table-cell></table:table-row></table:table>"
)


@pytest.mark.parametrize(
    "content",
    [
        packed(
            {
                "xl/worksheets/1.xml": '<worksheet><row r="1"><c r="A1"><v>1</v></c></row>'
                '<row r="1048576"><c r="XFD1048576"><v>1</v></c></row></worksheet>'
            }
        ),
        ods_of(REPEATED.format(rows=' table:number-rows-repeated="900000000"', columns="")),
        ods_of(REPEATED.format(rows="", columns=' table:number-columns-repeated="900000000"')),
    ],
)
def test_a_cell_far_from_the_table_is_refused_before_room_is_made_for_it(content: bytes) -> None:
    with pytest.raises(ShipmentFileError, match="far from its table"):
        read_rows(content)


def test_formatted_cells_without_values_to_the_end_of_the_sheet_do_no_harm() -> None:
    header = "".join(
        f'<table:table-cell office:value-type="string"><text:p>{name}</text:p></table:table-cell>'
        for name in HEADER
    )
    rest = (
        '<table:table-row table:number-rows-repeated="1048575"><table:table-cell '
        'table:number-columns-repeated="16384"/></table:table-row>'
    )
    content = ods_of(
        f'<table:table table:name="S"><table:table-row>{header}</table:table-row>{rest}</table:table>'
    )
    assert read_rows(content).rows == []
