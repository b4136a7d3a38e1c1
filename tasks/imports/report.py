"""The report of an import, as an artifact in Prefect. No personal data in it."""

from __future__ import annotations

from models.errors import AppError
from models.reports import SKIPPED, ImportReport, Outcome
from models.upstream import Noted
from tasks.prefect_api.artifacts import Page, publish

_WORDS = {
    Outcome.STATUS: "status is not in the Order Status Filter",
    Outcome.COUNTRY: "country is outside the Country Filter",
    Outcome.BEFORE_FIRST_IMPORT_DATE: "created before the First Import Date",
    Outcome.FROZEN: "frozen in podOS; looked at again when it changes",
    Outcome.REJECTED: "could not be read; see: desk rejected",
}

_CHANGED = {
    Noted.CANCELED: "refunded before it shipped",
    Noted.PAID_AGAIN: "no longer refunded",
    Noted.HELD: "frozen before it shipped, held",
    Noted.RELEASED: "no longer frozen",
    Noted.GONE: "no longer listed, held; see: desk changes",
    Noted.ADDRESS: "address; see: desk changes",
    Noted.ARTWORK: "artwork; see: desk changes",
    Noted.AFTER_SHIPPING: "after it shipped, history only",
}


def report_page(report: ImportReport) -> Page:
    """Return the report as a page: counts, orders by reason, orders that need attention."""
    dry_run = " (dry run)" if report.dry_run else ""
    page = Page(f"{report.kind.capitalize()} of {report.integration}{dry_run}")
    page.line(f"Window: {report.since or 'the beginning'} to {report.until or 'now'}")
    page.table(["Orders", "Count"], _counts(report), numbers=["Count"])
    if report.attention:
        page.section("Need attention")
        rows = [(order.order_number, order.source_id, order.reason) for order in report.attention]
        page.table(["Order number", "Source id", "Reason"], rows)
        page.more(report.needs_attention, len(report.attention))
    for reason in (*SKIPPED, Outcome.REJECTED):
        if ids := report.examples.get(reason):
            page.section(f"Not imported: {_WORDS[reason]}")
            page.bullets(ids)
            page.more(report.counts[reason], len(ids))
    return page


def _counts(report: ImportReport) -> list[tuple[str, int]]:
    rows = [
        ("Fetched", report.fetched),
        ("Would import" if report.dry_run else "Imported", report.counts[Outcome.IMPORTED]),
        ("of these, need attention", report.needs_attention),
        ("Already imported", report.counts[Outcome.ALREADY_IMPORTED]),
        *((f"Skipped: {_WORDS[reason]}", report.counts[reason]) for reason in SKIPPED),
        ("Rejected", report.counts[Outcome.REJECTED]),
        *(
            (f"Changed upstream: {_CHANGED[noted]}", count)
            for noted, count in report.changed.items()
            if count
        ),
    ]
    if report.rules:
        rows += [("Times that rules fired", report.rules.fired), ("Queued by rules", report.rules.queued)]
    return rows


def reason_of(error: BaseException) -> str:
    """Return what a run's row says of the error that ended it; foreign errors only by their kind."""
    if isinstance(error, AppError):
        return str(error)
    return "it was stopped" if not isinstance(error, Exception) else type(error).__name__


async def publish_report(report: ImportReport) -> None:
    """Make the report an artifact of the flow run; outside of one there is nowhere to put it."""
    key = f"{report.kind}-{report.integration}"
    await publish(report_page(report), key=key, description=report.one_line())
