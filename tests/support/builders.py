"""Rows for tests, written straight into the desk's tables."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from sqlalchemy import Connection, Engine, select, text
from sqlmodel import Session

from models.tables.orders import Folder, Order, OrderItem, RejectedOrder
from models.tables.runs import ImportRun, Lease, RunState

CREATED = datetime(2026, 11, 20, 8, 30, 0, 123000, tzinfo=UTC)
IMPORTED = datetime(2026, 11, 23, 10, 15, tzinfo=UTC)
PROJECT = "acme-441595"

_ITEM: dict[str, Any] = {
    "source_item_id": "item-1",
    "sku": "TEE-BLK-M",
    "name": "Tee, black",
    "quantity": 2,
    "variant_ref": "v-1",
    "notes": None,
    "item_metadata": {"print_url_1": "https://cdn.example/1.png", "print_location_1": "front"},
}
_ORDER: dict[str, Any] = {
    "integration": "default",
    "project": PROJECT,
    "podos_status": "paid",
    "podos_created_at": CREATED,
    "imported_at": IMPORTED,
    "email": "ada@example.com",
    "phone": "5550100",
    "ship_name": "Ada Lovelace",
    "ship_address1": "1 Main Street",
    "ship_city": "Boston",
    "ship_postal_code": "02134",
    "ship_country": "US",
    "ship_state": "MA",
    "shipping_code": "std",
    "shipping_name": "Standard",
    "declared_value": Decimal("12.50"),
    "currency": "USD",
    "package_weight_g": 250.0,
}


def insert_run(engine: Engine, **overrides: Any) -> int:
    """Write a completed check and return its id."""
    values: dict[str, Any] = {
        "integration": "default",
        "project": PROJECT,
        "kind": "check",
        "state": RunState.COMPLETED,
        "lease_name": "check:default",
        "started_at": IMPORTED,
        "finished_at": IMPORTED + timedelta(seconds=3),
        "counts": {"imported": 1},
        "settings": {},
    }
    with Session(engine) as session:
        run = ImportRun(**{**values, **overrides})
        session.add(run)
        session.commit()
        return _id(run.id)


def insert_order(
    engine: Engine,
    *,
    folder: str = "New",
    items: Sequence[dict[str, Any]] = ({},),
    run_id: int | None = None,
    **overrides: Any,
) -> int:
    """Write an order and return its desk id.

    Args:
        engine: the desk.
        folder: an existing folder, as it is written.
        items: what is special about each item.
        run_id: the run that imported it; a new one when not given.
        **overrides: columns of table ``orders``.
    """
    run = run_id or insert_run(engine)
    source_id = overrides.get("source_id", str(uuid.uuid4()))
    values = _ORDER | {"source_id": source_id, "order_number": source_id[:8]} | overrides
    with Session(engine) as session:
        place = session.execute(select(Folder).where(Folder.name == folder)).scalar_one()  # type: ignore[arg-type]
        order = Order(**values, folder_id=place.id, import_run_id=run)
        session.add(order)
        session.flush()
        order_id = _id(order.id)
        for position, item in enumerate(items, 1):
            session.add(OrderItem(order_id=order_id, position=position, **(_ITEM | item)))
        session.commit()
        return order_id


def insert_rejected(engine: Engine, **overrides: Any) -> int:
    """Write a rejected order and return its id."""
    values: dict[str, Any] = {
        "integration": "default",
        "project": PROJECT,
        "key": overrides.get("source_id") or str(uuid.uuid4()),
        "reason": "createdAt is missing",
        "payload": '{"email": "ada@example.com"}',
        "first_seen_at": IMPORTED,
        "last_seen_at": IMPORTED,
        "run_id": overrides.get("run_id") or insert_run(engine),
    }
    with Session(engine) as session:
        rejected = RejectedOrder(**{**values, **overrides})
        session.add(rejected)
        session.commit()
        return _id(rejected.id)


def insert_shipment(engine: Engine, order_id: int, code: str = "AB123", courier: str = "Royal Mail") -> int:
    """Insert a shipment as any program does, with plain SQL, and return its id."""
    statement = text(
        "INSERT INTO shipments (order_id, courier, code) VALUES (:order_id, :courier, :code) RETURNING id"
    )
    with engine.begin() as connection:
        values = {"order_id": order_id, "courier": courier, "code": code}
        return int(connection.execute(statement, values).scalar_one())


def insert_lease(engine: Engine, name: str, *, expires_at: datetime) -> None:
    """Write a lease that some process holds."""
    with Session(engine) as session:
        acquired = expires_at - timedelta(minutes=1)
        session.add(Lease(name=name, holder="somebody", acquired_at=acquired, expires_at=expires_at))
        session.commit()


def fill_folder(connection: Connection, folder: str, *, run_id: int, count: int) -> None:
    """Write many plain orders without items at once; their numbers are 1, 2, ... ``count``."""
    connection.execute(
        text("""
            INSERT INTO orders (integration, project, source_id, order_number, folder_id, import_run_id,
                                podos_status, podos_created_at, imported_at)
            WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < :count)
            SELECT 'default', :project, 'source-' || n, CAST(n AS TEXT), folders.id, :run_id, 'paid',
                   run.started_at, run.started_at
            FROM numbers, folders, import_runs AS run
            WHERE folders.name = :folder AND run.id = :run_id
        """),
        {"count": count, "project": PROJECT, "run_id": run_id, "folder": folder},
    )


def _id(value: int | None) -> int:
    assert value is not None
    return value
