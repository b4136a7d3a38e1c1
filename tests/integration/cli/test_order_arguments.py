"""A number that is a desk id and another order's number: every command asks, or refuses and names both."""

from __future__ import annotations

import io
import json
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest
from sqlalchemy import Engine, text

from models.maps import MapForm
from tasks.rules.maps_store import save_maps
from tests.support.builders import insert_order, insert_run
from tests.support.commands import RunDesk, refused

DESK = Path(sys.executable).with_name("desk")
RULES = """rules:
  - name: All
    event: order imported
    all:
      - podos_status = paid
    actions:
      - set_metadata: {a: b}
"""
SHIP = ("--courier", "DPD", "--code", "0001")
COMMANDS = {
    "order": ("order", "{}"),
    "move": ("move", "{}", "--to", "Prepared"),
    "move among others": ("move", "ACME-4", "{}", "--to", "Prepared"),
    "ship": ("ship", "{}", *SHIP),
    "send": ("send", "{}"),
    "hold": ("hold", "{}", "--reason", "artwork is unclear"),
    "release": ("release", "{}"),
    "changes take": ("changes", "take", "{}"),
    "changes keep": ("changes", "keep", "{}"),
    "erase": ("privacy", "erase", "{}", "--yes", "--force"),
    "erase, only counted": ("privacy", "erase", "{}", "--dry-run", "--force"),
    "rules test": ("rules", "test", "rules.yaml", "--order", "{}"),
    "maps test": ("maps", "test", "acme", "--order", "{}"),
}
WITH_JSON = {"order", "ship", "send", "changes take", "changes keep", "erase", "rules test", "maps test"}


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No Prefect server is set, and a rules file lies in the working directory."""
    monkeypatch.setenv("PREFECT_API_URL", "")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "rules.yaml").write_text(RULES, encoding="utf-8")


@pytest.fixture(autouse=True)
def orders(cli_engine: Engine) -> None:
    """ACME-2, ACME-3 and ACME-4 with the desk ids 1, 2 and 3: 2 and 3 are both."""
    run = insert_run(cli_engine, settings={"order_prefix": "ACME-"})
    for number, country in ((2, "GB"), (3, "DE"), (4, "FR")):
        insert_order(
            cli_engine,
            run_id=run,
            source_id=f"source-{number}",
            order_number=f"ACME-{number}",
            fulfiller_reference=str(number),
            ship_country=country,
        )
    save_maps(
        cli_engine, [MapForm.model_validate({"fulfiller": "acme", "map": "carrier", "lines": ["A = B"]})]
    )


def arguments(name: str, reference: str) -> list[str]:
    return [part.format(reference) for part in COMMANDS[name]]


def contents(engine: Engine) -> str:
    """All that a command could write."""
    tables = ("orders", "order_history", "shipments", "handovers", "order_changes", "rejected_orders")
    with engine.connect() as connection:
        return str(
            {name: list(connection.execute(text(f"SELECT * FROM {name} ORDER BY id"))) for name in tables}
        )


def at_a_terminal(monkeypatch: pytest.MonkeyPatch, answers: str) -> None:
    """Let a person sit at stdin and stderr who types these lines."""

    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.setattr(sys, "stdin", Terminal(answers))
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)


@pytest.mark.parametrize("name", COMMANDS)
def test_where_nobody_can_be_asked_it_is_refused_with_both(
    desk_command: RunDesk, cli_engine: Engine, name: str
) -> None:
    before = contents(cli_engine)
    message = refused(desk_command(*arguments(name, "3")))
    assert "'3' means 2 orders" in message
    assert "id 2 (order number ACME-3, source id source-3) to DE" in message
    assert "id 3 (order number ACME-4, source id source-4) to FR" in message
    assert "write desk:2 or desk:3 to say which" in message
    assert contents(cli_engine) == before


@pytest.mark.parametrize("name", sorted(WITH_JSON))
def test_a_program_is_never_asked(
    desk_command: RunDesk, monkeypatch: pytest.MonkeyPatch, cli_engine: Engine, name: str
) -> None:
    before = contents(cli_engine)
    at_a_terminal(monkeypatch, "1\n")
    assert "'3' means 2 orders" in refused(desk_command(*arguments(name, "3"), "--json"))
    assert contents(cli_engine) == before


@pytest.mark.parametrize("name", sorted(set(COMMANDS) - {"send", "changes take", "changes keep"}))
@pytest.mark.parametrize("reference", ["desk:3", "DESK:3", "ACME-4", "4", "source-4", " 4\u00a0"])
def test_a_reference_of_one_order_is_taken(desk_command: RunDesk, name: str, reference: str) -> None:
    assert desk_command(*arguments(name, reference)).code == 0


@pytest.mark.parametrize("name", ["send", "changes take", "changes keep"])
def test_a_reference_of_one_order_is_found(desk_command: RunDesk, name: str) -> None:
    message = refused(desk_command(*arguments(name, "desk:3")))
    assert "order desk:3 " in message  # it waits for no fulfiller, has no change


def test_a_person_is_asked_which_one(
    desk_command: RunDesk, monkeypatch: pytest.MonkeyPatch, cli_engine: Engine
) -> None:
    at_a_terminal(monkeypatch, "3\nx\n2\n")
    result = desk_command("ship", "3", *SHIP)
    assert result.code == 0
    assert "3 could be 2 orders:" in result.err
    assert "1  order ACME-3 to DE (desk id 2, podOS id source-3)" in result.err
    assert "2  order ACME-4 to FR (desk id 3, podOS id source-4)" in result.err
    assert "give a number from 1 to 2" in result.err
    assert result.out.strip() == "added shipment 1 of order ACME-4 to FR"


@pytest.mark.parametrize("name", sorted(set(COMMANDS) - {"send", "changes take", "changes keep"}))
def test_every_command_asks(desk_command: RunDesk, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    at_a_terminal(monkeypatch, "1\n")
    result = desk_command(*arguments(name, "3"))
    assert (result.code, "3 could be 2 orders:" in result.err) == (0, True)


def test_a_question_that_nobody_would_see_is_not_asked(
    desk_command: RunDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    at_a_terminal(monkeypatch, "1\n")
    monkeypatch.setattr(sys.stderr, "isatty", lambda: False)
    assert "'3' means 2 orders" in refused(desk_command("ship", "3", *SHIP))


def test_no_answer_is_no_order(
    desk_command: RunDesk, monkeypatch: pytest.MonkeyPatch, cli_engine: Engine
) -> None:
    before = contents(cli_engine)
    at_a_terminal(monkeypatch, "")
    assert desk_command("ship", "3", *SHIP).code == 130
    assert contents(cli_engine) == before


def test_a_desk_id_alone_is_taken_and_the_answer_names_the_order(desk_command: RunDesk) -> None:
    result = desk_command("ship", "1", *SHIP)
    assert (result.code, result.out) == (0, "added shipment 1 of order ACME-2 to GB\n")
    assert json.loads(desk_command("ship", "desk:1", *SHIP, "--json").out)["country"] == "GB"
    moved = desk_command("move", "1", "--to", "Closed")
    assert (moved.out, moved.err) == ("1 order moved to Closed\n", "1 is order ACME-2 to GB\n")
    held = desk_command("hold", "1", "--reason", "artwork is unclear")
    assert held.out == "order ACME-2 to GB is held\n"
    assert desk_command("release", "ACME-2").out == "order ACME-2 to GB is released\n"


def test_an_order_without_a_country_says_so(desk_command: RunDesk, cli_engine: Engine) -> None:
    insert_order(cli_engine, order_number="A-1", ship_country=None)
    assert desk_command("ship", "A-1", *SHIP).out == "added shipment 1 of order A-1 to an unknown country\n"


def test_at_a_real_terminal(cli_database: Path) -> None:
    """The program as a person runs it, its result in a pipe."""
    person, terminal = pty.openpty()
    os.write(person, b"1\n")
    done = subprocess.run(
        [DESK, "ship", "3", *SHIP],
        stdin=terminal,
        stdout=subprocess.PIPE,
        stderr=terminal,
        text=True,
        env=os.environ | {"PREFECT_HOME": str(cli_database.parent / "prefect")},
        check=False,
    )
    os.close(terminal)
    asked = os.read(person, 10_000).decode()
    os.close(person)
    assert (done.returncode, done.stdout.strip()) == (0, "added shipment 1 of order ACME-3 to DE"), asked
    assert "3 could be 2 orders:" in asked
