"""What ran, and what could not be read: two lists to look at."""

from __future__ import annotations

from starlette.responses import Response

from deployments.web.pages import Visit
from models.reports import SKIPPED, Outcome
from models.tables.outbox import OutboxState
from tasks.desk.run_history import RunSummary, list_runs
from tasks.imports.rejected_list import list_rejected

LISTED = 50


def runs(visit: Visit) -> Response:
    """Show the checks, imports, syncs and sendings, the newest first."""
    found = list_runs(visit.site.engine, limit=LISTED)
    return visit.page("runs.html", runs=[(run, _counts(run)) for run in found], listed=LISTED)


def _counts(run: RunSummary) -> dict[str, int]:
    """Return what came of a run, without what came to nothing."""
    counts = {
        "imported": run.counts.get(Outcome.IMPORTED, 0),
        "sent": run.counts.get(OutboxState.SENT, 0),
        "failed": run.counts.get(OutboxState.FAILED, 0),
        "already there": run.counts.get(Outcome.ALREADY_IMPORTED, 0)
        + run.counts.get(OutboxState.ALREADY_THERE, 0),
        "skipped": sum(run.counts.get(reason, 0) for reason in SKIPPED),
        "rejected": run.counts.get(Outcome.REJECTED, 0),
        "need attention": run.needs_attention,
    }
    return {name: count for name, count in counts.items() if count}


def rejected(visit: Visit) -> Response:
    """Show the orders that could not be read, with the reason."""
    found = list_rejected(visit.site.engine)
    return visit.page("rejected.html", rows=found[:LISTED], count=len(found))
