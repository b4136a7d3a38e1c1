"""Shipments that come back from a fulfiller carry the desk's names of carriers."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Engine, text

from models.maps import MapForm
from tasks.delivery.handovers import queue_orders
from tasks.desk.engine import writing
from tasks.fulfilment.channels.orderdesk import ComingBack
from tasks.fulfilment.shipments_back import fetch_shipments
from tasks.rules.maps_store import save_maps
from tests.support.builders import insert_order

NOW = datetime(2026, 11, 23, 10, 15, tzinfo=UTC)


class Store:
    """A store that knows one parcel of each order."""

    def __init__(self, carriers: dict[str, str]) -> None:
        self._carriers = carriers

    async def shipments_of(self, reference: str) -> list[ComingBack]:
        """Give the parcel."""
        return [ComingBack(self._carriers[reference], f"CODE-{reference}", None)]


def carriers(desk: Engine) -> list[str]:
    with desk.connect() as connection:
        return list(connection.execute(text("SELECT courier FROM shipments ORDER BY order_id")).scalars())


def fetch(desk: Engine, store: Any, *, now: datetime = NOW) -> int:
    return asyncio.run(fetch_shipments(desk, store, "acme", now=now))


def handed_over(desk: Engine, count: int) -> list[int]:
    """Orders that the store has, as R and their id."""
    order_ids = [insert_order(desk, source_id=f"order-{number}") for number in range(count)]
    with writing(desk) as connection:
        queue_orders(connection, [(id_, "acme") for id_ in order_ids], now=NOW)
        connection.execute(text("UPDATE handovers SET state = 'sent', reference = 'R' || order_id"))
    return order_ids


def test_a_carrier_without_mapping_waits_where_the_map_stops_it(desk: Engine) -> None:
    order_ids = handed_over(desk, 2)
    store = Store({f"R{order_ids[0]}": "ups ground", f"R{order_ids[1]}": "Pigeon"})
    map_: dict[str, Any] = {"fulfiller": "acme", "map": "carrier", "lines": ["UPS Ground = UPS"]}
    save_maps(desk, [MapForm.model_validate({**map_, "missing": "stop"})])
    assert fetch(desk, store) == 1
    assert carriers(desk) == ["UPS"]
    save_maps(desk, [MapForm.model_validate(map_)])
    assert fetch(desk, store, now=NOW + timedelta(minutes=5)) == 1
    assert carriers(desk) == ["UPS", "Pigeon"]


class Shelf:
    """A store whose parcels a test sets; it notes which orders were looked at."""

    def __init__(self) -> None:
        self.parcels: dict[str, list[ComingBack]] = {}
        self.looks: list[str] = []

    async def shipments_of(self, reference: str) -> list[ComingBack]:
        """Give what is there."""
        self.looks.append(reference)
        return self.parcels.get(reference, [])


def test_a_run_looks_at_so_many_orders_and_the_next_at_those_that_waited_longest(
    desk: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tasks.fulfilment.shipments_back.LOOKS_PER_RUN", 3)
    wanted = [f"R{id_}" for id_ in handed_over(desk, 5)]
    shelf = Shelf()
    fetch(desk, shelf)
    fetch(desk, shelf, now=NOW + timedelta(minutes=1))
    assert shelf.looks == wanted
    fetch(desk, shelf, now=NOW + timedelta(minutes=6))
    assert shelf.looks[5:] == wanted[:3]


def test_an_old_order_is_looked_at_less_often(desk: Engine) -> None:
    handed_over(desk, 1)
    shelf = Shelf()
    for hours in range(0, 48, 1):
        fetch(desk, shelf, now=NOW + timedelta(days=10, hours=hours))
    assert len(shelf.looks) == 48 / 6


def test_a_second_parcel_comes_back_as_well(desk: Engine) -> None:
    (order_id,) = handed_over(desk, 1)
    shelf, first, second = Shelf(), ComingBack("UPS", "ONE", None), ComingBack("UPS", "TWO", None)
    shelf.parcels[f"R{order_id}"] = [first]
    assert fetch(desk, shelf) == 1
    shelf.parcels[f"R{order_id}"] = [first, second]
    assert fetch(desk, shelf, now=NOW + timedelta(hours=23)) == 0
    assert fetch(desk, shelf, now=NOW + timedelta(days=1)) == 1
    assert fetch(desk, shelf, now=NOW + timedelta(days=31)) == 0
    assert len(shelf.looks) == 2


@pytest.mark.parametrize(
    ("courier", "code"),
    [
        ("UPS", "#N/A"),
        ("UPS", "nan"),
        ("UPS", "1.55012345678e+13"),
        ("#REF!", "X1"),
        ("UPS", "AB12345, AB12346"),
    ],
)
def test_what_a_spreadsheet_made_of_a_value_does_not_come_back(
    desk: Engine, caplog: pytest.LogCaptureFixture, courier: str, code: str
) -> None:
    bad, good = handed_over(desk, 2)
    shelf = Shelf()
    shelf.parcels[f"R{bad}"] = [ComingBack(courier, code, None)]
    shelf.parcels[f"R{good}"] = [ComingBack("'UPS", '="0034"', None)]
    assert fetch(desk, shelf) == 1
    with desk.connect() as connection:
        rows = connection.execute(text("SELECT order_id, courier, code FROM shipments")).all()
    assert [tuple(row) for row in rows] == [(good, "UPS", "0034")]
    assert f"order desk:{bad} shipped, but: " in caplog.text
