"""Leave a reconciliation's report in the Prefect UI, as an artifact. No personal data in it."""

from __future__ import annotations

from prefect.artifacts import acreate_markdown_artifact
from prefect.context import FlowRunContext

from models.reconciling import ALARMING, Difference, Finding, ReconcileReport, title_of


def reconcile_markdown(report: ReconcileReport) -> str:
    """Return the report as Markdown: counts by reason, then orders of each, the alarming ones first."""
    since = str(report.since) if report.since else "the beginning"
    lines = [f"# Reconciliation of {report.integration}", "", f"Orders created from {since} on", ""]
    lines += [report.one_line(), "", "| Orders | Count | Mended |", "| --- | ---: | ---: |"]
    lines += [f"| In podOS | {report.read} | |", f"| of these, here | {report.here} | |"]
    for one in Difference:
        mended = str(report.fixed[one]) if report.fix and one in ALARMING else ""
        lines.append(f"| {title_of(one)} | {report.counts[one]} | {mended} |")
    for one in sorted(report.examples, key=lambda one: one not in ALARMING):
        shown = report.examples[one]
        lines += ["", f"## {title_of(one)}", ""]
        lines += ["| podOS id | Order number | Detail |", "| --- | --- | --- |"]
        lines += [_row(finding) for finding in shown]
        more = report.counts[one] - len(shown)
        lines += ["", f"... and {more} more"] if more > 0 else []
    return "\n".join(lines) + "\n"


def _row(finding: Finding) -> str:
    cells = (finding.source_id, finding.order_number or "", finding.detail or "")
    return "| " + " | ".join(_cell(cell) for cell in cells) + " |"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ").replace("<", "&lt;")


async def publish_reconcile_report(report: ReconcileReport) -> None:
    """Make the report an artifact of the flow run; outside of one there is nowhere to put it."""
    if FlowRunContext.get() is None:
        return
    await acreate_markdown_artifact(
        markdown=reconcile_markdown(report),
        key=f"reconcile-{report.integration}",
        description=report.one_line(),
    )
