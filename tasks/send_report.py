"""Leave a report of sending where people look: an artifact in Prefect. Ids and reasons, nothing else."""

from __future__ import annotations

from prefect.artifacts import acreate_markdown_artifact
from prefect.context import FlowRunContext

from models.desk import OutboxState
from models.handovers import SEND_OUTCOMES, HandoverNote, SendReport


def send_report_markdown(report: SendReport) -> str:
    """Return the report as Markdown: counts, and the orders that were not sent, with their reason."""
    lines = [
        f"# Orders to {report.fulfiller}",
        "",
        report.one_line(),
        "",
        "| Orders | Count |",
        "| --- | ---: |",
    ]
    lines += [f"| {_words(state)} | {report.counts[state]} |" for state in SEND_OUTCOMES]
    for state in (OutboxState.FAILED, OutboxState.WAITING):
        if notes := report.notes.get(state):
            lines += ["", f"## {_words(state)}", "", "| Handover | Order | Reason |", "| --- | --- | --- |"]
            lines += [_row(note) for note in notes]
    return "\n".join(lines) + "\n"


def _words(state: OutboxState) -> str:
    return state.value.replace("_", " ").capitalize()


def _row(note: HandoverNote) -> str:
    cells = (str(note.id), note.order_number, note.reason)
    return "| " + " | ".join(cell.replace("|", "\\|").replace("<", "&lt;") for cell in cells) + " |"


async def publish_send_report(report: SendReport) -> None:
    """Make the report an artifact of the flow run, where there is one and something was to be done."""
    if FlowRunContext.get() is None or not (report.pending or report.shipments):
        return
    await acreate_markdown_artifact(
        markdown=send_report_markdown(report), key=f"send-{report.fulfiller}", description=report.one_line()
    )
