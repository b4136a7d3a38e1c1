"""The report of a run of sending, as an artifact in Prefect. Ids and our own reasons, nothing else."""

from __future__ import annotations

from models.desk import OutboxState
from models.handovers import SEND_OUTCOMES, SendReport
from tasks.prefect_api.artifacts import Page, publish


def send_page(report: SendReport) -> Page:
    """Return the report as a page: counts, and the orders that were not sent, with their reason."""
    page = Page(f"Orders to {report.fulfiller}")
    page.line(report.one_line())
    counts = [(_words(state), report.counts[state]) for state in SEND_OUTCOMES]
    page.table(["Orders", "Count"], counts, numbers=["Count"])
    for state in (OutboxState.FAILED, OutboxState.WAITING):
        if notes := report.notes.get(state):
            page.section(_words(state))
            rows = [(note.id, note.order_number, note.reason) for note in notes]
            page.table(["Handover", "Order", "Reason"], rows)
            page.line(f"What the fulfiller says: desk outbox --{state.value}")
    return page


def _words(state: OutboxState) -> str:
    return state.value.replace("_", " ").capitalize()


async def publish_send_report(report: SendReport) -> None:
    """Make the report an artifact of the flow run, where there is one and something was to be done."""
    if report.pending or report.shipments:
        await publish(send_page(report), key=f"send-{report.fulfiller}", description=report.one_line())
