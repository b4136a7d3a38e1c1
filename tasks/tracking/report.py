"""The report of a sync, as an artifact in Prefect."""

from __future__ import annotations

from models.shipments import SyncReport
from models.tables.outbox import OutboxState
from tasks.delivery.report import add_deliveries, publish_delivery
from tasks.prefect_api.artifacts import Page

_SEE = {
    OutboxState.FAILED: "What podOS says: desk shipments --failed",
    OutboxState.WAITING: "All that wait: desk shipments --waiting",
    OutboxState.SUPERSEDED: "All shipments: desk shipments",
}

_SEE_PRODUCTION = {
    OutboxState.FAILED: "What podOS says: desk production --failed",
    OutboxState.WAITING: "All that wait: desk production --waiting",
}


def sync_page(report: SyncReport) -> Page:
    """Return the report as a page."""
    page = Page(f"Sync of {report.name}")
    add_deliveries(page, report, "Shipments", _SEE)
    if report.production:
        page.section("Production")
        add_deliveries(page, report.production, "Statuses", _SEE_PRODUCTION)
    return page


async def publish_sync_report(report: SyncReport) -> None:
    """Make the report an artifact of the flow run, if something was to be done."""
    if not report.is_idle:
        await publish_delivery(report, sync_page(report), "sync")
