"""Shipments that come back from a fulfiller carry the desk's names of carriers."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any, cast

from sqlalchemy import Engine, text

from models.maps import MapForm
from tasks.coming_back import fetch_shipments
from tasks.desk.engine import writing
from tasks.desk.handovers import queue_orders
from tasks.desk.maps import save_maps
from tasks.fulfillers.orderdesk import ComingBack
from tests.builders import insert_order

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


def fetch(desk: Engine, store: Store) -> int:
    return asyncio.run(fetch_shipments(desk, cast("Any", store), "acme", now=NOW))


def test_a_carrier_without_mapping_waits_where_the_map_stops_it(desk: Engine) -> None:
    order_ids = [insert_order(desk, source_id=name) for name in ("a", "b")]
    with writing(desk) as connection:
        queue_orders(connection, [(id_, "acme") for id_ in order_ids], now=NOW)
        connection.execute(text("UPDATE handovers SET state = 'sent', reference = 'R' || order_id"))
    store = Store({f"R{order_ids[0]}": "ups ground", f"R{order_ids[1]}": "Pigeon"})
    map_: dict[str, Any] = {"fulfiller": "acme", "map": "carrier", "lines": ["UPS Ground = UPS"]}
    save_maps(desk, [MapForm.model_validate({**map_, "missing": "stop"})])
    assert fetch(desk, store) == 1
    assert carriers(desk) == ["UPS"]
    save_maps(desk, [MapForm.model_validate(map_)])
    assert fetch(desk, store) == 1
    assert carriers(desk) == ["UPS", "Pigeon"]
