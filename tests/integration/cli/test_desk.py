"""The command line on the desk: results, exit codes, and what stands on stdout."""

from __future__ import annotations

import csv
import io
import json
import stat
from decimal import Decimal
from pathlib import Path

import pytest
from sqlalchemy import Engine

from models.tables.runs import RunState
from tasks.desk.errors import RetriableDeskError
from tasks.text_cells import from_csv_cell
from tests.support.builders import insert_order, insert_rejected, insert_run
from tests.support.commands import RunDesk, refused

# --- orders -------------------------------------------------------------------------------------------------


def test_orders_are_listed_for_people(desk_command: RunDesk, cli_engine: Engine) -> None:
    insert_order(cli_engine, order_number="ACME-1001", ship_name="[red]Ada[/red] \x1b[2J")
    result = desk_command("orders")
    assert (result.code, result.err) == (0, "")
    assert "ACME-1001" in result.out
    assert "[red]Ada[/red]" in result.out
    assert "\x1b" not in result.out


def test_a_long_list_says_how_to_go_on(desk_command: RunDesk, cli_engine: Engine) -> None:
    ids = [insert_order(cli_engine, order_number=f"number-{number}") for number in range(3)]
    result = desk_command("orders", "--limit", "2")
    assert f"--before {ids[1]}" in result.err
    assert "number-0" not in result.out
    rest = desk_command("orders", "--limit", "2", "--before", str(ids[1]))
    assert "number-0" in rest.out
    assert rest.err == ""


def test_orders_as_json_are_one_document(desk_command: RunDesk, cli_engine: Engine) -> None:
    insert_order(cli_engine, order_number="A-1", ship_name="Zoë", declared_value=Decimal("0.10"))
    insert_order(cli_engine, order_number="A-2", folder="Closed")
    result = desk_command("orders", "--json")
    assert (result.code, result.err) == (0, "")
    second, first = json.loads(result.out)
    assert (first["order_number"], first["declared_value"], first["shipping"]["name"]) == (
        "A-1",
        "0.10",
        "Zoë",
    )
    assert first["shipping"]["postal_code"] == "02134"
    assert second["folder"] == "Closed"
    only = json.loads(desk_command("orders", "--folder", "closed", "--json").out)
    assert [order["order_number"] for order in only] == ["A-2"]


def test_an_empty_desk_is_an_empty_list(desk_command: RunDesk) -> None:
    assert json.loads(desk_command("orders", "--json").out) == []
    assert json.loads(desk_command("runs", "--json").out) == []
    assert json.loads(desk_command("rejected", "--json").out) == []
    assert desk_command("orders", "export").out == ""


def test_an_export_has_an_order_a_line(desk_command: RunDesk, cli_engine: Engine) -> None:
    insert_order(cli_engine, order_number="A-1", ship_address1="two\nlines")
    insert_order(cli_engine, order_number="A-2")
    result = desk_command("orders", "export")
    assert [json.loads(line)["order_number"] for line in result.out.splitlines()] == ["A-1", "A-2"]
    assert desk_command("orders", "export", "--json").out == result.out


def test_a_csv_export_is_safe_in_a_spreadsheet(desk_command: RunDesk, cli_engine: Engine) -> None:
    insert_order(
        cli_engine, order_number="0042", ship_name='=HYPERLINK("x")', phone="+44 20", ship_city="A, B"
    )
    (line,) = csv.DictReader(io.StringIO(desk_command("orders", "export", "--format", "csv").out))
    assert line["shipping_name"] == '\'=HYPERLINK("x")'
    assert line["phone"] == "'+44 20"
    assert (line["order_number"], line["shipping_postal_code"], line["shipping_city"]) == (
        "0042",
        "02134",
        "A, B",
    )
    assert json.loads(line["items"])[0]["sku"] == "TEE-BLK-M"


def test_every_value_of_a_csv_export_comes_back(desk_command: RunDesk, cli_engine: Engine) -> None:
    evil = ["=1+1", "+44 20 7946 0000", "-5", "@x", "\t=1", "'t Example", "＝1", 'two\nlines, and a "quote"']
    for text in evil:
        insert_order(cli_engine, ship_name=text, phone=text, ship_address1=text, order_number=text)
    lines = csv.DictReader(io.StringIO(desk_command("orders", "export", "--format", "csv").out))
    orders = [json.loads(line) for line in desk_command("orders", "export").out.splitlines()]
    for line, order, text in zip(lines, orders, evil, strict=True):
        assert not line["phone"].startswith(("=", "+", "-", "@", "\t"))
        assert from_csv_cell(line["shipping_name"]) == order["shipping"]["name"] == text
        assert from_csv_cell(line["phone"]) == order["phone"] == text
        assert from_csv_cell(line["shipping_address1"]) == order["shipping"]["address1"]
        assert from_csv_cell(line["order_number"]) == order["order_number"]


def test_a_csv_export_can_have_a_line_an_item(desk_command: RunDesk, cli_engine: Engine) -> None:
    evil = {
        "sku": "=1+1",
        "notes": "two\nlines",
        "item_metadata": {"print_url_1": "https://x.example.test/a.png"},
    }
    insert_order(cli_engine, order_number="0042", items=(evil, {"sku": "007"}))
    insert_order(cli_engine, order_number="no items", items=())
    result = desk_command("orders", "export", "--format", "csv", "--rows", "items")
    lines = list(csv.DictReader(io.StringIO(result.out)))
    assert [(line["order_number"], line["item"]) for line in lines] == [
        ("0042", "1"),
        ("0042", "2"),
        ("no items", ""),
    ]
    assert [line["item_sku"] for line in lines] == ["'=1+1", "007", ""]
    assert lines[0]["item_notes"] == "two\nlines"
    assert json.loads(lines[0]["item_metadata"]) == evil["item_metadata"]
    assert {line["shipping_postal_code"] for line in lines} == {"02134"}
    assert "items" not in lines[0]


@pytest.mark.parametrize("rows", ["orders", "items"])
def test_a_csv_export_begins_with_a_byte_order_mark_on_request(
    desk_command: RunDesk, cli_engine: Engine, tmp_path: Path, rows: str
) -> None:
    insert_order(cli_engine, ship_name="Zoë Łukasz")
    file = tmp_path / "orders.csv"
    export = ("orders", "export", "--format", "csv", "--rows", rows)
    desk_command(*export, "--bom", "--output", str(file))
    assert file.read_bytes() == b"\xef\xbb\xbf" + desk_command(*export).out.encode()
    assert desk_command(*export, "--bom").out.encode() == file.read_bytes()


@pytest.mark.parametrize("option", [("--rows", "items"), ("--bom",)])
def test_options_of_csv_are_refused_without_it(desk_command: RunDesk, option: tuple[str, ...]) -> None:
    message = refused(desk_command("orders", "export", *option))
    assert f"{option[0]}: it is for --format csv" in message


def test_an_export_to_a_file_is_private_and_complete(
    desk_command: RunDesk, cli_engine: Engine, tmp_path: Path
) -> None:
    insert_order(cli_engine)
    file = tmp_path / "orders.jsonl"
    file.write_text("from yesterday")
    result = desk_command("orders", "export", "--output", str(file))
    assert (result.code, result.out) == (0, "")
    assert "1 order exported" in result.err
    assert json.loads(file.read_text())["id"] == 1
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_a_broken_export_leaves_the_old_file(
    desk_command: RunDesk, cli_engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_order: object) -> list[str]:
        raise RetriableDeskError("the desk's database did not answer")

    insert_order(cli_engine)
    file = tmp_path / "orders.csv"
    file.write_text("from yesterday")
    monkeypatch.setattr("tasks.desk.export.csv_line", broken)
    assert desk_command("orders", "export", "--format", "csv", "--output", str(file)).code == 1
    assert file.read_text() == "from yesterday"
    assert [path.name for path in tmp_path.glob("*orders*")] == ["orders.csv"]


@pytest.mark.parametrize("place", ["nowhere/orders.csv", "."])
def test_an_export_that_can_not_be_written_is_refused(
    desk_command: RunDesk, tmp_path: Path, place: str
) -> None:
    message = refused(desk_command("orders", "export", "--output", str(tmp_path / place)))
    assert "can't be written" in message


def test_one_order_by_any_name(desk_command: RunDesk, cli_engine: Engine) -> None:
    order_id = insert_order(cli_engine, source_id="source-a", order_number="A-1")
    for reference in (str(order_id), "source-a", "A-1"):
        found = json.loads(desk_command("order", reference, "--json").out)
        assert (found["id"], found["history"][0]["event"]) == (order_id, "imported")
    text = desk_command("order", "A-1").out
    for fact in (
        "A-1",
        "Ada Lovelace",
        "02134 Boston MA",
        "12.50 USD",
        "250 g",
        "print_url_1",
        "imported by check",
    ):
        assert fact in text


def test_an_unknown_or_ambiguous_order_is_refused(desk_command: RunDesk, cli_engine: Engine) -> None:
    assert "no order 'A-1'" in refused(desk_command("order", "A-1", "--json"))
    insert_order(cli_engine, order_number="A-1")
    insert_order(cli_engine, order_number="A-1")
    assert "id 1 (order number A-1" in refused(desk_command("order", "A-1"))


# --- folders and moves --------------------------------------------------------------------------------------


def folders_of(desk_command: RunDesk) -> dict[str, int]:
    found = json.loads(desk_command("folders", "--json").out)
    return {folder["name"]: folder["orders"] for folder in found}


def test_folders_are_listed(desk_command: RunDesk, cli_engine: Engine) -> None:
    insert_order(cli_engine)
    assert folders_of(desk_command) == {"New": 1, "Prepared": 0, "Closed": 0, "Canceled": 0}
    assert "Prepared" in desk_command("folders").out


def test_folders_are_added_renamed_and_deleted(desk_command: RunDesk, cli_engine: Engine) -> None:
    insert_order(cli_engine)
    assert desk_command("folders", "add", "On hold").code == 0
    assert desk_command("folders", "rename", "on hold", "Waiting").code == 0
    assert "holds 1 order" in refused(desk_command("folders", "delete", "New"))
    assert desk_command("folders", "delete", "New", "--move-to", "Waiting").code == 0
    assert folders_of(desk_command) == {"Prepared": 0, "Closed": 0, "Canceled": 0, "Waiting": 1}


def test_orders_are_moved_with_history(desk_command: RunDesk, cli_engine: Engine) -> None:
    insert_order(cli_engine, order_number="A-1")
    insert_order(cli_engine, order_number="A-2")
    assert "2 orders moved to Prepared" in desk_command("move", "A-1", "A-2", "--to", "Prepared").out
    assert "the folders are: New" in refused(desk_command("move", "A-1", "--to", "Nowhere"))
    assert "no order 'A-9'" in refused(desk_command("move", "A-1", "A-9", "--to", "Closed"))
    history = json.loads(desk_command("order", "A-1", "--json").out)["history"]
    assert [entry["event"] for entry in history] == ["imported", "moved"]
    assert "moved from New to Prepared" in history[1]["text"]


# --- runs and rejected orders -------------------------------------------------------------------------------


def test_runs_are_listed(desk_command: RunDesk, cli_engine: Engine) -> None:
    insert_run(cli_engine, counts={"imported": 7}, error="podOS was away", state=RunState.FAILED)
    insert_run(cli_engine, state=RunState.RUNNING)
    newest, oldest = json.loads(desk_command("runs", "--json").out)
    assert (newest["state"], oldest["counts"]) == ("crashed", {"imported": 7})
    assert "podOS was away" in desk_command("runs").out


def test_rejected_orders_are_listed_without_payload(desk_command: RunDesk, cli_engine: Engine) -> None:
    insert_rejected(cli_engine, source_id="source-a")
    for args in (["rejected"], ["rejected", "--json"]):
        result = desk_command(*args)
        assert "createdAt is missing" in result.out
        assert "ada@example.com" not in result.out + result.err


def test_orders_are_searched_and_filtered(desk_command: RunDesk, cli_engine: Engine) -> None:
    insert_order(cli_engine, source_id="s-1", order_number="A-1", ship_country="GB", podos_status="paid")
    insert_order(cli_engine, source_id="s-2", order_number="A-2", ship_country="DE", podos_status="printed")

    def found(*options: str) -> list[str]:
        listed = json.loads(desk_command("orders", "--json", *options).out)
        shown = desk_command("orders", *options).out
        assert all(order["order_number"] in shown for order in listed)
        return [order["order_number"] for order in listed]

    assert found() == ["A-2", "A-1"]
    assert found("--search", "a-1") == ["A-1"]
    assert found("--country", "Germany") == ["A-2"]
    assert found("--status", "PAID") == ["A-1"]
    assert found("--since", "2999-01-01") == []
    assert "is no day" in refused(desk_command("orders", "--since", "yesterday"))
    assert "put options behind the command" in refused(desk_command("orders", "--search", "x", "export"))
