"""The report of a sync, as an artifact in Prefect. Ids and our own reasons, nothing else."""

from __future__ import annotations

from models.desk import OutboxState
from models.shipments import SYNC_OUTCOMES, SyncReport
from tasks.prefect_api.artifacts import Page, publish

EXPLAINED = {
    OutboxState.FAILED: "What podOS says: desk shipments --failed",
    OutboxState.WAITING: "All that wait: desk shipments --waiting",
    OutboxState.SUPERSEDED: "All shipments: desk shipments",
}
"""The states whose shipments are listed, and where more stands about them."""


def sync_page(report: SyncReport) -> Page:
    """Return the report as a page: counts, and the shipments that were not sent, with their reason."""
    page = Page(f"Sync of {report.integration}")
    page.line(report.one_line())
    counts = [(_words(state), report.counts[state]) for state in SYNC_OUTCOMES]
    page.table(["Shipments", "Count"], [("Pending", report.pending), *counts], numbers=["Count"])
    for state, see in EXPLAINED.items():
        if notes := report.notes.get(state):
            page.section(_words(state))
            rows = [(note.id, note.order_number, note.reason) for note in notes]
            page.table(["Shipment", "Order", "Reason"], rows)
            page.more(report.counts[state], len(notes))
            page.line(see)
    return page


def _words(state: OutboxState) -> str:
    return state.value.replace("_", " ").capitalize()


async def publish_sync_report(report: SyncReport) -> None:
    """Make the report an artifact of the flow run, where there is one and something was to be done."""
    if report.pending:
        await publish(sync_page(report), key=f"sync-{report.integration}", description=report.one_line())
