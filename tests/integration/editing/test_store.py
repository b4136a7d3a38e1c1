"""Edits are written with their history, leave Needs Attention when nothing is missing, and can be undone."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import Engine, select

from models.edits import Edit, Edited
from tasks.desk.browse import find_order
from tasks.desk.engine import reading
from tasks.desk.errors import DeskRefusedError
from tasks.desk.tables import EDITS
from tasks.editing.policy import EditConflictError
from tasks.editing.store import edit_order, undo_edit
from tasks.imports.load import load
from tasks.upkeep.erase import erase, only
from tests.support.loading import batch, fulfillment, new_run
from tests.support.odd_values import plant

NOW = datetime(2026, 11, 26, 9, tzinfo=UTC)
ARTWORK = "https://artwork.example.test/late.png"


@pytest.fixture
def order_id(desk: Engine) -> int:
    """An order without artwork, in Needs Attention."""
    load(batch(fulfillment("s-1", design=None)), new_run(desk), now=NOW)
    return int(find_order(desk, "s-1").order["id"])


def write(
    desk: Engine, *, position: int | None = None, metadata: dict[str, Any] | None = None, **fields: Any
) -> Edited:
    own = {name: value for name, value in fields.items() if name.startswith(("ship", "email", "phone"))}
    of_item = {name: value for name, value in fields.items() if name not in own}
    edit = Edit(
        own, {} if position else metadata or {}, position, of_item, metadata or {} if position else {}
    )
    return edit_order(desk, "s-1", edit, by="a person", now=NOW)


def history(desk: Engine) -> list[str]:
    return [entry.text for entry in find_order(desk, "s-1").history if entry.event == "edited"]


def test_missing_artwork_that_is_entered_lets_the_order_go_where_it_belongs(
    desk: Engine, order_id: int
) -> None:
    done = write(desk, position=1, metadata={"print_url_1": ARTWORK})
    order = find_order(desk, "s-1").order
    assert done == Edited(order_id, ["item 1 print_url_1"], "Incoming", [])
    assert (order["folder"], order["items"][0]["metadata"]["print_url_1"]) == ("Incoming", ARTWORK)
    assert order["items"][0]["metadata"]["print_location_1"] == "front"
    assert history(desk) == ["item 1 print_url_1 by a person"]


def test_an_order_that_still_lacks_something_stays_and_says_what(desk: Engine, order_id: int) -> None:
    done = write(desk, ship_city="Leeds")
    assert (done.moved_to, done.needs) == (None, ["no design address: item 1, print 1"])
    assert find_order(desk, str(order_id)).order["folder"] == "Needs Attention"


def test_the_same_edit_again_is_none(desk: Engine, order_id: int) -> None:
    write(desk, ship_city="Leeds")
    assert write(desk, ship_city="Leeds").fields == []
    assert len(history(desk)) == 1


def test_what_somebody_else_wrote_since_it_was_seen_is_not_overwritten(desk: Engine, order_id: int) -> None:
    seen = {"ship_city": find_order(desk, "s-1").order["shipping"]["city"]}
    write(desk, ship_city="Leeds")
    edit = Edit({"ship_city": "York", "ship_state": "Y"}, {}, None, {}, {})
    with pytest.raises(EditConflictError, match="ship_city changed while you edited it") as refused:
        edit_order(desk, "s-1", edit, by="a person", now=NOW, seen=seen)
    assert refused.value.fields == ["ship_city"]
    assert find_order(desk, "s-1").order["shipping"]["city"] == "Leeds"
    assert len(history(desk)) == 1
    same = Edit({"ship_city": "Leeds"}, {}, None, {}, {})
    assert edit_order(desk, "s-1", same, by="a person", now=NOW, seen=seen).fields == []


def test_old_values_are_not_in_the_history_where_they_may_be_personal(desk: Engine, order_id: int) -> None:
    write(desk, ship_name="Ada Sample", email="ada@example.test")
    write(desk, ship_name="Eve Sample")
    write(desk, position=1, sku="TEE-L", quantity="3", notes="for Ada")
    assert history(desk) == [
        "ship_name, email by a person",
        "ship_name by a person",
        "item 1 sku TEE-M -> TEE-L, item 1 quantity 2 -> 3, item 1 notes by a person",
    ]


def test_undo_takes_back_the_last_edit_then_the_one_before(desk: Engine, order_id: int) -> None:
    write(desk, ship_city="Leeds", position=1, quantity="5", metadata={"note": "rush"})
    write(desk, ship_city="York")
    assert undo_edit(desk, "s-1", by="a person", now=NOW).fields == ["ship_city"]
    assert find_order(desk, "s-1").order["shipping"]["city"] == "Leeds"
    undo_edit(desk, "s-1", by="a person", now=NOW)
    order = find_order(desk, "s-1").order
    assert (order["shipping"]["city"], order["items"][0]["quantity"]) == (None, 2)
    assert "note" not in order["items"][0]["metadata"]
    with pytest.raises(DeskRefusedError, match="has no edit that can be undone"):
        undo_edit(desk, "s-1", by="a person", now=NOW)


def test_undo_overwrites_nothing_that_was_changed_since(desk: Engine, order_id: int) -> None:
    write(desk, ship_city="Leeds")
    with desk.begin() as connection:
        connection.exec_driver_sql("UPDATE orders SET ship_city = 'Hull'")
    with pytest.raises(DeskRefusedError, match="ship_city changed since the edit"):
        undo_edit(desk, "s-1", by="a person", now=NOW)
    assert find_order(desk, "s-1").order["shipping"]["city"] == "Hull"


def test_metadata_of_the_order_itself(desk: Engine, order_id: int) -> None:
    assert write(desk, metadata={"lane": "7"}).fields == ["metadata lane"]
    assert find_order(desk, "s-1").order["metadata"] == {"lane": "7"}
    assert write(desk, metadata={"lane": None}).fields == ["metadata lane"]
    assert find_order(desk, "s-1").order["metadata"] == {}


def test_an_item_that_is_not_there_is_named_and_nothing_is_written(desk: Engine, order_id: int) -> None:
    with pytest.raises(DeskRefusedError, match="the order has no item 2: it has 1"):
        write(desk, ship_city="Leeds", position=2, sku="x")
    assert find_order(desk, "s-1").order["shipping"]["city"] is None


def test_erasing_takes_the_values_of_edits_with_it(desk: Engine, order_id: int) -> None:
    write(desk, ship_name="Ada Sample")
    erase(desk, only([order_id], []), by="a person", now=NOW)
    with reading(desk) as connection:
        (row,) = connection.execute(select(EDITS.c.old_values, EDITS.c.new_values)).all()
    assert tuple(row) == ({}, {})
    with pytest.raises(DeskRefusedError, match="was erased: it can't be edited"):
        undo_edit(desk, "s-1", by="a person", now=NOW)


@pytest.mark.usefixtures("order_id")
def test_undo_brings_an_order_back_that_lacks_its_artwork_again(desk: Engine) -> None:
    write(desk, position=1, metadata={"print_url_1": ARTWORK})
    done = undo_edit(desk, "s-1", by="a person", now=NOW)
    assert (done.moved_to, done.needs) == ("Needs Attention", ["no design address: item 1, print 1"])
    assert find_order(desk, "s-1").order["folder"] == "Needs Attention"


@pytest.mark.parametrize("column", ["sku", "quantity", "notes"])
def test_what_could_not_be_read_is_corrected_and_undone_to_nothing_worse(
    desk: Engine, order_id: int, column: str
) -> None:
    if not plant(desk, "order_items", order_id, column, "CAST('x' AS BLOB)", key="order_id"):
        return  # this database takes no such value
    edit_order(desk, "s-1", Edit({}, {}, 1, {column: "3"}, {}), by="a person", now=NOW)
    assert str(find_order(desk, "s-1").order["items"][0][column]) == "3"
    undo_edit(desk, "s-1", by="a person", now=NOW)
    assert "unreadable" not in str(find_order(desk, "s-1").order["items"][0][column])
