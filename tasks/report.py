"""Leave a run's report where people look: an artifact in the Prefect UI. No personal data in it."""

from __future__ import annotations

from prefect.artifacts import acreate_markdown_artifact
from prefect.context import FlowRunContext

from models.reports import SKIPPED, ImportReport, Outcome
from models.upstream import Noted

_WORDS = {
    Outcome.STATUS: "status is not in the Order Status Filter",
    Outcome.COUNTRY: "country is outside the Country Filter",
    Outcome.BEFORE_FIRST_IMPORT_DATE: "created before the First Import Date",
    Outcome.FROZEN: "frozen in podOS; looked at again when it changes",
    Outcome.REJECTED: "could not be read; see `desk rejected`",
}

_CHANGED = {
    Noted.CANCELED: "refunded before it shipped",
    Noted.PAID_AGAIN: "no longer refunded",
    Noted.HELD: "frozen before it shipped, held",
    Noted.RELEASED: "no longer frozen",
    Noted.ADDRESS: "address; see `desk changes`",
    Noted.ARTWORK: "artwork; see `desk changes`",
    Noted.AFTER_SHIPPING: "after it shipped, history only",
}


def report_markdown(report: ImportReport) -> str:
    """Return the report as Markdown: counts, orders by reason, orders that need attention."""
    verb = "Would import" if report.dry_run else "Imported"
    lines = [
        f"# {report.kind.capitalize()} of {report.integration}{' (dry run)' if report.dry_run else ''}",
        "",
        f"Window: {_instant(report.since, 'the beginning')} to {_instant(report.until, 'now')}",
        "",
        "| Orders | Count |",
        "| --- | ---: |",
        f"| Fetched | {report.fetched} |",
        f"| {verb} | {report.counts[Outcome.IMPORTED]} |",
        f"| of these, need attention | {report.needs_attention} |",
        f"| Already imported | {report.counts[Outcome.ALREADY_IMPORTED]} |",
        *(f"| Skipped: {_WORDS[reason]} | {report.counts[reason]} |" for reason in SKIPPED),
        f"| Rejected | {report.counts[Outcome.REJECTED]} |",
    ]
    lines += [
        f"| Changed upstream: {_CHANGED[one]} | {count} |" for one, count in report.changed.items() if count
    ]
    if report.rules:
        lines += [f"| Times that rules fired | {report.rules.fired} |"]
        lines += [f"| Queued by rules | {report.rules.queued} |"]
    if report.attention:
        lines += ["", "## Need attention", "", "| Order number | Source id | Reason |", "| --- | --- | --- |"]
        lines += [
            f"| {_cell(one.order_number)} | {_cell(one.source_id)} | {_cell(one.reason)} |"
            for one in report.attention
        ]
        lines += _more(report.needs_attention - len(report.attention))
    for reason in (*SKIPPED, Outcome.REJECTED):
        if ids := report.examples.get(reason):
            lines += ["", f"## Not imported: {_WORDS[reason]}", "", *(f"- {_cell(id_)}" for id_ in ids)]
            lines += _more(report.counts[reason] - len(ids))
    return "\n".join(lines) + "\n"


def reason_of(error: BaseException) -> str:
    """Return what a run's row says of the error that ended it; foreign errors only by their kind."""
    if type(error).__module__.startswith("tasks."):
        return str(error)
    return "it was stopped" if not isinstance(error, Exception) else type(error).__name__


def _instant(moment: object, otherwise: str) -> str:
    return str(moment) if moment else otherwise


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ").replace("<", "&lt;")


def _more(count: int) -> list[str]:
    return ["", f"... and {count} more"] if count > 0 else []


async def publish_report(report: ImportReport) -> None:
    """Make the report an artifact of the flow run; outside of one there is nowhere to put it."""
    if FlowRunContext.get() is None:
        return
    await acreate_markdown_artifact(
        markdown=report_markdown(report),
        key=f"{report.kind}-{report.integration}",
        description=report.one_line(),
    )
