"""Strangers' text in every text column of the desk steers no terminal, forges no line and starts no formula.

Each command runs with plain texts in the desk and with hostile ones: it writes the same number of lines.
"""

from __future__ import annotations

import ast
import csv
import io
import json
import re
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import typer
from sqlalchemy import Engine, text

from deployments.cli.app import app
from deployments.cli.output import HarmlessOutput
from deployments.stack.environment import ROOT
from models.maps import MapForm, MapKind, Missing
from models.rules import RuleForm
from models.tables.people import Scope
from models.tables.runs import RunState
from tasks.delivery.handovers import queue_orders
from tasks.desk.browse import export_orders
from tasks.desk.engine import writing
from tasks.desk.history import add_history
from tasks.people.tokens_store import add_token
from tasks.rules.maps_store import save_maps
from tasks.rules.store import save_rules
from tasks.text_cells import from_csv_cell
from tests.support.builders import IMPORTED, insert_order, insert_rejected, insert_run, insert_shipment
from tests.support.commands import RunDesk
from tests.support.hostile import HOSTILE, PLAIN, acts_on_a_terminal, plant

RULES = """
rules:
  - name: Hostile
    event: order imported
    any: ["order_number exists"]
    actions: [{hold: "as the rule says"}]
"""
WALKED: dict[str, list[str]] = {
    "orders": ["orders"],
    "orders export": ["orders", "export"],
    "order": ["order", "{id}"],
    "changes": ["changes", "--all"],
    "changes keep": ["changes", "keep", "{id}"],
    "changes take": ["changes", "take", "{id}"],
    "folders": ["folders"],
    "move": ["move", "{id}", "--to", "there"],
    "hold": ["hold", "{id}", "--reason", "because"],
    "release": ["release", "{id}"],
    "runs": ["runs"],
    "rejected": ["rejected"],
    "shipments": ["shipments"],
    "shipments resend": ["shipments", "resend", "{id}"],
    "outbox": ["outbox"],
    "outbox resend": ["outbox", "resend", "{id}"],
    "outbox cancel": ["outbox", "cancel", "{id}"],
    "printed": ["printed", "{id}"],
    "production": ["production"],
    "production resend": ["production", "resend", "{id}"],
    "ship": ["ship", "{id}", "--courier", "DPD", "--code", "15500000000001"],
    "status": ["status"],
    "edit": ["edit", "{id}", "--item", "1", "--sku", "TEE-L"],
    "rules list": ["rules", "list"],
    "rules show": ["rules", "show", "Hostile"],
    "rules test": ["rules", "test", "{rules}", "--order", "{id}"],
    "maps show": ["maps", "show"],
    "maps test": ["maps", "test", "acme", "--order", "{id}"],
    "tokens": ["tokens"],
    "privacy erase": ["privacy", "erase", "{id}", "--dry-run", "--force"],
}
ENDS_WITH = {"status": 1, "outbox cancel": 2}  # a desk in trouble; an order that has left
WITH_PREFECT = {
    *(
        "up",
        "deploy",
        "sandbox",
        "connect",
        "settings",
        "check",
        "import",
        "backfill",
        "send",
        "sync",
        "metrics",
        "web",
    ),
    *("reconcile", "rejected replay", "rules run", "alerts", "alerts setup", "alerts test", "fulfillers"),
    *("fulfillers add webhook", "fulfillers add folder", "fulfillers add orderdesk"),
    "fulfillers remove",
}
"""These need podOS or a Prefect server, and show counts, settings and reports: see ``test_artifacts.py``."""
SHOW_NO_TEXT = {
    *("copy-to", "backup", "restore", "folders add", "folders rename", "folders delete"),
    *("rules load", "rules on", "rules off", "maps load"),
    *("tokens add", "tokens revoke"),
}
"""These show counts, and what was typed at them."""


@pytest.fixture
def full(cli_engine: Engine) -> Engine:
    """A desk with a row or two in every table that a command shows."""
    run_id = insert_run(cli_engine, state=RunState.FAILED, error="x")
    ids = [
        insert_order(cli_engine, run_id=run_id, items=({"notes": "x"}, {}), extras={}, order_metadata={})
        for _ in range(2)
    ]
    insert_rejected(cli_engine, source_id="x", run_id=run_id)
    for id_ in ids:
        insert_shipment(cli_engine, id_, code=f"CODE{id_}")
    with writing(cli_engine) as connection:
        queue_orders(connection, [(id_, "acme") for id_ in ids], now=IMPORTED)
        add_history(connection, [(id_, "held", "x") for id_ in ids], at=IMPORTED + timedelta(hours=1))
        for statement in STATEMENTS:
            connection.execute(text(statement))
    conditions = {"any": ["order_number exists"], "actions": [{"hold": "as the rule says"}]}
    save_rules(
        cli_engine, [RuleForm.model_validate({"name": "Hostile", "event": "order imported"} | conditions)]
    )
    kinds = (MapKind.PRINT_LOCATION, MapKind.PRINT_SKU, MapKind.SHIPPING_METHOD)
    add_token(cli_engine, "x", Scope.READ, now=IMPORTED)
    save_maps(cli_engine, [MapForm(fulfiller="acme", map=kind, missing=Missing.STOP) for kind in kinds])
    return cli_engine


STATEMENTS = (
    "UPDATE shipments SET state = 'failed', reason = 'x', url = 'x'",
    "INSERT INTO production_states (order_id, status, state, reason) "
    "SELECT id, 'processing', 'failed', 'x' FROM orders",
    "UPDATE handovers SET state = 'sent', first_attempt_at = '2026-11-24 00:00:00'",
    "INSERT INTO order_changes (order_id, run_id, at, kind, state, old_values, new_values) "
    "SELECT id, import_run_id, imported_at, 'artwork', 'open', '{}', '{}' FROM orders",
    "INSERT INTO watches (cause, trouble_at, reason) VALUES ('check:default', '2026-11-24 00:00:00', 'x')",
    "INSERT INTO watches (cause, trouble_at, reason) VALUES ('send:acme', '2026-11-24 00:00:00', 'x')",
)


def commands() -> Iterator[str]:
    """Every command of ``desk``."""

    def walk(command: Any, path: tuple[str, ...]) -> Iterator[str]:
        if path and (not hasattr(command, "commands") or command.invoke_without_command):
            yield " ".join(path)
        for name, inner in getattr(command, "commands", {}).items():
            yield from walk(inner, (*path, name))

    return walk(typer.main.get_command(app), ())


def test_every_command_is_walked_or_said_why_not() -> None:
    assert sorted([*WALKED, *WITH_PREFECT, *SHOW_NO_TEXT]) == sorted(commands())


@pytest.mark.parametrize("command", WALKED)
def test_no_command_lets_a_strangers_text_act(
    desk_command: RunDesk, full: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    (tmp_path / "rules.yaml").write_text(RULES)
    written = []
    for id_, planted in enumerate((PLAIN, HOSTILE), 1):
        plant(full, planted)
        with full.begin() as connection:  # by its name a folder must be found
            connection.execute(text("UPDATE folders SET name_key = 'there' WHERE id = 2"))
        places = {"{id}": str(id_), "{rules}": str(tmp_path / "rules.yaml")}
        result = desk_command(*(places.get(argument, argument) for argument in WALKED[command]))
        assert result.code == ENDS_WITH.get(command, 0), result.err
        written.append(result.out + result.err)
    plain, hostile = written
    assert [*acts_on_a_terminal(hostile)] == []
    assert not re.search(r"^\s*Folder: +Closed", hostile, re.MULTILINE)
    assert hostile.count("\n") == plain.count("\n")
    if command in {
        "orders",
        "order",
        "outbox",
        "shipments",
        "production",
        "changes",
        "folders",
        "rejected",
        "status",
    }:
        assert "[red]x[/red]" in hostile  # it is shown, and as it is


@pytest.mark.parametrize("command", ["orders", "order", "changes", "folders", "runs", "rejected", "shipments",
                                     "outbox", "production", "rules show", "maps test"])  # fmt: skip
def test_json_holds_every_text_and_nothing_that_acts(
    desk_command: RunDesk, full: Engine, command: str
) -> None:
    plant(full, HOSTILE)
    result = desk_command(*(argument.format(id=1) for argument in WALKED[command]), "--json")
    assert [*acts_on_a_terminal(result.out)] == []
    found = json.dumps(json.loads(result.out), ensure_ascii=False)
    assert command in {"rules show"} or json.dumps(HOSTILE, ensure_ascii=False)[1:-1] in found


@pytest.mark.parametrize("format_", ["csv", "jsonl"])
def test_an_export_holds_every_text_and_no_formula(desk_command: RunDesk, full: Engine, format_: str) -> None:
    plant(full, HOSTILE)
    orders = list(export_orders(full))
    out = desk_command("orders", "export", "--format", format_).out
    if format_ == "jsonl":
        assert [json.loads(line) for line in out.splitlines()] == orders
        assert [*acts_on_a_terminal(out)] == []
        return
    for line, order in zip(csv.DictReader(io.StringIO(out, newline="")), orders, strict=True):
        for name in ("order_number", "email", "merchant_reference", "hold_reason", "deadline"):
            assert from_csv_cell(line[name]) == order[name]
        for name in ("items", "metadata", "packing_notes", "additional_files"):
            assert json.loads(from_csv_cell(line[name])) == order[name]
    for separator in (",", ";", "\t"):
        cells = [
            cell for row in csv.reader(io.StringIO(out, newline=""), delimiter=separator) for cell in row
        ]
        assert [cell for cell in cells if re.match(r"[\" ]*[=+@\-＝]", cell)] == []


def test_a_csv_shown_on_a_terminal_steers_nothing() -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    terminal, pipe = Terminal(), io.StringIO()
    row = 'a,"\x1b[2Jb\nFolder:     Closed"\r\n'
    HarmlessOutput(terminal).write(row)
    HarmlessOutput(pipe).write(row)
    assert (terminal.getvalue(), pipe.getvalue()) == ('a,"\ufffd[2Jb Folder:     Closed"\n', row)


def test_an_error_that_names_orders_is_one_line(desk_command: RunDesk, full: Engine) -> None:
    plant(full, HOSTILE)
    with full.begin() as connection:
        connection.execute(text("UPDATE orders SET order_number = 'A-1\nFolder:     Closed' || id"))
    for arguments in (("order", "A-1"), ("order", "A-1\nFolder:     Closed"), ("move", "1", "--to", HOSTILE)):
        result = desk_command(*arguments)
        assert (result.code, result.err.count("\n")) == (2, 1)
        assert [*acts_on_a_terminal(result.err)] == []


# --- Nothing else writes ------------------------------------------------------------------------------------

MAY = {
    "typer.echo": {"deployments/cli/output.py", "deployments/stack/demo.py", "deployments/cli/system.py"},
    "sys.stdout": {"deployments/cli/output.py", "deployments/cli/app.py", "deployments/cli/orders.py"},
    "rich": {"deployments/cli/output.py"},
    "prefect.artifacts": {"tasks/prefect_api/artifacts.py", "tasks/backfill/fan_out.py"},
    "csv.writer": {
        "tasks/desk/export.py",
        "deployments/cli/reconciling.py",
        "tasks/tracking/drop_folder.py",
    },
    "csv.DictWriter": {"tasks/fulfilment/channels/folder.py"},
    "json.dumps": {"deployments/cli/output.py", "deployments/cli/system.py"},
}
"""What writes for people, and the files that may use it: each takes text through ``tasks.text_cells``."""
WRITES_JSON_FOR_PROGRAMS = {
    *("models/alerts.py", "models/filters.py", "tasks/desk/export.py", "tasks/desk/references.py"),
    *("tasks/podos/parsing.py", "tasks/podos/lenient.py", "deployments/stack/running_system.py"),
}


def used(path: Path) -> Iterator[str]:
    """The names of ``MAY`` that a file uses."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module:
            yield from (name for name in MAY if f"{node.module}.".startswith(f"{name}."))
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            name = f"{node.value.id}.{node.attr}"
            yield from {name} & MAY.keys()


def test_nothing_else_writes_for_people() -> None:
    found: dict[str, set[str]] = {name: set() for name in MAY}
    for package in ("deployments", "flows", "models", "tasks"):
        for path in (ROOT / package).rglob("*.py"):
            place = path.relative_to(ROOT).as_posix()
            if not place.startswith(("deployments/sandbox/", "models/migrations/")):
                for name in used(path):
                    found[name].add(place)
    found["json.dumps"] -= WRITES_JSON_FOR_PROGRAMS
    assert found == MAY
