"""What podOS and fulfillers say, which may repeat the buyer's name, stays in the desk and is erased there."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Engine, select, text

from deployments.sandbox.receiver import Receiver
from deployments.sandbox.server import Sandbox, SandboxSettings
from models.maps import MapForm, MapKind, Missing
from models.shipments import SyncReport, SyncSettings
from models.tables import metadata
from models.tables.outbox import OutboxState
from tasks.desk.runs import start_run
from tasks.fulfilment.channels.orderdesk import OrderDesk
from tasks.fulfilment.channels.webhook import Webhook
from tasks.fulfilment.prepare import preparation_for
from tasks.fulfilment.report import send_page
from tasks.fulfilment.shipments_back import fetch_shipments
from tasks.fulfilment.store import list_handovers
from tasks.podos.client import PodosAccess, PodosClient
from tasks.rules.maps_store import save_maps
from tasks.tracking.report import sync_page
from tasks.tracking.send import send_batch
from tasks.tracking.shipment_list import list_shipments
from tasks.tracking.sync_run import SyncRun
from tasks.upkeep import erase as erasing
from tests.support.builders import insert_order, insert_shipment
from tests.support.order_desk import KEY, FakeOrderDesk
from tests.support.sending import SECRET, queue, send

NAME = "Zoe Kanarienvogel"
NOW = datetime.now(UTC)


def kept(desk: Engine) -> str:
    """All that stands in the desk."""
    with desk.connect() as connection:
        return "\n".join(
            str(row) for table in metadata.sorted_tables for row in connection.execute(select(table))
        )


def erase_all(desk: Engine) -> None:
    with desk.connect() as connection:
        ids = list(connection.execute(text("SELECT id FROM orders")).scalars())
    erasing.erase(desk, erasing.only(ids, []), by="ann", now=NOW)


@pytest.mark.parametrize(
    ("fault", "state"), [("repeat", OutboxState.FAILED), ("repeat after taking", OutboxState.SENT)]
)
def test_what_a_webhook_says_is_in_no_report_and_is_erased(
    desk: Engine, fault: str, state: OutboxState
) -> None:
    queue(desk, 1, ship_name=NAME)
    with Receiver(SECRET, faults=[fault]) as receiver:
        run = send(desk, lambda: Webhook(receiver.url, SECRET))
    (handover,) = list_handovers(desk)
    assert handover.state == state
    assert handover.reference == (NAME if state is OutboxState.SENT else None)
    assert "Kanarien" not in f"{send_page(run.report)}{run.report}"
    erase_all(desk)
    assert "Kanarien" not in kept(desk)


def test_why_order_desk_refuses_is_in_the_desk_alone_and_is_erased(desk: Engine) -> None:
    queue(desk, 1, ship_name=NAME)
    with FakeOrderDesk() as store:
        store.repeats = True
        run = send(desk, lambda: OrderDesk(store.url, "77", KEY, folder_name="New"))
    (handover,) = list_handovers(desk)
    assert handover.reason == f"Order Desk did not accept the order (HTTP 400): No parcel for {NAME}"
    page = str(send_page(run.report))
    assert "Order Desk did not accept the order (HTTP 400) |" in page
    assert "desk outbox --failed" in page
    assert "Kanarien" not in f"{page}{run.report}"
    erase_all(desk)
    assert "Kanarien" not in kept(desk)


def test_who_carries_a_parcel_in_order_desk_is_erased_unless_it_is_a_known_courier(desk: Engine) -> None:
    queue(desk, 2, ship_name=NAME)
    with FakeOrderDesk() as store:

        def channel() -> OrderDesk:
            return OrderDesk(store.url, "77", KEY, folder_name="New")

        async def fetch() -> None:
            opened = channel()
            await fetch_shipments(desk, opened, "acme", now=NOW)
            await opened.close()

        send(desk, channel)
        for courier, order_id in zip((f"by hand to {NAME}", "dpd"), store.orders, strict=True):
            parcel = {"carrier_code": courier, "tracking_number": f"for {NAME}"}
            store.shipments[order_id] = [parcel]
        asyncio.run(fetch())
    assert [shipment.courier for shipment in list_shipments(desk)] == ["dpd", f"by hand to {NAME}"]
    with desk.begin() as connection:
        connection.execute(text("UPDATE shipments SET state = 'sent'"))
    erase_all(desk)
    assert [shipment.courier for shipment in list_shipments(desk)] == ["dpd", "erased"]
    assert "Kanarien" not in kept(desk)


def test_words_of_an_order_that_have_no_mapping_are_in_the_desk_alone(desk: Engine) -> None:
    item: dict[str, Any] = {"sku": f"MUG for {NAME}", "item_metadata": {"print_location_1": NAME}}
    queue(desk, 1, items=[item], shipping_code=NAME)
    kinds = (MapKind.PRINT_LOCATION, MapKind.PRINT_SKU, MapKind.SHIPPING_METHOD)
    save_maps(desk, [MapForm(fulfiller="acme", map=kind, missing=Missing.STOP) for kind in kinds])
    with Receiver(SECRET) as receiver:
        channel = lambda: Webhook(receiver.url, SECRET)  # noqa: E731
        run = send(desk, channel, prepare=preparation_for(desk, "acme"))
    (handover,) = list_handovers(desk)
    assert str(handover.reason).count(NAME) == 3
    page = str(send_page(run.report))
    assert "its shipping method has no mapping; item 1: a print location has no mapping" in page
    assert "Kanarien" not in f"{page}{run.report}"


def test_why_podos_refuses_is_in_the_desk_alone_and_is_erased(desk: Engine) -> None:
    with Sandbox(SandboxSettings(orders=1)) as podos:
        (order,) = podos.store.all()
        podos.store.update(order["id"], status="paid", shippingAddress={"contactName": NAME}, tracking=None)
        order_id = insert_order(desk, source_id=order["id"], project=podos.project, ship_name=NAME)
        insert_shipment(desk, order_id, code="CODE")
        podos.faults.then("400_repeats", method="PATCH")
        report = asyncio.run(synced(desk, podos))
    (shipment,) = list_shipments(desk)
    assert str(shipment.reason).startswith(
        f"podOS did not accept the tracking (HTTP 400): No parcel for {NAME}"
    )
    assert "CODE" not in str(shipment.reason)
    page = str(sync_page(report))
    assert "podOS did not accept the tracking (HTTP 400) |" in page
    assert "desk shipments --failed" in page
    assert "Kanarien" not in f"{page}{report}"
    erase_all(desk)
    assert "Kanarien" not in kept(desk)


async def synced(desk: Engine, podos: Sandbox) -> SyncReport:
    report = SyncReport("default")
    settings = SyncSettings("default", podos.project)
    report.run_id = start_run(
        desk, "default", project=podos.project, kind="sync", lease_name="sync:default", started_at=NOW
    )
    run = SyncRun(desk, settings, report, clock=lambda: NOW + timedelta(seconds=1))
    async with PodosClient(PodosAccess(podos.url, podos.project, podos.token)) as client:
        await send_batch(client, run)
    return report


def test_a_refused_list_ends_in_our_own_words_alone() -> None:
    from tasks.podos.client import ListQuery
    from tasks.podos.errors import FatalPodosError

    async def asked() -> None:
        async with PodosClient(PodosAccess(podos.url, podos.project, podos.token)) as client:
            await client.list_page(ListQuery())

    with Sandbox(SandboxSettings(orders=1)) as podos:
        (order,) = podos.store.all()
        podos.store.update(order["id"], shippingAddress={"contactName": NAME})
        podos.faults.then("400_repeats")
        with pytest.raises(FatalPodosError) as caught:
            asyncio.run(asked())
    assert "Kanarien" not in f"{caught.value} {caught.value!r} {vars(caught.value)}"
