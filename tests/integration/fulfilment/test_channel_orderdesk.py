"""Orders go to an Order Desk store once, whatever answer gets lost, and its shipments come back."""

from __future__ import annotations

import asyncio

import pytest
from sqlalchemy import Engine, text

from tasks.fulfilment.channels.interface import FulfillerError, RefusedError
from tasks.fulfilment.channels.orderdesk import Bucket, OrderDesk
from tasks.fulfilment.shipments_back import fetch_shipments
from tests.support.order_desk import KEY, FakeOrderDesk
from tests.support.sending import NOW, queue, send, states


def way_to(store: FakeOrderDesk, key: str = KEY, folder: str = "new") -> OrderDesk:
    return OrderDesk(store.url, "77", key, folder_name=folder)


def test_an_order_is_created_with_folder_items_and_print_metadata(desk: Engine) -> None:
    queue(desk, 2)
    with FakeOrderDesk() as store:
        send(desk, lambda: way_to(store))
        send(desk, lambda: way_to(store))
    assert store.creates == len(store.orders) == 2
    order = store.orders["1000"]
    assert (order["folder_id"], order["source_name"]) == ("7", "podOS")
    assert (order["shipping"]["first_name"], order["shipping"]["last_name"]) == ("Ada", "Lovelace")
    assert order["order_items"][0]["metadata"]["print_location_1"] == "front"
    assert {state for state, _, _ in states(desk)} == {"sent"}


def test_a_lost_answer_is_found_out_by_looking(desk: Engine) -> None:
    queue(desk, 1)
    with FakeOrderDesk() as store:
        store.lose = True
        send(desk, lambda: way_to(store))
    assert (store.creates, len(store.orders)) == (1, 1)
    assert states(desk)[0][0] == "already_there"


def test_a_refused_create_of_an_order_that_is_there_counts_as_there(desk: Engine) -> None:
    queue(desk, 1)
    with FakeOrderDesk() as store:
        send(desk, lambda: way_to(store))
        with desk.begin() as connection:
            connection.execute(text("UPDATE handovers SET state = 'waiting', first_attempt_at = NULL"))
        send(desk, lambda: way_to(store))
    assert (store.creates, len(store.orders)) == (2, 1)
    assert states(desk)[0][0] == "already_there"


def test_a_429_is_waited_for(desk: Engine) -> None:
    queue(desk, 2)
    with FakeOrderDesk() as store:
        store.refuse_next = 1
        send(desk, lambda: way_to(store))
    assert len(store.orders) == 2


def test_a_wrong_key_or_folder_stops_the_run_with_all_still_waiting(desk: Engine) -> None:
    queue(desk, 3)
    with FakeOrderDesk() as store:
        with pytest.raises(RefusedError):
            send(desk, lambda: way_to(store, key="wrong"))
        with pytest.raises(FulfillerError, match="no folder 'Nowhere'"):
            send(desk, lambda: way_to(store, folder="Nowhere"))
    assert {state for state, _, _ in states(desk)} == {"waiting"}


def test_shipments_come_back_once_and_without_tracking_not_at_all(desk: Engine) -> None:
    queue(desk, 2)
    with FakeOrderDesk() as store:
        send(desk, lambda: way_to(store))
        store.shipments["1000"] = [
            {"id": "1", "tracking_number": " AB1GB ", "carrier_code": "Royal Mail", "tracking_url": ""},
            {"id": "2", "tracking_number": "n/a", "carrier_code": "Royal Mail"},
        ]

        async def fetch() -> int:
            channel = way_to(store)
            try:
                return await fetch_shipments(desk, channel, "acme", now=NOW)
            finally:
                await channel.close()

        assert [asyncio.run(fetch()), asyncio.run(fetch())] == [1, 0]
    with desk.connect() as connection:
        rows = connection.execute(text("SELECT courier, code, state FROM shipments")).all()
    assert [tuple(row) for row in rows] == [("Royal Mail", "AB1GB", "waiting")]


def test_the_bucket_gives_twenty_at_once_and_three_a_second_after_that() -> None:
    waits: list[float] = []

    async def sleep(seconds: float) -> None:
        waits.append(round(seconds, 3))

    async def take() -> None:
        bucket = Bucket(lambda: 0.0, sleep)
        for _ in range(22):
            await bucket.take()

    asyncio.run(take())
    assert waits == [round(1 / 3, 3), round(2 / 3, 3)]
