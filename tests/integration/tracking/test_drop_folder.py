"""Files dropped into a folder are taken once, and end in done/ or failed/."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import Engine

from tasks.safe_files import Directory
from tasks.tracking.drop_folder import DropFolderError, FileResult, take_folder
from tasks.tracking.shipment_list import list_shipments
from tests.support.builders import insert_order

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
GOOD = "order,courier,code\nA-1,DPD,1\n"
HALF = "order,courier,code\nA-1,DPD,2\nA-9,DPD,3\n"


@pytest.fixture
def drop(tmp_path: Path, cli_engine: Engine) -> Path:
    insert_order(cli_engine, order_number="A-1")
    folder = tmp_path / "drop"
    folder.mkdir()
    return folder


def put(folder: Path, name: str, content: str, *, age: timedelta = timedelta(minutes=1)) -> None:
    (folder / name).write_text(content, encoding="utf-8")
    moment = (NOW - age).timestamp()
    os.utime(folder / name, (moment, moment))


def take(engine: Engine, folder: Path, *, strict: bool = False) -> list[FileResult]:
    return take_folder(engine, folder, strict=strict, now=NOW)


def files(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_a_good_file_goes_to_done(cli_engine: Engine, drop: Path) -> None:
    put(drop, "a.csv", GOOD)
    (result,) = take(cli_engine, drop)
    assert result.one_line() == "a.csv: 1 added, 0 known, 0 bad; moved to done/a.csv"
    assert files(drop) == ["done/a.csv"]
    assert take(cli_engine, drop) == []


def test_a_file_with_bad_rows_goes_to_failed_with_their_list(cli_engine: Engine, drop: Path) -> None:
    put(drop, "a.CSV", HALF)
    (result,) = take(cli_engine, drop)
    assert (result.taken.added, len(result.taken.bad)) == (1, 1)
    assert files(drop) == ["failed/a.CSV", "failed/a.errors.txt"]
    assert (drop / "failed/a.errors.txt").read_text() == "line\treason\n3\tthe desk has no order 'A-9'\n"


def test_strict_takes_nothing_of_a_file_with_bad_rows(cli_engine: Engine, drop: Path) -> None:
    put(drop, "a.csv", HALF)
    take(cli_engine, drop, strict=True)
    assert list(list_shipments(cli_engine)) == []
    assert files(drop) == ["failed/a.csv", "failed/a.errors.txt"]


def test_a_file_that_cannot_be_read_says_why(cli_engine: Engine, drop: Path) -> None:
    put(drop, "a.csv", "hello")
    (result,) = take(cli_engine, drop)
    assert "lacks the column" in (result.problem or "")
    assert "lacks the column" in (drop / "failed/a.errors.txt").read_text()


def test_what_is_not_finished_or_not_csv_stays(cli_engine: Engine, drop: Path) -> None:
    put(drop, "new.csv", GOOD, age=timedelta(seconds=1))
    put(drop, ".hidden.csv", GOOD)
    put(drop, "a.csv.part", GOOD)
    put(drop, "notes.txt", GOOD)
    (drop / "folder.csv").mkdir()
    assert take(cli_engine, drop) == []


def test_the_same_name_again_keeps_both_files(cli_engine: Engine, drop: Path) -> None:
    for content in (GOOD, HALF, HALF, GOOD):
        put(drop, "a.csv", content)
        take(cli_engine, drop)
    assert files(drop) == [
        "done/a.20261123T120000Z-1.csv",
        "done/a.csv",
        "failed/a.20261123T120000Z-1.csv",
        "failed/a.20261123T120000Z-1.errors.txt",
        "failed/a.csv",
        "failed/a.errors.txt",
    ]
    assert len(list(list_shipments(cli_engine))) == 2


def test_a_crash_between_taking_and_moving_adds_nothing_twice(
    cli_engine: Engine, drop: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def crash(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    put(drop, "a.csv", GOOD)
    with monkeypatch.context() as patched:
        patched.setattr(Directory, "rename", crash)
        with pytest.raises(KeyboardInterrupt):
            take(cli_engine, drop)
    (result,) = take(cli_engine, drop)
    assert (result.taken.added, result.taken.known) == (0, 1)
    assert files(drop) == ["done/a.csv"]


def test_a_folder_that_is_not_there(cli_engine: Engine, drop: Path) -> None:
    with pytest.raises(DropFolderError, match="can't be used"):
        take(cli_engine, drop / "nowhere")
