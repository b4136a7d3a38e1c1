"""Whatever another program wrote into a shipment: its row fails alone or is sent; all others go out."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from sqlalchemy import Engine

from deployments.sandbox.server import Sandbox, SandboxSettings
from models.shipments import SyncReport, SyncSettings
from models.tables.outbox import OutboxState
from tasks.podos.client import PodosAccess, PodosClient
from tasks.tracking.queue import fail_orphans, take_due
from tasks.tracking.send import send_batch
from tasks.tracking.shipment_list import ShipmentSummary, list_shipments
from tasks.tracking.store import resend_shipments, void_shipment
from tasks.tracking.sync_run import SyncRun
from tests.support.builders import insert_order, insert_run, insert_shipment
from tests.support.odd_values import BAD_TEXT, EVERYTHING, JSON, NO_TEXT, plant

TEXT = {*NO_TEXT, *BAD_TEXT, "deep JSON"}
NO_VALUE = {"infinity", "JSON's null"}
NO_CODE = {*JSON, "a German date", "a half", "an address"}
FAILS = {
    "order_id": set(EVERYTHING) - {"two"},
    "courier": TEXT | NO_VALUE,
    "code": TEXT | NO_VALUE | NO_CODE,
    "url": set(EVERYTHING) - {"nothing"},
    "overwrite": set(EVERYTHING),
}
"""By column, what keeps a shipment from being sent. Whatever stands in the other columns does not."""
DOES_NOT_MATTER = (
    *("attempts", "first_attempt_at", "next_attempt_at", "shipped_at"),
    *("created_at", "sent_at", "reason", "rules_seen"),
)


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(SandboxSettings(orders=0)) as sandbox:
        yield sandbox


@pytest.fixture
def database() -> str:
    return "sqlite"


class Floor:
    """A desk whose orders are in podOS, each with a shipment that waits."""

    def __init__(self, desk: Engine, sandbox: Sandbox) -> None:
        self.desk, self.sandbox = desk, sandbox
        self.run_id = insert_run(desk)

    def shipment(self) -> int:
        """Write an order with a shipment, and return the shipment's id."""
        moment = "2026-11-01T00:00:00Z"
        source_id = f"source-{len(self.sandbox.store)}"
        self.sandbox.store.add(
            {"id": source_id, "status": "paid", "createdAt": moment, "updatedAt": moment, "tracking": None}
        )
        order = insert_order(self.desk, source_id=source_id, project=self.sandbox.project, run_id=self.run_id)
        return insert_shipment(self.desk, order, f"CODE-{source_id}")

    def sync(self) -> None:
        """Send what waits, as the flow does."""
        fail_orphans(self.desk)
        settings = SyncSettings("default", self.sandbox.project)
        run = SyncRun(self.desk, settings, SyncReport("default"))
        access = PodosAccess(self.sandbox.url, self.sandbox.project, self.sandbox.token)

        async def send() -> None:
            async with PodosClient(access) as client:
                while await send_batch(client, run):
                    pass

        asyncio.run(send())

    def listed(self) -> dict[int, ShipmentSummary]:
        """Return all shipments as they are listed."""
        return {shipment.id: shipment for shipment in list_shipments(self.desk) if shipment.as_dict()}


@pytest.fixture
def floor(desk: Engine, sandbox: Sandbox) -> Floor:
    return Floor(desk, sandbox)


@pytest.mark.parametrize("column", [*FAILS, *DOES_NOT_MATTER])
def test_an_odd_value_stops_its_row_at_most(floor: Floor, column: str) -> None:
    good = [floor.shipment()]
    odd = {name: floor.shipment() for name in EVERYTHING}
    good.append(floor.shipment())
    planted = {
        name: plant(floor.desk, "shipments", id_, column, EVERYTHING[name]) for name, id_ in odd.items()
    }
    floor.sync()
    listed = floor.listed()
    assert [listed[id_].state for id_ in good] == ["sent", "sent"]
    fails = {name for name in FAILS.get(column, ()) if planted[name]}
    assert {name for name, id_ in odd.items() if listed[id_].state == "failed"} == fails
    assert {name for name, id_ in odd.items() if listed[id_].state == "sent"} == odd.keys() - fails
    reasons = [listed[odd[name]].reason or "" for name in fails]
    assert all(column in reason for reason in reasons), reasons
    assert {shipment.id for shipment in list_shipments(floor.desk, state=OutboxState.FAILED)} == {
        odd[name] for name in fails
    }


def test_the_reason_names_the_column_and_the_remedy_and_not_the_value(floor: Floor) -> None:
    shipment = floor.shipment()
    plant(floor.desk, "shipments", shipment, "code", NO_TEXT["bytes"])
    floor.sync()
    assert floor.listed()[shipment].reason == (
        "code can't be read: it is bytes or a number, not text; "
        f"correct the row, then: desk shipments resend {shipment}"
    )


def test_a_corrected_row_is_sent_when_it_is_tried_again(floor: Floor) -> None:
    shipment = floor.shipment()
    for column in ("code", "attempts", "next_attempt_at", "first_attempt_at"):
        plant(floor.desk, "shipments", shipment, column, NO_TEXT["bytes"])
    floor.sync()
    assert floor.listed()[shipment].state == "failed"
    plant(floor.desk, "shipments", shipment, "code", "'D1'")
    resend_shipments(floor.desk, None, overwrite=False, now=datetime.now(UTC))
    floor.sync()
    assert (floor.listed()[shipment].state, floor.listed()[shipment].attempts) == ("sent", 1)


def test_a_shipment_of_no_order_can_be_tried_again_and_voided_like_any_other(floor: Floor) -> None:
    stray, good = floor.shipment(), floor.shipment()
    plant(floor.desk, "shipments", stray, "order_id", "4711")
    plant(floor.desk, "shipments", good, "code", NO_TEXT["bytes"])
    floor.sync()
    plant(floor.desk, "shipments", good, "code", "'D1'")
    assert resend_shipments(floor.desk, None, overwrite=False, now=datetime.now(UTC)) == [stray, good]
    floor.sync()
    listed = floor.listed()
    assert (listed[stray].state, listed[stray].order, listed[good].state) == ("failed", None, "sent")
    assert void_shipment(floor.desk, stray, now=datetime.now(UTC)) is None
    assert floor.listed()[stray].state == "voided"


@pytest.mark.parametrize("column", ["source_id", "project", "integration"])
def test_an_order_that_can_not_be_named_to_podos_fails_its_own_shipment(floor: Floor, column: str) -> None:
    odd, good = floor.shipment(), floor.shipment()
    (parcel, _) = take_due(floor.desk, "default", now=datetime.now(UTC), limit=2)
    plant(floor.desk, "orders", parcel.order_id, column, NO_TEXT["bytes"])
    floor.sync()
    listed = floor.listed()
    assert (listed[odd].state, listed[good].state) == ("failed", "sent")
    assert f"{column} " in str(listed[odd].reason)


def test_an_odd_row_does_not_keep_the_place_of_its_order(floor: Floor) -> None:
    odd = floor.shipment()
    (parcel,) = take_due(floor.desk, "default", now=datetime.now(UTC), limit=1)
    good = insert_shipment(floor.desk, parcel.order_id, "D2", "DPD")
    plant(floor.desk, "shipments", odd, "code", NO_TEXT["bytes"])
    floor.sync()
    assert (floor.listed()[odd].state, floor.listed()[good].state) == ("failed", "sent")


def test_two_rows_that_are_the_same_once_they_are_trimmed_stop_nothing(floor: Floor) -> None:
    first, other = floor.shipment(), floor.shipment()
    (parcel, _) = take_due(floor.desk, "default", now=datetime.now(UTC), limit=2)
    plant(floor.desk, "shipments", first, "code", "' D1'")
    twin = insert_shipment(floor.desk, parcel.order_id, "D1 ")
    floor.sync()
    listed = floor.listed()
    assert (listed[first].state, listed[other].state) == ("sent", "sent")
    assert listed[twin].state in {"superseded", "failed"}


def test_a_shipment_in_postgresql_whose_times_python_has_not(postgres_server: str, sandbox: Sandbox) -> None:
    from tasks.desk.engine import open_desk
    from tests.conftest import _postgres_database

    for url in _postgres_database(postgres_server, "template1"):
        floor = Floor(open_desk(url), sandbox)
        odd = {
            (column, value): floor.shipment()
            for column in ("next_attempt_at", "first_attempt_at", "shipped_at", "sent_at", "created_at")
            for value in ("'infinity'", "'-infinity'", "'294276-01-01'")
        }
        for (column, value), id_ in odd.items():
            assert plant(floor.desk, "shipments", id_, column, value)
        floor.sync()
        assert {shipment.state for shipment in floor.listed().values()} == {"sent"}
        floor.desk.dispose()
