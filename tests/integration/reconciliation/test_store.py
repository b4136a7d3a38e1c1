"""What a reconciliation asks of the desk and changes in it, on both databases."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import partial

import pytest
from sqlalchemy import Engine, text

from tasks.desk.browse import find_order
from tasks.desk.engine import reading
from tasks.desk.sql import chunks
from tasks.reconciliation import store as reconciling
from tasks.reconciliation.store import (
    count_in_podos,
    highest_order_id,
    orders_here,
    pages_of_orders,
    rejected_among,
    send_again,
)
from tests.support.builders import (
    CREATED,
    PROJECT,
    insert_order,
    insert_rejected,
    insert_run,
    insert_shipment,
)

NOW = datetime(2026, 11, 24, tzinfo=UTC)


def test_orders_come_with_prints_in_their_sequence_and_shipments(
    desk: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reconciling, "chunks", partial(chunks, size=2))
    prints = [{"item_metadata": {"print_url_1": f"https://cdn.example.test/{n}.png"}} for n in range(3)]
    ids = [insert_order(desk, source_id=f"s-{n}", items=prints) for n in range(5)]
    insert_order(desk, source_id="s-1", project="other")
    shipment = insert_shipment(desk, ids[1], code="A1")
    with reading(desk) as connection:
        found = orders_here(connection, PROJECT, ["s-0", "s-1", "s-2", "s-4", "s-9"])
    assert [found[name].id for name in sorted(found)] == [ids[0], ids[1], ids[2], ids[4]]
    assert list(found["s-1"].prints) == [print["item_metadata"] for print in prints]
    assert [tuple(shipment) for shipment in found["s-1"].shipments] == [(shipment, "A1", "waiting")]
    assert found["s-0"].shipments == []
    assert found["s-0"].address is not None
    assert found["s-0"].address["ship_city"] == "Boston"


def test_an_erased_order_has_no_address_to_compare(desk: Engine) -> None:
    insert_order(desk, source_id="s", erased_at=NOW)
    with reading(desk) as connection:
        assert orders_here(connection, PROJECT, ["s"])["s"].address is None


def test_pages_hold_every_order_of_the_window_once(desk: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reconciling, "PAGE_ROWS", 2)
    run_id = insert_run(desk)
    old = CREATED - timedelta(days=30)
    insert_order(desk, run_id=run_id, podos_created_at=old)
    insert_order(desk, run_id=run_id, project="other")
    ids = [insert_order(desk, run_id=run_id) for _ in range(5)]
    insert_order(desk, run_id=run_id)
    pages = list(pages_of_orders(desk, PROJECT, CREATED, up_to_id=ids[-1]))
    assert [row[0] for page in pages for row in page] == ids
    assert highest_order_id(desk) == ids[-1] + 1


def test_only_settled_shipments_are_sent_again_and_the_history_says_so(desk: Engine) -> None:
    order = insert_order(desk, source_id="s")
    states = ("sent", "already_there", "failed", "waiting", "superseded", "voided")
    ids = {state: insert_shipment(desk, order, code=state) for state in states}
    with desk.begin() as connection:
        connection.execute(text("UPDATE shipments SET state = code, attempts = 3"))
    assert count_in_podos(desk, ids.values()) == 2

    again = send_again(desk, ids.values(), now=NOW)

    assert again == [ids["sent"], ids["already_there"], ids["failed"]]
    assert send_again(desk, ids.values(), now=NOW) == []
    assert count_in_podos(desk, again) == 0
    with desk.connect() as connection:
        rows = connection.execute(text("SELECT code, state FROM shipments WHERE state <> 'waiting'")).all()
    assert sorted(map(tuple, rows)) == [("superseded", "superseded"), ("voided", "voided")]
    tried = [line.text for line in find_order(desk, "s").history if line.event == "shipped"]
    assert tried == [f"shipment {id_} is tried again: podOS does not show it" for id_ in again]


def test_what_was_rejected_is_known(desk: Engine) -> None:
    insert_rejected(desk, source_id="a")
    insert_rejected(desk, source_id="b", project="other")
    with reading(desk) as connection:
        assert rejected_among(connection, PROJECT, ["a", "b", "c"]) == {"a"}
