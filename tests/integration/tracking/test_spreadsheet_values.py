"""Files as spreadsheets leave them: each row is the right code of the right order, or bad with the remedy."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import Engine

from tasks.tracking.drop_folder import take_folder
from tasks.tracking.intake import take_file
from tasks.tracking.shipment_list import list_shipments
from tests.support.builders import insert_order, insert_run

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)


@pytest.fixture(autouse=True)
def orders(desk: Engine) -> None:
    """F100001 to F100012 with the desk ids 1 to 12, imported without a prefix."""
    run = insert_run(desk, settings={"order_prefix": ""})
    for number in range(1, 13):
        name = f"F{100_000 + number}"
        insert_order(
            desk, run_id=run, order_number=name, fulfiller_reference=name, source_id=f"source-{number}"
        )


def taken(desk: Engine, content: str) -> tuple[list[tuple[str | None, str, str]], dict[int, str]]:
    """Take a file: the shipments that came of it, and the bad rows by line."""
    bad = take_file(desk, content.encode(), strict=False, overwrite=False, now=NOW).bad
    shipments = [(shipment.order, shipment.courier, shipment.code) for shipment in list_shipments(desk)]
    return sorted(shipments), {row.line: row.reason for row in bad}


def test_words_of_a_spreadsheet_are_bad_rows(desk: Engine) -> None:
    shipments, bad = taken(
        desk,
        "Order,Courier,Code\nF100005,DPD,#N/A\nF100006,DPD,nan\nF100007,#REF!,X1\nF100008,DPD,N/A\n"
        "F100009,DPD,-\nF100010,DPD,NULL\n#NV,DPD,X2\nnan,DPD,X3\nF100011,DPD,TRUE\nF100012,DPD,X4\n",
    )
    assert shipments == [("F100012", "DPD", "X4")]
    assert sorted(bad) == list(range(2, 11))
    assert bad[2] == "the code is an error of a spreadsheet, such as #N/A: enter the code"
    assert bad[3] == "the code is a word for no value, such as nan or -: enter the code"
    assert bad[4] == "the courier is an error of a spreadsheet, such as #N/A: enter the courier"
    assert bad[8] == "the order is an error of a spreadsheet, such as #N/A: enter the order"
    # The right row of the next day goes.
    shipments, _ = taken(desk, "Order,Courier,Code\nF100005,DPD,15501234567890\n")
    assert ("F100005", "DPD", "15501234567890") in shipments


def test_what_keeps_a_cell_text_is_taken_off(desk: Engine) -> None:
    shipments, bad = taken(
        desk,
        'Order,Courier,Code\nF100001,DPD,="00340434161094042557"\n'
        '="F100002",="DPD",="00340434161094042558"\n'
        'F100003,DPD,\'00340434161094042559\n\'F100004,\'DPD,"=""00340434161094042560"""\n',
    )
    assert bad == {}
    assert shipments == [(f"F10000{n}", "DPD", f"003404341610940425{56 + n}") for n in range(1, 5)]


def test_a_guarded_cell_with_a_separator_in_it_is_no_other_row(desk: Engine) -> None:
    shipments, bad = taken(desk, 'Order,Courier,Code,Url\nF100001,="Royal Mail, 24",AB1\n')
    assert shipments == []
    assert "the courier is a formula, or a part of one" in bad[2]


def test_rounded_numbers_are_bad_rows_with_the_remedy(desk: Engine) -> None:
    shipments, bad = taken(
        desk,
        'Order,Courier,Code\nF100003,DPD,1.55012345678E13\nF100004,DPD,"1,55012E+13"\n'
        "F100005,DPD,15501234567890.0\nF100006,DHL,340434161094042000\nF100007,DHL,34043416109404200000\n"
        "F100008,DHL,00340434161094042557\nF100009,Evri,1234567890123450\n",
    )
    assert [order for order, _, _ in shipments] == ["F100008", "F100009"]
    for line in (2, 3, 4):
        assert bad[line].endswith("and digits may be lost: save its column as text, and enter it again")
    for line in (5, 6):
        assert (
            "may have rounded the code, it has only zeros behind 15 digits: save its column as text"
            in bad[line]
        )


def test_a_code_that_really_ends_with_zeros_is_marked_as_text(desk: Engine) -> None:
    shipments, bad = taken(
        desk,
        "Order,Courier,Code\nF100001,DHL,'340434161094042000\n"
        'F100002,DHL,="340434161094042000"\nF100003,DHL,340434161094042000\n',
    )
    assert [order for order, _, _ in shipments] == ["F100001", "F100002"]
    assert list(bad) == [4]


def test_a_column_of_codes_that_was_rounded_is_bad(desk: Engine) -> None:
    rows = "".join(f"F{100_000 + n},Evri,12345678901{n:04d}0\n" for n in range(1, 6))
    shipments, bad = taken(desk, f"Order,Courier,Code\n{rows}")
    assert (shipments, sorted(bad)) == ([], [2, 3, 4, 5, 6])
    shipments, bad = taken(desk, f"Order,Courier,Code\n{rows}F100006,Evri,1234567890123456\n")
    assert (len(shipments), bad) == (6, {})  # one code shows that they are text


def test_two_codes_in_one_cell_are_a_bad_row(desk: Engine) -> None:
    shipments, bad = taken(
        desk,
        'Order,Courier,Code\nF100011,UPS,"1Z999AA10123456784, 1Z999AA10123456795"\n'
        "F100012,UPS,1Z999AA10123456784/1Z999AA10123456795\n"
        'F100010,UPS,"1Z999AA10123456784\n1Z999AA10123456795"\n'
        "F100001,Royal Mail,AB 1234 5678 9GB\n",
    )
    assert shipments == [("F100001", "Royal Mail", "AB 1234 5678 9GB")]
    assert set(bad.values()) == {
        "the code is more than one: podOS has room for one, so give each parcel a row of its own"
    }
    assert sorted(bad) == [2, 3, 4]


def test_what_can_not_be_seen_does_not_count(desk: Engine) -> None:
    shipments, bad = taken(
        desk,
        "Order,Courier,Code\nF100001,Royal\u00a0Mail,AB\u00a0123\nF100002\u00a0,DPD,\u00a0AB124 \n"
        "\ufeffF100003\u200b,DPD,AB125\n",
    )
    assert bad == {}
    assert shipments == [
        *(("F100001", "Royal Mail", "AB 123"), ("F100002", "DPD", "AB124"), ("F100003", "DPD", "AB125")),
    ]


def test_a_desk_id_has_a_column_of_its_own(desk: Engine) -> None:
    shipments, bad = taken(
        desk,
        "Order,Desk_ID,Courier,Code\n,1,DPD,X1\nF100002,2,DPD,X2\nF100003,desk:3,DPD,X3\nF100003,4,DPD,X4\n"
        ",99,DPD,X5\n,4.0,DPD,X6\n,#N/A,DPD,X7\n5,,DPD,X8\n,,DPD,X9\nsource-6,6,DPD,X10\n",
    )
    assert shipments == [
        *(("F100001", "DPD", "X1"), ("F100002", "DPD", "X2"), ("F100003", "DPD", "X3")),
        ("F100006", "DPD", "X10"),
    ]
    assert bad == {
        5: "desk_id 4 is id 4 (order number F100004, source id source-4) to US, not 'F100003'",
        6: "the desk has no order of desk_id '99'",
        7: "the desk has no order of desk_id '4.0'",
        8: "the desk has no order of desk_id '#N/A'",
        9: "the desk has no order '5'; a desk id goes into a column desk_id",
        10: "the order is empty",
    }


def test_a_desk_id_tells_orders_of_one_number_apart(desk: Engine) -> None:
    for part in (13, 14):
        insert_order(desk, order_number="M-1", source_id=f"part-{part}", id=part)
    content = "desk_id,order,courier,code\n14,M-1,DPD,X1\n,M-1,DPD,X2\n"
    shipments, bad = taken(desk, content)
    assert shipments == [("M-1", "DPD", "X1")]
    assert [shipment.source_id for shipment in list_shipments(desk)] == ["part-14"]
    assert "'M-1' means 2 orders" in bad[3]
    assert taken(desk, "desk_id,courier,code\n13,DPD,X3\n")[0] == [("M-1", "DPD", "X1"), ("M-1", "DPD", "X3")]


def test_the_drop_folder_reads_no_desk_id_either(desk: Engine, tmp_path: Path) -> None:
    path = tmp_path / "today.csv"
    path.write_text("Order,Courier,Code\n3,DPD,X1\nF100004,DPD,X2\nF100005,DPD,#N/A\n", encoding="utf-8")
    moment = (NOW - timedelta(minutes=1)).timestamp()
    os.utime(path, (moment, moment))
    (result,) = take_folder(desk, tmp_path, strict=False, now=NOW)
    assert (result.taken.added, [row.line for row in result.taken.bad]) == (1, [2, 4])
    assert [(shipment.order, shipment.code) for shipment in list_shipments(desk)] == [("F100004", "X2")]
    assert "a desk id goes into a column desk_id" in (tmp_path / "failed/today.errors.txt").read_text()
