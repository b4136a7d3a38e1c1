"""Lists, single orders, the streaming export and its CSV form."""

from __future__ import annotations

import csv
import io
import json
import tracemalloc
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal

import pytest
from sqlalchemy import Engine

from tasks.desk.browse import export_orders, find_order, list_orders
from tasks.desk.engine import writing
from tasks.desk.errors import DeskRefusedError
from tasks.desk.export import CSV_COLUMNS, csv_line
from tasks.desk.history import add_history
from tasks.imports.rejected_list import list_rejected
from tests.support.builders import IMPORTED, fill_folder, insert_order, insert_rejected, insert_run


def test_an_exported_order_has_the_published_shape(desk: Engine) -> None:
    run_id = insert_run(desk)
    order_id = insert_order(
        desk,
        run_id=run_id,
        source_id="5f0c4c1e-1111",
        order_number="ACME-1001",
        ship_company="Analytical Engines",
        ship_address2="Flat 2",
        priority="rush",
        fulfiller_reference="1001",
        merchant_reference="#9",
        deadline="2026-12-01",
        service_level_hours=48.0,
        source_platform="shopify",
        extras={"packing_notes": [{"type": "gift", "text": "Hi"}]},
    )
    assert list(export_orders(desk)) == [
        {
            "id": order_id,
            "integration": "default",
            "project": "acme-441595",
            "source_id": "5f0c4c1e-1111",
            "order_number": "ACME-1001",
            "folder": "New",
            "podos_status": "paid",
            "created_at": "2026-11-20T08:30:00.123000+00:00",
            "imported_at": "2026-11-23T10:15:00+00:00",
            "email": "ada@example.com",
            "phone": "5550100",
            "shipping": {
                "name": "Ada Lovelace",
                "company": "Analytical Engines",
                "address1": "1 Main Street",
                "address2": "Flat 2",
                "city": "Boston",
                "postal_code": "02134",
                "country": "US",
                "state": "MA",
            },
            "shipping_method": {"code": "std", "name": "Standard"},
            "priority": "rush",
            "declared_value": "12.50",
            "currency": "USD",
            "package_weight_g": 250,
            "fulfiller_reference": "1001",
            "merchant_reference": "#9",
            "deadline": "2026-12-01",
            "service_level_hours": 48,
            "source_platform": "shopify",
            "hold_reason": None,
            "metadata": {},
            "packing_notes": [{"type": "gift", "text": "Hi"}],
            "additional_files": [],
            "items": [
                {
                    "sku": "TEE-BLK-M",
                    "name": "Tee, black",
                    "quantity": 2,
                    "variant_ref": "v-1",
                    "notes": None,
                    "metadata": {
                        "print_url_1": "https://cdn.example/1.png",
                        "print_location_1": "front",
                    },
                }
            ],
        }
    ]


@pytest.mark.parametrize(
    ("amount", "text"),
    [
        ("0.10", "0.10"),
        ("12.5", "12.5"),
        ("1E+3", "1000"),
        ("12345678901234567890.01", "12345678901234567890.01"),
    ],
)
def test_amounts_stay_exact(desk: Engine, amount: str, text: str) -> None:
    insert_order(desk, declared_value=Decimal(amount))
    assert next(export_orders(desk))["declared_value"] == text


@pytest.mark.parametrize(
    ("weight", "expected"), [(250.0, 250), (250.5, 250.5), (None, None), (float("inf"), None)]
)
def test_weights_are_numbers(desk: Engine, weight: float | None, expected: float | None) -> None:
    insert_order(desk, package_weight_g=weight)
    found = next(export_orders(desk))["package_weight_g"]
    assert (found, type(found)) == (expected, type(expected))


def test_times_of_any_zone_come_out_in_utc(desk: Engine) -> None:
    tokyo = timezone(timedelta(hours=9))
    insert_order(desk, podos_created_at=datetime(2026, 11, 20, 1, 0, tzinfo=tokyo))
    assert next(export_orders(desk))["created_at"] == "2026-11-19T16:00:00+00:00"


def test_items_come_in_their_sequence(desk: Engine) -> None:
    insert_order(desk, items=[{"sku": f"S{number}"} for number in range(12)])
    insert_order(desk, items=[])
    first, second = export_orders(desk)
    assert [item["sku"] for item in first["items"]] == [f"S{number}" for number in range(12)]
    assert second["items"] == []


def test_the_list_is_newest_first_and_paged(desk: Engine) -> None:
    run_id = insert_run(desk)
    ids = [insert_order(desk, run_id=run_id, order_number=f"A-{number}") for number in range(5)]
    page = list_orders(desk, limit=2)
    assert [order.id for order in page] == [ids[4], ids[3]]
    assert [order.id for order in list_orders(desk, limit=9, before_id=ids[3])] == ids[2::-1]
    assert (page[0].order_number, page[0].folder, page[0].items) == ("A-4", "New", 1)
    assert page[0].created_at.tzinfo == UTC


def test_a_folder_limits_lists_and_exports(desk: Engine) -> None:
    insert_order(desk)
    closed = insert_order(desk, folder="Closed")
    assert [order.id for order in list_orders(desk, folder="closed")] == [closed]
    assert [order["id"] for order in export_orders(desk, folder="CLOSED")] == [closed]


def test_an_unknown_folder_is_refused_at_once(desk: Engine) -> None:
    with pytest.raises(DeskRefusedError, match="the folders are: New"):
        list_orders(desk, folder="Nowhere")
    with pytest.raises(DeskRefusedError, match="the folders are: New"):
        export_orders(desk, folder="Nowhere")


@pytest.mark.parametrize("newest_first", [False, True])
@pytest.mark.parametrize("limit", [None, 1, 1000, 1001, 2000, 5000])
def test_an_export_of_several_chunks_has_every_order_once(
    desk: Engine, newest_first: bool, limit: int | None
) -> None:
    run_id = insert_run(desk)
    with writing(desk) as connection:
        fill_folder(connection, "New", run_id=run_id, count=2_000)
    numbers = [
        int(order["order_number"]) for order in export_orders(desk, newest_first=newest_first, limit=limit)
    ]
    expected = list(range(1, 2_001))[:: -1 if newest_first else 1][:limit]
    assert numbers == expected


def test_an_export_of_one_folder_skips_the_others(desk: Engine) -> None:
    run_id = insert_run(desk)
    with writing(desk) as connection:
        fill_folder(connection, "New", run_id=run_id, count=1_500)
    closed = insert_order(desk, run_id=run_id, folder="Closed")
    assert len(list(export_orders(desk, folder="New"))) == 1_500
    assert [order["id"] for order in export_orders(desk, folder="Closed")] == [closed]


def test_an_export_keeps_its_memory_flat(desk: Engine) -> None:
    run_id = insert_run(desk)
    with writing(desk) as connection:
        fill_folder(connection, "New", run_id=run_id, count=8_000)
    orders = export_orders(desk)
    for _ in range(1_000):  # what is allocated once is allocated now
        next(orders)
    tracemalloc.start()
    for _ in range(3_000):
        next(orders)
    peak_of_few = tracemalloc.get_traced_memory()[1]
    count = sum(1 for _ in orders)
    peak_of_all = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert count == 4_000
    assert peak_of_all < peak_of_few * 1.2


def test_an_export_that_stands_still_lets_others_write(desk: Engine) -> None:
    run_id = insert_run(desk)
    with writing(desk) as connection:
        fill_folder(connection, "New", run_id=run_id, count=1_001)
    orders = export_orders(desk)
    next(orders)
    late = insert_order(desk, run_id=run_id, order_number="late")
    assert [order["id"] for order in orders][-1] == late


def test_history_begins_with_the_import(desk: Engine) -> None:
    run_id = insert_run(desk, kind="import")
    order_id = insert_order(desk, run_id=run_id, order_number="A-1")
    with writing(desk) as connection:
        add_history(connection, [(order_id, "needs attention", "no design address")], IMPORTED)
    detail = find_order(desk, "A-1")
    assert detail.as_dict()["history"] == [
        {"at": "2026-11-23T10:15:00+00:00", "event": "imported", "text": f"imported by import run {run_id}"},
        {"at": "2026-11-23T10:15:00+00:00", "event": "needs attention", "text": "no design address"},
    ]
    assert detail.order == next(export_orders(desk))


def test_an_order_is_found_by_all_its_names(desk: Engine) -> None:
    order_id = insert_order(desk, source_id="source-a", order_number="A-1")
    insert_order(desk, source_id="source-b", order_number="A-2")
    for reference in (str(order_id), "source-a", " A-1 "):
        assert find_order(desk, reference).order["id"] == order_id


def test_an_unknown_order_is_refused(desk: Engine) -> None:
    with pytest.raises(DeskRefusedError, match="no order 'A-1'"):
        find_order(desk, "A-1")


def test_a_csv_line_is_flat_and_reads_back(desk: Engine) -> None:
    insert_order(
        desk, order_number="A-1", extras={"additional_files": [{"name": "slip", "src": "https://x"}]}
    )
    order = next(export_orders(desk))
    file = io.StringIO()
    csv.writer(file).writerows([CSV_COLUMNS, csv_line(order)])
    (line,) = csv.DictReader(io.StringIO(file.getvalue()))
    assert line["shipping_postal_code"] == "02134"
    assert line["shipping_method_code"] == "std"
    assert line["declared_value"] == "12.50"
    assert line["shipping_company"] == ""
    assert json.loads(line["items"]) == order["items"]
    assert json.loads(line["additional_files"]) == order["additional_files"]
    assert not set(CSV_COLUMNS) ^ set(line)


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r", "\n"])
def test_csv_text_is_never_a_formula(desk: Engine, start: str) -> None:
    insert_order(desk, ship_name=f"{start}HYPERLINK(1)", phone="1-2")
    line = dict(zip(CSV_COLUMNS, csv_line(next(export_orders(desk))), strict=True))
    assert line["shipping_name"] == f"'{start}HYPERLINK(1)"
    assert line["phone"] == "1-2"


def test_rejected_orders_are_listed_without_their_payload(desk: Engine) -> None:
    insert_rejected(desk, source_id="old", last_seen_at=IMPORTED - timedelta(days=1))
    insert_rejected(desk, source_id="new", integration="other", attempts=3)
    newest, oldest = (order.as_dict() for order in list_rejected(desk))
    assert (newest["source_id"], newest["attempts"], oldest["source_id"]) == ("new", 3, "old")
    assert newest["last_seen_at"] == "2026-11-23T10:15:00+00:00"
    assert "ada@example.com" not in json.dumps([newest, oldest])
    assert [order.source_id for order in list_rejected(desk, integration="other")] == ["new"]
