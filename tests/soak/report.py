"""What a soak came to, in Markdown."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping

from tests.soak.soak import Outcome

_SHOWN = 5


def report(outcome: Outcome) -> Iterator[str]:
    """Yield the lines of the report."""
    options, projects = outcome.options, outcome.known["projects"]
    minutes = options.seconds / 60
    yield f"Seed {options.seed}, {minutes:g} minutes of storm. It repeats the plan, not the machine's timing."
    yield ""
    yield from _table(
        "Load", ("desk", "orders", "orders a minute", "requests to podOS", "shipments"), _load(outcome)
    )
    churned: Counter[str] = Counter()
    played: Counter[str] = Counter()
    for known in projects.values():
        churned.update(known["churn"])
        played.update(known["played"])
    yield _counts("Orders that", churned)
    yield _counts("Faults injected", played)
    yield f"podOS's clock jumped {outcome.jumps} times, an hour either way. {_disk(outcome)}"
    yield _counts("Killed with SIGKILL", outcome.kills)
    if outcome.not_there_to_kill:
        yield _counts("Not running when they were to be killed", outcome.not_there_to_kill)
    yield ""
    rows = [(name, sum(found.values()), _counts("", found)) for name, found in outcome.commands.items()]
    yield from _table("Commands", ("command", "runs", "how they ended"), rows)
    yield from _table("Order by order", ("", *outcome.verdicts), _comparison(outcome))
    printer = outcome.known["printer"]
    taken, posts = len(printer["taken"]), printer["posts"]
    yield f"Handed over: {taken} orders by {posts} posts, {len(outcome.sent_twice)} orders twice."
    for line in printer["problems"] + outcome.tracebacks:
        yield f"PROBLEM: {line}"
    yield ""
    yield "Nothing lost." if outcome.is_lossless else "SOMETHING WAS LOST: see above."


def _load(outcome: Outcome) -> Iterator[tuple[object, ...]]:
    for name, verdict in outcome.verdicts.items():
        known = outcome.known["projects"][_project(outcome, name)]
        rate = verdict.orders / (outcome.options.seconds / 60)
        yield name, verdict.orders, f"{rate:.0f}", known["requests"], verdict.shipments


def _project(outcome: Outcome, lane: str) -> str:
    projects: list[str] = list(outcome.known["projects"])
    return projects[list(outcome.verdicts).index(lane)]


def _comparison(outcome: Outcome) -> Iterator[tuple[object, ...]]:
    verdicts = list(outcome.verdicts.values())
    facts = {
        "orders in the desk": "orders",
        "orders that had to be there": "due",
        "rejected as unreadable": "rejected",
        "shipments that the desk was told of": "shipments",
        "of these refunded in podOS, and failed with that reason": "explained",
        "PATCHes repeated without effect": "repeats",
    }
    for words, name in facts.items():
        yield words, *(getattr(verdict, name) for verdict in verdicts)
    for name in verdicts[0].losses:
        yield f"**{name.replace('_', ' ')}**", *(_ids(verdict.losses[name]) for verdict in verdicts)


def _ids(ids: list[str]) -> str:
    return f"{len(ids)}{': ' + ', '.join(ids[:_SHOWN]) if ids else ''}"


def _disk(outcome: Outcome) -> str:
    if outcome.disk_reason:
        return f"The disk was not filled: {outcome.disk_reason}."
    return f"The disk was full for {outcome.disk_full_seconds:.0f} seconds."


def _counts(title: str, counts: Mapping[str, int]) -> str:
    words = ", ".join(f"{name} {count}" for name, count in sorted(counts.items(), key=lambda item: -item[1]))
    return f"{title}: {words}." if title else words


def _table(title: str, head: tuple[str, ...], rows: object) -> Iterator[str]:
    yield f"### {title}"
    yield ""
    yield f"| {' | '.join(head)} |"
    yield f"|{' --- |' * len(head)}"
    for row in rows:  # type: ignore[attr-defined]
        yield f"| {' | '.join(map(str, row))} |"
    yield ""
