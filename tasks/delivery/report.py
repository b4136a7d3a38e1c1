"""The report of a run that delivers, as an artifact in Prefect. Ids and our own reasons, nothing else."""

from __future__ import annotations

from collections.abc import Mapping

from models.deliveries import DeliveryReport
from models.tables.outbox import OutboxState
from tasks.prefect_api.artifacts import Page, publish


def add_deliveries(page: Page, report: DeliveryReport, rows: str, see: Mapping[OutboxState, str]) -> None:
    """Add a report to a page: counts, and what was not sent, with its reason.

    Args:
        page: the page.
        report: the report.
        rows: what is counted, in the plural.
        see: the states whose rows are listed, and where more stands about them.
    """
    page.line(report.one_line())
    counts = [(words_of(state), report.counts[state]) for state in report.OUTCOMES]
    page.table([rows, "Count"], [("Pending", report.pending), *counts], numbers=["Count"])
    for state, line in see.items():
        if notes := report.notes.get(state):
            page.section(words_of(state))
            page.table([rows.removesuffix("s"), "Order", "Reason"], notes)
            page.more(report.counts[state], len(notes))
            page.line(line)


def words_of(state: OutboxState) -> str:
    """Return a state as a heading."""
    return state.value.replace("_", " ").capitalize()


async def publish_delivery(report: DeliveryReport, page: Page, key: str) -> None:
    """Make a page an artifact of the flow run, where there is one."""
    await publish(page, key=f"{key}-{report.name}", description=report.one_line())
