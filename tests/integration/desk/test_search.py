"""Orders are found by what people know of them."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from sqlalchemy import Engine

from tasks.desk.browse import export_orders, list_orders
from tasks.desk.search import OrderFilter
from tests.support.builders import insert_order, insert_shipment


@pytest.fixture
def two(desk: Engine) -> None:
    """Two orders that have nothing in common."""
    first = insert_order(
        desk,
        source_id="3f2a-1",
        order_number="A-1001",
        merchant_reference="1001",
        fulfiller_reference="F_77%",
        ship_name="Zoë Sample",
        ship_company="Sample & Sons",
        ship_postal_code="LS1 4AP",
        ship_country="GB",
        email="zoe@example.test",
        podos_status="paid",
        podos_created_at=datetime(2026, 11, 20, 23, 59, 59, tzinfo=UTC),
        items=[{"sku": "TEE-BLK-M"}],
    )
    insert_shipment(desk, first, code="1Z999AA10123456784")
    insert_order(
        desk,
        source_id="9b1c-2",
        order_number="B-2002",
        ship_name="Eve Other",
        ship_company=None,
        ship_postal_code="10115",
        ship_country="DE",
        email="eve@example.test",
        podos_status="Processing",
        podos_created_at=datetime(2026, 11, 21, tzinfo=UTC),
        items=[{"sku": "MUG-1"}],
    )


def found(desk: Engine, wanted: OrderFilter) -> list[str]:
    listed = [order.order_number for order in list_orders(desk, matching=wanted)]
    exported = [order["order_number"] for order in export_orders(desk, matching=wanted, newest_first=True)]
    assert listed == exported
    return listed


@pytest.mark.usefixtures("two")
@pytest.mark.parametrize(
    "text",
    [
        *("A-1001", "a-1001", "1001", "F_77%", "3f2a", "sample", "sons", "ls1 4ap", "4AP LS1", "ZOE@example"),
        *("tee-blk", "0123456784", "1z999", " \u200b1001 ", "sample tee"),
    ],
)
def test_an_order_is_found_by_a_part_of_what_one_knows(desk: Engine, text: str) -> None:
    assert found(desk, OrderFilter(search=text)) == ["A-1001"]


@pytest.mark.usefixtures("two")
@pytest.mark.parametrize("text", ["%", "_", "F%77", "sample mug", "nobody", "\\"])
def test_a_sign_of_sql_is_a_sign(desk: Engine, text: str) -> None:
    assert found(desk, OrderFilter(search=text)) == (["A-1001"] if text in "F_77%" else [])


@pytest.mark.usefixtures("two")
@pytest.mark.parametrize(
    ("wanted", "numbers"),
    [
        (OrderFilter(), ["B-2002", "A-1001"]),
        (OrderFilter(search="  "), ["B-2002", "A-1001"]),
        (OrderFilter(country="uk"), ["A-1001"]),
        (OrderFilter(country="Germany"), ["B-2002"]),
        (OrderFilter(country="Atlantis"), []),
        (OrderFilter(status="PROCESSING"), ["B-2002"]),
        (OrderFilter(since=datetime(2026, 11, 21, tzinfo=UTC)), ["B-2002"]),
        (OrderFilter(search="example.test", status="paid"), ["A-1001"]),
    ],
)
def test_filters_hold_together(desk: Engine, wanted: OrderFilter, numbers: list[str]) -> None:
    assert found(desk, wanted) == numbers
