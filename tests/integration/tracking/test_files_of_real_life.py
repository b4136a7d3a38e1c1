"""Files, names and encodings as shops, carriers, spreadsheets and file systems really have them."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import Engine

from models.shipments import ShipmentReading
from tasks.safe_files import Directory
from tasks.tracking import drop_folder
from tasks.tracking.drop_folder import take_folder
from tasks.tracking.intake import Taken, take_file
from tasks.tracking.shipment_list import list_shipments
from tests.support.builders import insert_order, insert_run
from tests.support.workbooks import ods, xlsx

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
GOOD = "order,courier,code\nF100001,DPD,T1\n"


@pytest.fixture(autouse=True)
def orders(desk: Engine) -> None:
    """F100001 to F100004."""
    run = insert_run(desk, settings={"order_prefix": ""})
    for number in range(1, 5):
        name = f"F{100_000 + number}"
        insert_order(desk, run_id=run, order_number=name, fulfiller_reference=name, source_id=f"s-{number}")


@pytest.fixture
def drop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(drop_folder, "sleep", lambda _: None)
    folder = tmp_path / "drop"
    folder.mkdir()
    return folder


def take(desk: Engine, content: bytes, reading: ShipmentReading | None = None) -> Taken:
    return take_file(
        desk, content, strict=False, overwrite=False, now=NOW, reading=reading or ShipmentReading()
    )


def kept(desk: Engine) -> list[tuple[str | None, str, str]]:
    return sorted((shipment.order, shipment.courier, shipment.code) for shipment in list_shipments(desk))


def put(folder: Path, name: str, content: bytes | str, *, age: timedelta = timedelta(minutes=1)) -> None:
    (folder / name).write_bytes(content.encode() if isinstance(content, str) else content)
    moment = (NOW - age).timestamp()
    os.utime(folder / name, (moment, moment))


@pytest.mark.parametrize("make", [xlsx, ods])
def test_a_workbook_is_read_like_csv(desk: Engine, make: type) -> None:
    rows = [
        ("Order Number", "Carrier", "Tracking Number", "Ship Date"),
        ("F100001", "Royal Mail", "AB123456789GB", "2026-11-23"),
        ("F100002", "DHL", 340434161094042557.0, None),
        ("F100003", "DPD", True, None),
        (340434161094042557.0, "DPD", "T4", None),
        ("F100004", "DPD", 15501234567890, "23/11/2026"),
    ]
    taken = take(desk, make([("Export", rows)]))
    assert kept(desk) == [("F100001", "Royal Mail", "AB123456789GB")]
    reasons = {row.line: row.reason for row in taken.bad}
    assert "made a number of the code, and digits may be lost: save its column as text" in reasons[3]
    assert "word for no value" in reasons[4]
    assert "made a number of the order, and digits may be lost" in reasons[5]
    assert "shipped_at is no date: write 2026-11-23" in reasons[6]
    assert taken.sheet == "Export"
    assert take(desk, make([("Export", rows)]), ShipmentReading(date_format="%d/%m/%Y")).added == 1


def test_headers_of_carriers_and_of_ones_own(desk: Engine) -> None:
    take(
        desk, b"Order Number,Carrier,Tracking Number,Ship Date\nF100001,Royal Mail,AB123456789GB,2026-11-23\n"
    )
    reading = ShipmentReading({"order": "Unsere Nr", "code": "Nr"})
    take(desk, b"Unsere Nr;Carrier;Nr\nF100002;DPD;T2\n", reading)
    assert kept(desk) == [("F100001", "Royal Mail", "AB123456789GB"), ("F100002", "DPD", "T2")]


def test_invisible_characters_do_not_count(desk: Engine) -> None:
    content = (
        "Order,Courier,Code\nF100002,Royal\u00a0Mail,\u00a0123AB\nF100001\u00a0,DPD,\u2007AB124\u00a0\n"
        "\ufeffF100003\u200b,D\u00adPD,AB\u200e125\n\u202dF100004\u202c,DPD,AB126\u2060\n"
    )
    assert take(desk, content.encode()).bad == []
    assert kept(desk) == [
        ("F100001", "DPD", "AB124"),
        ("F100002", "Royal Mail", "123AB"),
        ("F100003", "DPD", "AB125"),
        ("F100004", "DPD", "AB126"),
    ]


def test_workbooks_and_tables_of_tabs_are_taken_from_the_drop_folder(desk: Engine, drop: Path) -> None:
    put(drop, "a.XLSX", xlsx([("S", [("order", "courier", "code"), ("F100001", "DPD", "T1")])]))
    put(drop, "b.ods", ods([("S", [("order", "courier", "code"), ("F100002", "DPD", "T2")])]))
    put(drop, "c.tsv", "order\tcourier\tcode\nF100003\tDPD\tT3\n")
    put(drop, "~$a.xlsx", b"\x05owner")
    results = take_folder(desk, drop, strict=False, now=NOW)
    assert [result.moved_to.parent.name for result in results] == ["done"] * 3
    assert "sheet S: 1 added" in results[0].one_line()
    assert (drop / "~$a.xlsx").exists()


def test_a_file_dated_in_the_future_is_taken(desk: Engine, drop: Path) -> None:
    put(drop, "a.csv", GOOD, age=timedelta(days=-400))
    (result,) = take_folder(desk, drop, strict=False, now=NOW)
    assert result.taken.added == 1


def test_a_file_dated_in_the_future_that_is_still_written_stays(
    desk: Engine, drop: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(drop, "a.csv", GOOD, age=timedelta(hours=-1))
    monkeypatch.setattr(drop_folder, "sleep", lambda _: put(drop, "a.csv", GOOD * 2, age=timedelta(hours=-1)))
    assert take_folder(desk, drop, strict=False, now=NOW) == []
    assert (drop / "a.csv").exists()


@pytest.mark.parametrize("stem", ["a" * 250, "ä" * 125, "a" + "ä" * 124])
def test_a_long_name_stops_no_other_file(desk: Engine, drop: Path, stem: str) -> None:
    put(drop, f"{stem}.csv", "order,courier,code\nF1,DPD,T1\n")
    put(drop, "z.csv", GOOD)
    results = take_folder(desk, drop, strict=False, now=NOW)
    assert [result.taken.added for result in results] == [0, 1] or [r.taken.added for r in results] == [1, 0]
    put(drop, f"{stem}.csv", "order,courier,code\nF1,DPD,T1\n")
    (again,) = take_folder(desk, drop, strict=False, now=NOW)
    assert again.moved_to.name != f"{stem}.csv"
    assert len(list((drop / "failed").iterdir())) == 4


def test_a_file_that_can_not_be_read_stops_no_other(
    desk: Engine, drop: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(drop, "a.csv", GOOD)
    put(drop, "b.csv", GOOD)
    read = Directory.read

    def refuse(directory: Directory, name: str) -> object:
        if name == "a.csv":
            raise PermissionError(13, "Permission denied")
        return read(directory, name)

    monkeypatch.setattr(Directory, "read", refuse)
    results = take_folder(desk, drop, strict=False, now=NOW)
    assert [result.problem for result in results] == [
        "the file can't be read (Permission denied): mend its permissions",
        None,
    ]


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252"])
def test_output_to_a_pipe_is_utf_8_whatever_the_environment_says(tmp_path: Path, encoding: str) -> None:
    program = (
        "import sys; from deployments.cli import app; from deployments.cli.output import show;"
        "app.run = lambda: show('Łódź \N{BABY}') or 0; app.main()"
    )
    result = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "PYTHONIOENCODING": encoding, "PYTHONUTF8": "0"},
        capture_output=True,
        check=False,
    )
    assert (result.returncode, result.stdout.decode()) == (0, "Łódź \N{BABY}\n"), result.stderr
