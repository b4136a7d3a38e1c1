"""CSV files as spreadsheets and shipping programs write them."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.tracking import shipment_file as shipment_files
from tasks.tracking import tables as shipment_tables
from tasks.tracking.shipment_file import FileRow, read_bytes, read_rows
from tasks.tracking.tables import BadRow, ShipmentFileError


def test_a_plain_file() -> None:
    rows, bad, _ = read_rows(b"order,courier,code\nA-1,DPD,0001\nA-2,UPS,1Z\n")
    assert rows == [FileRow(2, "A-1", "DPD", "0001", "", ""), FileRow(3, "A-2", "UPS", "1Z", "", "")]
    assert bad == []


@pytest.mark.parametrize(
    "content",
    [
        "Code;ORDER; Courier ;note\r\n0001;A-1;DPD;hello\r\n",
        "\ufefforder;courier;code\nA-1;DPD;0001",
        '"code","order","courier"\n"0001","A-1","DPD"\n\n\n',
        "shipped_at,url,code,courier,order\r,,0001,DPD,A-1\r",
    ],
)
def test_headers_separators_and_line_ends_of_all_kinds(content: str) -> None:
    rows, bad, _ = read_rows(content.encode())
    assert [(row.order, row.courier, row.code) for row in rows] == [("A-1", "DPD", "0001")]
    assert bad == []


def test_lines_are_counted_as_an_editor_counts_them() -> None:
    content = 'order,courier,code,note\n\nA-1,DPD,1,"two\nlines"\n\nA-2,DPD,2,x\nA-3,DPD,3,x,y,z\n'
    rows, bad, _ = read_rows(content.encode())
    assert [row.line for row in rows] == [3, 6]
    assert bad == [BadRow(7, "it has more columns than the header")]


def test_missing_cells_are_empty() -> None:
    (row,), *_ = read_rows(b"order,courier,code,url\nA-1,DPD\n")
    assert (row.code, row.url) == ("", "")


def test_an_open_quotation_mark_is_a_bad_row() -> None:
    rows, bad, _ = read_rows(b'order,courier,code\nA-1,DPD,1\nA-2,DPD,"2\nA-3,DPD,3\n')
    assert len(rows) == 1
    assert [row.line for row in bad] == [3]


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "no header"),
        (b"\n \n", "no header"),
        (b"order,courier\nA-1,DPD\n", "lacks the column code"),
        (b"courier,code\nDPD,1\n", "lacks the column order"),
        (b"desk_id,courier,code,desk id\n1,DPD,1,1\n", "column desk_id twice"),
        (b"order,code,courier,Code\n", "column code twice"),
        (b"order,courier,code\n\x81,DPD,1\n", "no text in UTF-8"),
        (b"\xff\xfeo", "no text in UTF-8"),
    ],
)
def test_a_file_that_cannot_be_used(content: bytes, problem: str) -> None:
    with pytest.raises(ShipmentFileError, match=problem):
        read_rows(content)


def test_sizes_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "big.csv"
    path.write_bytes(b"x" * 11)
    monkeypatch.setattr(shipment_files, "MAX_FILE_BYTES", 10)
    with pytest.raises(ShipmentFileError, match="larger"):
        read_bytes(path)
    monkeypatch.setattr(shipment_files, "MAX_ROWS", 2)
    with pytest.raises(ShipmentFileError, match="more than 2 rows"):
        read_rows(b"order,courier,code\n1,2,3\n4,5,6\n7,8,9\n")


@given(st.binary(max_size=300))
def test_any_bytes_are_rows_or_a_clear_error(content: bytes) -> None:
    try:
        rows, bad, _ = read_rows(b"order,courier,code\n" + content)
    except ShipmentFileError:
        return
    assert all(row.line > 1 for row in rows)
    assert all(row.reason for row in bad)


def test_a_line_or_a_header_without_an_end_is_refused_by_its_number() -> None:
    long = "order,courier,code\nA-1,DPD,1\nA-2,DPD," + "x" * shipment_tables.MAX_LINE_CHARACTERS
    with pytest.raises(ShipmentFileError, match=r"line 3 is longer than 100000 characters"):
        read_rows(long.encode())
    wide = ",".join(["order", "courier", "code", *map(str, range(200))])
    with pytest.raises(ShipmentFileError, match=r"line 1: the file has more than 200 columns"):
        read_rows(wide.encode())


def test_an_export_that_was_guarded_is_read_as_it_was() -> None:
    rows, *_ = read_rows(b"order,courier,code\n'-A1,DPD,'+0001\n''A2,DPD,1\n")
    assert [(row.order, row.code) for row in rows] == [("-A1", "+0001"), ("'A2", "1")]


def test_what_keeps_a_cell_text_is_taken_off_in_every_column() -> None:
    guarded = '="F100002",="DPD",="00340434161094042558",="https://x.test/1",="2026-11-23",="7"'
    content = f"order,courier,code,url,shipped_at,desk_id\n{guarded}\n"
    (row,), *_ = read_rows(content.encode())
    values = ("F100002", "DPD", "00340434161094042558", "https://x.test/1", "2026-11-23", "7")
    assert row == FileRow(2, *values, code_is_text=True)
    (row,), *_ = read_rows(b"'order,=\"courier\",code\n'F1,'DPD,'0034\n")
    assert row == FileRow(2, "F1", "DPD", "0034", "", "", code_is_text=True)


def test_what_can_not_be_seen_does_not_count() -> None:
    content = "\ufeff\ufeffOrder\u200b,Courier,Code\n\ufeffF100003\u200b,Royal\u00a0Mail, AB\u202f124\u00a0\n"
    (row,), *_ = read_rows(content.encode())
    assert row == FileRow(2, "F100003", "Royal Mail", "AB 124", "", "")


@pytest.mark.parametrize(
    "header", ["Desk_ID,courier,code", "desk id;courier;code", "order,code,courier,desk_id"]
)
def test_a_desk_id_has_a_column_of_its_own(header: str) -> None:
    separator = ";" if ";" in header else ","
    cells = {"order": "A-1", "courier": "DPD", "code": "1"}
    line = separator.join(cells.get(name, "7") for name in header.split(separator))
    (row,), *_ = read_rows(f"{header}\n{line}\n".encode())
    assert (row.desk_id, row.courier, row.code) == ("7", "DPD", "1")


@pytest.mark.parametrize(
    "content",
    [
        b"sep=;\nOrder;Courier;Code\nF1;DPD;T1\n",
        b'"sep=|"\r\nOrder|Courier|Code\r\nF1|DPD|T1\r\n',
        b"sep=,,,\r\nOrder,Courier,Code\r\nF1,DPD,T1\r\n",
        b"Order\tCourier\tCode\nF1\tDPD\tT1\n",
        "Order\tCourier\tCode\r\nF1\tDPD\tT1\r\n".encode("utf-16"),
        "Order\tCourier\tCode\r\nF1\tDPD\tT1\r\n".encode("utf-16-be"),
        "Order,Courier,Code\rF1,DPD,T1\r".encode("utf-16-le"),
        b"Order,Courier,Code,\nF1,DPD,T1,,,\n,,,,\n,,\n",
        b"Order,Courier,Code\nF1,DPD,T1,\n",
    ],
)
def test_forms_in_which_spreadsheets_save_text(content: bytes) -> None:
    rows, bad, _ = read_rows(content)
    assert [(row.order, row.courier, row.code) for row in rows] == [("F1", "DPD", "T1")]
    assert bad == []


def test_lines_are_counted_with_the_line_that_names_the_separator() -> None:
    rows, *_ = read_rows(b"sep=;\nOrder;Courier;Code\nF1;DPD;T1\n")
    assert [row.line for row in rows] == [3]


def test_windows_1252_is_read() -> None:
    (row,), *_ = read_rows("Order;Courier;Code\nÄ1;Österreichische Post;1\n".encode("cp1252"))
    assert (row.order, row.courier) == ("Ä1", "Österreichische Post")


def test_a_separator_line_that_names_none_is_refused() -> None:
    with pytest.raises(ShipmentFileError, match="sep= names no separator"):
        read_rows(b"sep=A\nOrder,Courier,Code\n")
