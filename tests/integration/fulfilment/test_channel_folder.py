"""Orders as files: whole or not there, once, whatever dies between the steps."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping
from pathlib import Path

import pytest
from sqlalchemy import Engine

from tasks.fulfilment.channels.folder import Folder
from tasks.fulfilment.queue import promise_references
from tasks.fulfilment.store import hold_order, release_order
from tests.support.folders import visible, way_to
from tests.support.sending import NOW, queue, send, states


def test_a_json_file_for_each_order(desk: Engine, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    queue(desk, 2, order_number="A/../1001")
    for _ in range(2):
        send(desk, lambda: way_to(desk, tmp_path / "out", as_csv=False))
    files = visible(tmp_path / "out")
    assert len(files) == len(list((tmp_path / "out").iterdir())) == 2
    assert all(file.name.startswith("A-..-1001-") for file in files)
    assert {json.loads(file.read_bytes())["version"] for file in files} == {1}
    assert {state for state, _, _ in states(desk)} == {"sent"}


def test_a_csv_line_for_each_print_that_starts_no_formula(desk: Engine, tmp_path: Path) -> None:
    prints = {
        "print_url_1": "https://cdn.example.test/1.png",
        "print_location_1": "front",
        "print_url_2": "u",
    }
    queue(desk, 1, items=({"item_metadata": prints, "name": "=1+1"}, {"item_metadata": {}}))
    send(desk, lambda: way_to(desk, tmp_path / ".", as_csv=True))
    (file,) = (path for path in visible(tmp_path) if path.suffix == ".csv")
    lines = list(csv.DictReader(file.read_text("utf-8").splitlines()))
    assert [(line["item"], line["print"], line["print_location"]) for line in lines] == [
        ("1", "1", "front"),
        ("1", "2", ""),
        ("2", "", ""),
    ]
    assert lines[0]["name"] == "'=1+1"


@pytest.mark.parametrize("as_csv", [False, True])
@pytest.mark.parametrize("step", ["before the promise", "after the promise", "after the names"])
def test_a_crash_between_the_steps_neither_loses_nor_repeats(
    desk: Engine, tmp_path: Path, step: str, as_csv: bool
) -> None:
    out = tmp_path / "out"
    out.mkdir()
    ids = queue(desk, 3)

    async def promise(references: Mapping[int, str]) -> None:
        if step == "before the promise":
            raise OSError(5, "stopped")
        promise_references(desk, references)
        if step == "after the promise":
            raise OSError(5, "stopped")

    def broken() -> Folder:
        return Folder(out, as_csv=as_csv, promise=promise)

    if step == "after the names":
        send(desk, broken)
        with desk.begin() as connection:  # as if the outcome had never been written
            connection.exec_driver_sql("UPDATE handovers SET state = 'waiting', sent_at = NULL")
    else:
        with pytest.raises(OSError, match="stopped"):
            send(desk, broken)
    seen = {path.name: path.read_bytes() for path in visible(out)}
    for path in visible(out):
        path.unlink()  # its reader took it
    send(desk, lambda: way_to(desk, out, as_csv=as_csv))
    again = {path.name: path.read_bytes() for path in visible(out)}
    assert not set(seen) & set(again)
    text = b"".join((seen | again).values()).decode()
    with desk.connect() as connection:
        sources = connection.exec_driver_sql("SELECT source_id FROM orders").scalars().all()
    assert [text.count(source) for source in sources] == [1] * len(ids)
    assert {state for state, _, _ in states(desk)} <= {"sent", "already_there"}


def test_an_order_that_was_made_ready_before_a_hold_waits_for_its_release(
    desk: Engine, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    out.mkdir()
    held, _ = queue(desk, 2)

    async def promise(references: Mapping[int, str]) -> None:
        promise_references(desk, references)
        raise OSError(5, "stopped")

    with pytest.raises(OSError, match="stopped"):
        send(desk, lambda: Folder(out, as_csv=False, promise=promise))
    hold_order(desk, str(held), "artwork is unclear", now=NOW)
    send(desk, lambda: way_to(desk, out, as_csv=False))
    assert [state for state, _, _ in states(desk)] == ["waiting", "sent"]
    assert len(visible(out)) == 1
    release_order(desk, str(held), now=NOW)
    send(desk, lambda: way_to(desk, out, as_csv=False))
    assert {state for state, _, _ in states(desk)} == {"sent"}
    assert len(visible(out)) == len(list(out.iterdir())) == 2


def test_a_directory_that_is_not_there_makes_orders_wait(desk: Engine, tmp_path: Path) -> None:
    queue(desk, 1)
    send(desk, lambda: way_to(desk, tmp_path / "none", as_csv=False))
    ((state, reason, _),) = states(desk)
    assert state == "waiting"
    assert "can't be written" in str(reason)
