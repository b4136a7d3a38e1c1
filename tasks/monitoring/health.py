"""Find problems in a snapshot of the desk. Pure: no database, no Prefect, no clock."""

from __future__ import annotations

from datetime import datetime, timedelta

from models.watching import (
    Backlog,
    BacklogKind,
    HealthProblem,
    Plans,
    Snapshot,
    Thresholds,
    Work,
    cause_of,
    work_of,
)

INTERVALS = 3
"""So many intervals may pass without a complete run: one can fail, one be late."""
USUAL_INTERVAL = timedelta(minutes=15)
"""Of checks, where no Prefect server says what the schedule is."""
DIED = "its process died; the next run goes on where it stood"
NOTHING_KNOWN = (
    "no check has ever been complete, and no Prefect server says what is connected: "
    "start desk up, or set PREFECT_API_URL"
)
MAX_REASON_LENGTH = 300
_WORDS = {
    BacklogKind.NEEDS_ATTENTION: ("orders in Needs Attention", "desk orders --folder 'Needs Attention'"),
    BacklogKind.SHIPMENTS_FAILED: ("shipments that did not reach podOS", "desk shipments --failed"),
    BacklogKind.HANDOVERS_FAILED: ("orders that could not be handed over", "desk outbox --failed"),
    BacklogKind.REJECTED: ("orders that could not be read", "desk rejected"),
}
_NAMES = {Work.CHECK: "the check of", Work.SYNC: "the sync of", Work.SEND: "sending to"}


def too_high(backlog: Backlog, thresholds: Thresholds) -> dict[str, str]:
    """Return the piles that are over their threshold, with a sentence for each."""
    found = {}
    for pile, (words, command) in _WORDS.items():
        limit = thresholds.attention_over if pile is BacklogKind.NEEDS_ATTENTION else thresholds.failed_over
        if (size := backlog.of(pile)) > limit:
            found[pile.value] = f"{words}: {size} (over {limit}); see: {command}"
    return found


def deaths(look: Snapshot) -> dict[str, str]:
    """Return the work whose newest run died and was not well since, with a sentence for each."""
    return {
        cause: DIED
        for cause, began in look.died.items()
        if (well_at := look.watches[cause].well_at) is None or well_at < began
    }


def late_after(thresholds: Thresholds, plans: Plans | None, cause: str) -> timedelta:
    """Return how long the last complete run may be over."""
    planned = plans.work.get(cause) if plans else None
    interval = planned.interval if planned and planned.interval else USUAL_INTERVAL
    return thresholds.late_after or INTERVALS * interval


def names_of(look: Snapshot, plans: Plans | None, work: Work) -> list[str]:
    """Return whose work is watched over: of who is connected, else of all that the desk knows."""
    if plans:
        return sorted(plans.names(work))
    known = {found[1] for cause in look.watches if (found := work_of(cause)) and found[0] is work}
    return sorted(known | set(look.checks)) if work is Work.CHECK else sorted(known)


def find_problems(
    look: Snapshot, plans: Plans | None, thresholds: Thresholds, now: datetime
) -> list[HealthProblem]:
    """Return everything that is not well.

    Args:
        look: at the desk.
        plans: of the Prefect server, None where it could not be asked.
        thresholds: from when on something is not well.
        now: aware.
    """
    found = [
        trouble
        for work in Work
        for name in names_of(look, plans, work)
        if (trouble := _find_problem(work, name, look, plans, thresholds, now))
    ]
    if plans is None and not names_of(look, plans, Work.CHECK):
        found.append(HealthProblem(Work.CHECK.value, None, NOTHING_KNOWN))
    for cause, words in too_high(look.backlog, thresholds).items():
        watch = look.watches.get(cause)
        found.append(HealthProblem(cause, watch.trouble_at if watch else None, words))
    return found


def _find_problem(
    work: Work, name: str, look: Snapshot, plans: Plans | None, thresholds: Thresholds, now: datetime
) -> HealthProblem | None:
    cause, who = cause_of(work, name), f"{_NAMES[work]} {name}"
    watch = look.watches.get(cause)
    if watch and watch.trouble_at:
        return HealthProblem(cause, watch.trouble_at, f"{who} fails: {watch.reason}")
    if died := deaths(look).get(cause):
        return HealthProblem(cause, look.died[cause], f"{who} failed: {died}")
    if work is Work.CHECK:
        last = look.checks[name].began_at if name in look.checks else None
    else:
        last = watch.well_at if watch else None
        if last is None or plans is None or cause not in plans.work:
            return None  # nobody knows that it should have run
    limit = late_after(thresholds, plans, cause)
    if last is None:
        return HealthProblem(cause, None, f"{who} has not been complete yet")
    if now - last > limit:
        return HealthProblem(
            cause, last, f"{who} was last complete {spell(now - last)} ago, {spell(limit)} are allowed"
        )
    return None


def spell(span: timedelta) -> str:
    """Return a span of time for a person, in its two largest units."""
    seconds = max(0, round(span.total_seconds()))
    units = (
        (seconds // 86_400, "d"),
        (seconds // 3600 % 24, "h"),
        (seconds // 60 % 60, "min"),
        (seconds % 60, "s"),
    )
    first = next((place for place, (count, _) in enumerate(units) if count), len(units) - 1)
    return " ".join(f"{count} {unit}" for count, unit in units[first : first + 2] if count) or "0 s"


def short(reason: str) -> str:
    """Return a reason on one line, cut where it is long."""
    line = " ".join(reason.split())
    return line if len(line) <= MAX_REASON_LENGTH else f"{line[: MAX_REASON_LENGTH - 3]}..."
