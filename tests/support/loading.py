"""What tests of loading share: rows as podOS sends them, prepared, and a run that has begun."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Engine

from models.filters import CountryMode, ImportSettings
from models.podos import Application, Fulfillment, FulfillmentItem, ItemMetadata, Price
from models.reports import ImportReport, Outcome
from tasks.desk.runs import begin_run
from tasks.imports.load import ImportRunContext
from tasks.imports.transform import Prepared, prepare
from tasks.podos.parsing import Row, Unreadable
from tasks.podos.scan import Batch

NOW = datetime(2026, 11, 23, 10, 15, tzinfo=UTC)
CREATED = datetime(2026, 11, 20, 8, 30, tzinfo=UTC)
SETTINGS = ImportSettings(
    integration="default",
    project="acme-441595",
    base_url="http://127.0.0.1:1",
    folder="Incoming",
    statuses=("paid",),
    order_prefix="A-",
    country_mode=CountryMode.STANDARD,
    countries=(),
    first_import_date=None,
    time_zone="UTC",
    sync_tracking=True,
)


def fulfillment(
    source_id: str, *, design: str | None = "https://artwork.example.test/1.png", **fields: Any
) -> Fulfillment:
    """One readable order with an item and a print."""
    item = FulfillmentItem(
        quantity=2,
        declared_value=Price("19.90", "GBP"),
        metadata=ItemMetadata("Tee", "TEE", "TEE-M"),
        applications=[Application(design=design, placement="front")],
    )
    values: dict[str, Any] = {
        "status": "paid",
        "created_at": CREATED,
        "items": [item],
        "declared_value": Price("39.80", "GBP"),
    }
    return Fulfillment(id=source_id, **(values | fields))


def unreadable(source_id: str | None, payload: str = '{"items": 7}') -> Unreadable:
    """One row that can't be read."""
    return Unreadable(payload, "items is a number", source_id, CREATED, None)


def batch(*rows: Row, read_to: datetime | None = None) -> Prepared:
    """Rows, prepared."""
    return prepare(Batch(1, rows, read_to), SETTINGS)


def new_run(desk: Engine, outcomes: dict[str, Outcome] | None = None) -> ImportRunContext:
    """A run that has begun."""
    report = ImportReport("default", "check", dry_run=False)
    report.run_id = begin_run(
        desk, SETTINGS, report, lease_name="check:default", mark_before=None, flow_run_id=None, now=NOW
    )
    return ImportRunContext(desk, SETTINGS, report, outcomes=outcomes)
