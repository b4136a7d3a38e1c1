"""What the way to Order Desk makes of answers that no store should give."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
import respx

from tasks.fulfilment.channels.interface import FulfillerError, text_of
from tasks.fulfilment.channels.orderdesk import ComingBack, OrderDesk

DEEP = b"[" * 2000 + b"]" * 2000


def shipments(body: bytes, reference: str = "1000") -> list[ComingBack]:
    """Ask for an order's shipments, and give the answer."""

    async def call() -> list[ComingBack]:
        channel = OrderDesk("http://desk.example.test", "77", "key", folder_name="New")
        path = f"/orders/{reference}/shipments"
        with respx.mock as router:
            router.get(f"http://desk.example.test{path}").respond(content=body)
            try:
                return await channel.shipments_of(reference)
            finally:
                await channel.close()

    return asyncio.run(call())


@pytest.mark.parametrize(
    "rows", [b"7", b'"x"', b'{"1":{}}', b"[7,null]", b"[{}]", b'[{"tracking_number":true}]']
)
def test_shipments_of_another_shape_are_none(rows: bytes) -> None:
    assert shipments(b'{"status":"success","shipments":%b}' % rows) == []


def test_a_broken_shipment_hides_no_other() -> None:
    rows = rb'[7,{"tracking_number":"007","carrier_code":[],"shipment_method":"DPD","tracking_url":"\u0000"}]'
    assert shipments(b'{"status":"success","shipments":%b}' % rows) == [ComingBack("DPD", "007", None)]


def test_a_code_that_is_a_number_is_kept_to_be_told() -> None:
    rows = b'[{"tracking_number":1.55012345678e13,"carrier_code":"DPD"},{"tracking_number":15501234567890}]'
    assert shipments(b'{"status":"success","shipments":%b}' % rows) == [
        ComingBack("DPD", "15501234567800.0", None),
        ComingBack("Other", "15501234567890", None),
    ]


@pytest.mark.parametrize("body", [DEEP, b"\xff", b"[]", b"", b'{"status":"success","shipments":%b}' % DEEP])
def test_an_answer_that_can_not_be_read_is_told(body: bytes) -> None:
    with pytest.raises(FulfillerError):
        shipments(body)


def test_a_reference_with_signs_of_an_address_stays_one_name() -> None:
    async def call() -> str:
        channel = OrderDesk("http://desk.example.test", "77", "key", folder_name="New")
        with respx.mock as router:
            asked = router.get(url__startswith="http://desk.example.test").respond(json={"status": "success"})
            await channel.shipments_of("a/../b?\x1b")
            await channel.close()
        return str(asked.calls[0].request.url.raw_path, "ascii")

    assert asyncio.run(call()) == "/orders/a%2F..%2Fb%3F%1B/shipments"


@pytest.mark.parametrize("store", [[], "x", None, {"folders": []}, {"folders": ["New"]}, {"folders": None}])
def test_a_store_without_folders_has_not_the_folder(store: Any) -> None:
    async def call() -> None:
        channel = OrderDesk("http://desk.example.test", "77", "key", folder_name="New")
        with respx.mock as router:
            router.get("http://desk.example.test/store").respond(json={"status": "success", "store": store})
            try:
                await channel._folder()
            finally:
                await channel.close()

    with pytest.raises(FulfillerError, match="no folder 'New'"):
        asyncio.run(call())


@pytest.mark.parametrize(
    ("said", "text"), [(" 7 ", "7"), (7, "7"), (True, ""), (None, ""), ([7], ""), (1.5, "")]
)
def test_only_texts_and_whole_numbers_are_words(said: object, text: str) -> None:
    assert text_of(said) == text
