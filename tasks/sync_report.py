"""Leave a sync's report where people look: an artifact in the Prefect UI. Ids and reasons, nothing else."""

from __future__ import annotations

from prefect.artifacts import acreate_markdown_artifact
from prefect.context import FlowRunContext

from models.desk import OutboxState
from models.shipments import SYNC_OUTCOMES, ShipmentNote, SyncReport

EXPLAINED = (OutboxState.FAILED, OutboxState.WAITING, OutboxState.SUPERSEDED)


def sync_report_markdown(report: SyncReport) -> str:
    """Return the report as Markdown: counts, and the shipments that were not sent, with their reason."""
    lines = [
        f"# Sync of {report.integration}",
        "",
        report.one_line(),
        "",
        "| Shipments | Count |",
        "| --- | ---: |",
        f"| Pending | {report.pending} |",
        *(f"| {_words(state)} | {report.counts[state]} |" for state in SYNC_OUTCOMES),
    ]
    for state in EXPLAINED:
        if notes := report.notes.get(state):
            lines += ["", f"## {_words(state)}", "", "| Shipment | Order | Reason |", "| --- | --- | --- |"]
            lines += [_row(note) for note in notes]
            more = report.counts[state] - len(notes)
            lines += ["", f"... and {more} more"] if more > 0 else []
    return "\n".join(lines) + "\n"


def _words(state: OutboxState) -> str:
    return state.value.replace("_", " ").capitalize()


def _row(note: ShipmentNote) -> str:
    cells = (str(note.id), note.order_number, note.reason)
    return "| " + " | ".join(cell.replace("|", "\\|").replace("<", "&lt;") for cell in cells) + " |"


async def publish_sync_report(report: SyncReport) -> None:
    """Make the report an artifact of the flow run, where there is one and something was to be done."""
    if FlowRunContext.get() is None or not report.pending:
        return
    await acreate_markdown_artifact(
        markdown=sync_report_markdown(report),
        key=f"sync-{report.integration}",
        description=report.one_line(),
    )
