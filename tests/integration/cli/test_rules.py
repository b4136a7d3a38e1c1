"""`desk rules` and `desk maps` as a person uses them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from sqlalchemy import Engine

from deployments.cli import maps as maps_commands
from tasks.desk.browse import find_order
from tests.support.builders import insert_order
from tests.support.commands import RunDesk, refused

RULES = """\
rules:
  - name: Rush
    event: folder changed
    all: [folder = Prepared]
    actions:
      - hold: look at it
"""


@pytest.fixture
def rules(tmp_path: Path) -> Path:
    """A rules file."""
    path = tmp_path / "rules.yaml"
    path.write_text(RULES)
    return path


def test_rules_are_loaded_shown_and_switched(desk_command: RunDesk, rules: Path) -> None:
    assert desk_command("rules", "load", str(rules)).out == "1 rule loaded from rules.yaml\n"
    assert desk_command("rules", "off", "RUSH").out == "rule RUSH is off\n"
    (shown,) = json.loads(desk_command("rules", "list", "--json").out)
    assert (shown["name"], shown["enabled"]) == ("Rush", False)
    assert "folder = Prepared" in desk_command("rules", "show", "rush").out
    assert desk_command("rules", "on", "rush").code == 0
    assert "there is no rule 'x'" in refused(desk_command("rules", "on", "x"))


def test_a_bad_file_changes_nothing_and_says_the_line(desk_command: RunDesk, rules: Path) -> None:
    desk_command("rules", "load", str(rules))
    rules.write_text(RULES.replace("folder = Prepared", "foldr = Prepared"))
    assert "line 4: an order has no field 'foldr'" in refused(desk_command("rules", "load", str(rules)))
    assert len(json.loads(desk_command("rules", "list", "--json").out)) == 1
    assert "can't be read" in refused(desk_command("rules", "load", str(rules.with_name("none.yaml"))))


def test_testing_writes_nothing(desk_command: RunDesk, rules: Path, cli_engine: Engine) -> None:
    order_id = insert_order(cli_engine, folder="Prepared", source_id="a-1", order_number="A-1")
    before = find_order(cli_engine, "a-1").as_dict()
    event = ("--event", "folder changed")
    out = desk_command("rules", "test", str(rules), "--order", "A-1", "--json", *event).out
    assert json.loads(out) == [
        {"order": "A-1", "id": order_id, "rule": "Rush", "would": ["held: look at it"]}
    ]
    assert "held: look at it" in desk_command("rules", "test", str(rules), "--folder", "prepared", *event).out
    assert json.loads(desk_command("rules", "test", str(rules), "--last", "1", "--json").out) == []
    assert find_order(cli_engine, "a-1").as_dict() == before


def test_moving_an_order_lets_the_rules_look_at_once(
    desk_command: RunDesk, rules: Path, cli_engine: Engine
) -> None:
    insert_order(cli_engine, source_id="a-1", order_number="A-1")
    desk_command("rules", "load", str(rules))
    moved = desk_command("move", "A-1", "--to", "Prepared")
    assert (moved.out, moved.err) == (
        "1 order moved to Prepared\n",
        "rules looked at 1 orders and fired 1 times\n",
    )
    assert find_order(cli_engine, "A-1").order["hold_reason"] == "look at it"
    assert desk_command("rules", "run", "Rush", "--folder", "Prepared").out.startswith("rules looked at 1 ")


def test_maps_are_loaded_and_tried(
    desk_command: RunDesk, tmp_path: Path, cli_engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(maps_commands, "fulfillers", lambda: ["press"])
    insert_order(cli_engine, source_id="a-1", order_number="A-1", ship_city=None)
    path = tmp_path / "maps.csv"
    path.write_text("fulfiller,map,from,to\nacme,print location,FRONT,CF\nacme,print sku,*,(stop)\n")
    loaded = desk_command("maps", "load", str(path))
    assert loaded.out == "2 maps loaded for acme\n"
    assert loaded.err == "Warning: there is no fulfiller 'acme' yet; `desk fulfillers` lists them\n"
    assert "FRONT = CF" in desk_command("maps", "show").out
    (found,) = json.loads(desk_command("maps", "test", "ACME", "--order", "A-1", "--json").out)
    assert found["changes"] == ["item 1: print location front = CF"]
    assert found["problems"] == [
        "item 1: SKU TEE-BLK-M has no mapping to a print SKU",
        "the address has no city",
    ]


def test_a_file_that_is_far_too_large_is_named_with_the_limit(desk_command: RunDesk, tmp_path: Path) -> None:
    """Of a file without an end, no more than the limit is read."""
    for topic, name in (("rules", "r.yaml"), ("maps", "m.yaml"), ("maps", "m.csv")):
        (tmp_path / name).symlink_to("/dev/zero")
        assert f"{name} is larger than 4 MB" in refused(desk_command(topic, "load", str(tmp_path / name)))


def test_a_large_csv_of_maps_is_refused_by_its_line_or_read_at_once(
    desk_command: RunDesk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(maps_commands, "fulfillers", lambda: ["acme"])
    path, header = tmp_path / "maps.csv", "fulfiller,map,from,to\n"
    path.write_text(header + "acme,print location,a," + "x" * 200_000)
    assert "line 2: a value is longer than 131072 characters" in refused(
        desk_command("maps", "load", str(path))
    )
    path.write_text(header + "acme,print location,a,b\n" * 45_000)
    assert "line 1: the file is longer than 1000000 characters" in refused(
        desk_command("maps", "load", str(path))
    )
    path.write_text(header + "".join(f"acme,print location,a{number},b\n" for number in range(30_000)))
    assert desk_command("maps", "load", str(path)).code == 0
