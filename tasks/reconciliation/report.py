"""The report of a reconciliation, as an artifact in Prefect. No personal data in it."""

from __future__ import annotations

from models.reconciling import ALARMING, Difference, ReconcileReport, title_of
from tasks.prefect_api.artifacts import Page, publish


def reconcile_page(report: ReconcileReport) -> Page:
    """Return the report as a page: counts by reason, then orders of each, the alarming ones first."""
    page = Page(f"Reconciliation of {report.integration}")
    page.line(f"Orders created from {report.since or 'the beginning'} on")
    page.line(report.one_line())
    page.table(["Orders", "Count", "Mended"], _counts(report), numbers=["Count", "Mended"])
    for difference in sorted(report.examples, key=lambda difference: difference not in ALARMING):
        findings = report.examples[difference]
        page.section(title_of(difference))
        rows = [(finding.source_id, finding.order_number, finding.detail) for finding in findings]
        page.table(["podOS id", "Order number", "Detail"], rows)
        page.more(report.counts[difference], len(findings))
    return page


def _counts(report: ReconcileReport) -> list[tuple[object, ...]]:
    rows: list[tuple[object, ...]] = [
        ("In podOS", report.read, None),
        ("of these, here", report.here, None),
    ]
    for difference in Difference:
        mended = report.fixed[difference] if report.fix and difference in ALARMING else None
        rows.append((title_of(difference), report.counts[difference], mended))
    return rows


async def publish_reconcile_report(report: ReconcileReport) -> None:
    """Make the report an artifact of the flow run; outside of one there is nowhere to put it."""
    key = f"reconcile-{report.integration}"
    await publish(reconcile_page(report), key=key, description=report.one_line())
