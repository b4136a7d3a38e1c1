"""The report of a run of sending, as an artifact in Prefect."""

from __future__ import annotations

from models.handovers import SendReport
from models.tables.outbox import OutboxState
from tasks.delivery.report import add_deliveries, publish_delivery
from tasks.prefect_api.artifacts import Page

_SEE = {
    state: f"What the fulfiller says: desk outbox --{state.value}"
    for state in (OutboxState.FAILED, OutboxState.WAITING)
}


def send_page(report: SendReport) -> Page:
    """Return the report as a page."""
    page = Page(f"Orders to {report.name}")
    add_deliveries(page, report, "Handovers", _SEE)
    if report.looked or report.held_back or report.unseen:
        page.section("Last look at podOS")
        kept = [(f"Held back: {kind.replace('_', ' ')}", count) for kind, count in report.held_back.items()]
        rows = [("Looked at", report.looked), *kept, ("Handed on without a look", report.unseen)]
        page.table(["Orders", "Count"], rows, numbers=["Count"])
    return page


async def publish_send_report(report: SendReport) -> None:
    """Make the report an artifact of the flow run, if something was to be done or came back."""
    if report.pending or report.shipments:
        await publish_delivery(report, send_page(report), "send")
