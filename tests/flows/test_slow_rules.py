"""A stranger's name can't hang the floor: neither by a pattern, nor while rules take their time."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine, text

from deployments.sandbox.server import Sandbox, SandboxSettings
from tasks.desk.browse import export_orders
from tasks.rules.store import list_rules, switch_rule
from tests.support.commands import RunDesk
from tests.support.connected import Connected
from tests.support.odd_values import plant

NAME = "a" * 34 + "!"
RULE = """rules:
  - name: Slow
    event: order imported
    all:
      - shipping.name matches {pattern}
    actions:
      - set_metadata: {{x: y}}
"""
IMPORT = ("import", "--since", "2020-01-01")
CATASTROPHE = "(a+)+$"
HEAVY = "(.*a.{0,300}b){3}c"
"""Every character of a text of as and bs takes RE2 about ten microseconds."""


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    """A sandbox podOS with a batch of orders."""
    with Sandbox(SandboxSettings(orders=200, seed=3)) as sandbox:
        yield sandbox


def call_them(sandbox: Sandbox, name: Callable[[], str]) -> None:
    """Give every buyer a name."""
    for order in sandbox.store.all():
        address = {**(order.get("shippingAddress") or {}), "contactName": name()}
        sandbox.store.update(order["id"], shippingAddress=address)


def load(desk_command: RunDesk, tmp_path: Path, pattern: str) -> None:
    (tmp_path / "rules.yaml").write_text(RULE.format(pattern=pattern))
    result = desk_command("rules", "load", str(tmp_path / "rules.yaml"))
    assert result.code == 0, result.err


def test_a_name_that_python_would_look_at_for_ever_is_imported(
    connected: Connected, engine: Engine, desk_command: RunDesk, sandbox: Sandbox, tmp_path: Path
) -> None:
    load(desk_command, tmp_path, CATASTROPHE)
    call_them(sandbox, lambda: NAME)
    report = json.loads(desk_command(*IMPORT, "--json").out)
    assert report["imported"] > 50
    assert report["rules"] == {"fired": 0, "queued": 0}
    assert {order["shipping"]["name"] for order in export_orders(engine)} == {NAME}
    assert desk_command("check").code == 0


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_import_whose_rules_take_their_time_can_be_stopped(
    connected: Connected,
    cli_database: Path,
    engine: Engine,
    desk_command: RunDesk,
    sandbox: Sandbox,
    tmp_path: Path,
    number: signal.Signals,
    code: int,
) -> None:
    """Their work would take a minute and more; what is not done waits, whole."""
    load(desk_command, tmp_path, HEAVY)
    signs = random.Random(1)  # noqa: S311
    call_them(sandbox, lambda: "".join(signs.choice("ab") for _ in range(45_000)))
    from prefect.settings import get_current_settings

    environment = {
        **os.environ,
        "PREFECT_API_URL": str(get_current_settings().api.url),
        "PREFECT_SERVER_ALLOW_EPHEMERAL_MODE": "false",
    }
    command = [sys.executable, "-c", "from deployments.cli.app import main; main()", *IMPORT]
    with subprocess.Popen(
        command,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            while not (waiting := events_of(engine)):
                assert process.poll() is None, process.communicate()
            process.send_signal(number)
            _, err = process.communicate(timeout=60)
        finally:
            process.kill()
    assert (process.returncode, err.strip()) == (code, "Error: stopped; what was done so far is kept")
    assert events_of(engine) == waiting == len(list(export_orders(engine)))
    switch_rule(engine, "Slow", enabled=False)
    assert desk_command("check").code == 0
    assert events_of(engine) == 0


def events_of(engine: Engine) -> int:
    with engine.connect() as connection:
        return int(connection.execute(text("SELECT count(*) FROM rule_events")).scalar_one())


def test_a_rule_of_before_that_can_not_be_used_lets_the_rules_wait_and_nothing_else(
    connected: Connected, engine: Engine, desk_command: RunDesk, tmp_path: Path
) -> None:
    """As after an upgrade: the desk holds a rule with a look-ahead, which `re` knew."""
    load(desk_command, tmp_path, "x")
    definition = json.dumps(
        {
            "name": "Slow",
            "event": "order imported",
            "all": ["shipping.name matches (?!Ada)"],
            "actions": [{"hold": "look"}],
        }
    )
    plant(engine, "rules", 1, "definition", f"'{definition}'")
    (rule,) = list_rules(engine)
    assert rule.form
    result = desk_command("check")
    assert result.code == 1
    assert "rule 'Slow' can't be used: '(?!Ada)' is not a regular expression that can be used" in result.err
    assert "desk rules off NAME" in result.err
    orders = len(list(export_orders(engine)))
    assert events_of(engine) == orders > 20
    listed = desk_command("rules", "list")
    assert (listed.code, "Warning: rule 'Slow' can't be used" in listed.err) == (0, True)
    moved = desk_command("move", "1", "--to", "Closed")
    assert (moved.code, "1 order moved to Closed" in moved.out) == (1, True)
    again = json.loads(desk_command("check", "--json").out or "null")
    assert again is None
    with engine.connect() as connection:
        states = connection.execute(text("SELECT state FROM import_runs ORDER BY id")).scalars().all()
        marks = connection.execute(text("SELECT count(*) FROM scan_marks")).scalar_one()
    assert (set(states), marks) == ({"failed"}, 1)
    load(desk_command, tmp_path, "x|y")
    assert desk_command("check").code == 0
    assert events_of(engine) == 0
