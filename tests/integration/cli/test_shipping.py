"""`desk ship` and `desk shipments` on a desk without a Prefect server."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from sqlalchemy import Engine

from tests.support.builders import insert_order
from tests.support.commands import RunDesk, refused

KEYS = [
    *("id", "order", "source_id", "country", "courier", "code", "url", "state"),
    *("attempts", "next_attempt_at", "reason", "sent_at"),
]


@pytest.fixture(autouse=True)
def no_server(monkeypatch: pytest.MonkeyPatch) -> None:
    """No Prefect server is set."""
    monkeypatch.setenv("PREFECT_API_URL", "")


@pytest.fixture
def order(cli_engine: Engine) -> int:
    return insert_order(cli_engine, order_number="A-1", source_id="source-a")


def test_ship_one_order(desk_command: RunDesk, order: int) -> None:
    result = desk_command("ship", "A-1", "--courier", " dpd ", "--code", " 0001 ", "--json")
    shown = json.loads(result.out)
    assert list(shown) == KEYS
    assert (shown["courier"], shown["code"], shown["state"]) == ("dpd", "0001", "waiting")
    assert shown["url"] == "https://track.dpd.co.uk/search?reference=0001"
    again = desk_command("ship", "source-a", "--courier", "dpd", "--code", "0001")
    assert again.out == "shipment 1 of order A-1 to US is in the desk already (waiting)\n"
    (listed,) = json.loads(desk_command("shipments", "--json").out)
    assert listed == shown


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("A-1",),
        ("A-1", "--courier", "DPD"),
        ("A-1", "--courier", "DPD", "--code", "1", "--csv", "x.csv"),
        ("A-1", "A-2", "--courier", "DPD", "--code", "1"),
        ("A-1", "--courier", "DPD", "--code", " "),
        ("A-1", "--courier", "DPD", "--code", "#N/A"),
        ("A-1", "--courier", "#REF!", "--code", "1"),
        ("A-1", "--courier", "DPD", "--code", "1.55E+13"),
        ("A-1", "--courier", "UPS", "--code", "1Z999AA10123456784, 1Z999AA10123456795"),
        ("A-1", "--courier", "DPD", "--code", "1", "--url", "nonsense"),
        ("A-1", "--courier", "DPD", "--code", "1", "--shipped-at", "soon"),
        ("A-9", "--courier", "DPD", "--code", "1"),
        ("--csv", "x.csv", "--code", "1"),
        ("--csv", "nowhere.csv"),
        ("void",),
        ("void", "x"),
        ("void", "99"),
        ("--watch", "nowhere"),
    ],
)
def test_what_makes_no_sense_is_refused(
    desk_command: RunDesk, order: int, arguments: tuple[str, ...]
) -> None:
    result = desk_command("ship", *arguments)
    assert result.code in {1, 2}
    assert "Error: " in result.err
    assert "Traceback" not in result.err
    assert json.loads(desk_command("shipments", "--json").out) == []


def test_a_csv_file(desk_command: RunDesk, order: int, tmp_path: Path) -> None:
    path = tmp_path / "shipped.csv"
    path.write_text("order,courier,code\nA-1,DPD,1\nA-9,DPD,2\n", encoding="utf-8")
    result = desk_command("ship", "--csv", str(path), "--json")
    assert (result.code, json.loads(result.out)) == (
        0,
        {
            **{"file": str(path), "added": 1, "known": 0},
            **{"bad": [{"line": 3, "reason": "the desk has no order 'A-9'"}]},
        },
    )
    assert "1 added" not in desk_command("ship", "--csv", str(path)).out


def test_a_strict_csv_file_with_a_bad_row_takes_nothing(
    desk_command: RunDesk, order: int, tmp_path: Path
) -> None:
    path = tmp_path / "shipped.csv"
    path.write_text("order,courier,code\nA-1,DPD,1\nA-9,DPD,2\n", encoding="utf-8")
    result = desk_command("ship", "--csv", str(path), "--strict")
    assert result.code == 2
    assert "no order 'A-9'" in result.out
    assert json.loads(desk_command("shipments", "--json").out) == []


def test_void_and_resend(desk_command: RunDesk, order: int) -> None:
    desk_command("ship", "A-1", "--courier", "DPD", "--code", "1")
    assert desk_command("ship", "void", "1").out == "voided shipment 1\n"
    assert json.loads(desk_command("shipments", "--waiting", "--json").out) == []
    assert desk_command("shipments", "resend", "1").out == "1 shipment waits for the next sync\n"
    assert json.loads(desk_command("shipments", "resend", "--all-failed", "--json").out) == {"resent": []}
    assert "no shipment 99" in refused(desk_command("shipments", "resend", "99"))
    assert desk_command("shipments", "resend").code == 2
    assert desk_command("shipments", "--failed", "--waiting").code == 2


def test_a_server_that_is_away_changes_nothing(
    desk_command: RunDesk, order: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PREFECT_API_URL", "http://127.0.0.1:9/api")
    result = desk_command("ship", "A-1", "--courier", "DPD", "--code", "1")
    assert (result.code, result.out, result.err) == (0, "added shipment 1 of order A-1 to US\n", "")


def test_a_file_that_is_too_large_is_named_with_line_and_limit(
    desk_command: RunDesk, order: int, tmp_path: Path
) -> None:
    path = tmp_path / "today.csv"
    path.write_text("order,courier,code\nA-1,DPD," + "9" * 100_000)
    assert "today.csv: line 2 is longer than 100000 characters" in refused(
        desk_command("ship", "--csv", str(path))
    )
    path.unlink()
    path.symlink_to("/dev/zero")
    assert "today.csv is larger than 20 MB" in refused(desk_command("ship", "--csv", str(path)))
    assert desk_command("shipments", "--json").out.strip() == "[]"
