"""What is watched over: the state of every cause for an alert, and what a look at the desk finds."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, NamedTuple


class Work(StrEnum):
    """What runs again and again: for an integration, or for a fulfiller."""

    CHECK = "check"
    SYNC = "sync"
    SEND = "send"


class BacklogKind(StrEnum):
    """What waits for a person."""

    NEEDS_ATTENTION = "needs-attention"
    SHIPMENTS_FAILED = "shipments-failed"
    HANDOVERS_FAILED = "handovers-failed"
    REJECTED = "rejected"


def cause_of(work: Work, name: str) -> str:
    """Return the cause that failing work of an integration or fulfiller is."""
    return f"{work.value}:{name}"


def work_of(cause: str) -> tuple[Work, str] | None:
    """Return the work and the name that a cause is about, None for a pile."""
    work, found, name = cause.partition(":")
    return (Work(work), name) if found else None


_TITLES = {
    Work.CHECK: "The check of",
    Work.SYNC: "The sync of",
    Work.SEND: "Sending to",
}


def title_of(cause: str) -> str:
    """Return what a cause is called where a person reads it: in the subject of an alert."""
    if about := work_of(cause):
        return f"{_TITLES[about[0]]} {about[1]}"
    return {
        BacklogKind.NEEDS_ATTENTION: "Orders need attention",
        BacklogKind.SHIPMENTS_FAILED: "Tracking did not reach podOS",
        BacklogKind.HANDOVERS_FAILED: "Orders could not be handed over",
        BacklogKind.REJECTED: "Orders could not be read",
    }[BacklogKind(cause)]


class Watch(NamedTuple):
    """A row of ``watches``; times are aware UTC."""

    cause: str
    well_at: datetime | None
    trouble_at: datetime | None
    told_at: datetime | None
    reason: str | None


class CheckDone(NamedTuple):
    """The last complete check of an integration: what podOS had when it began is in the desk."""

    began_at: datetime
    ended_at: datetime | None
    mark_at: datetime | None


@dataclass(frozen=True)
class Backlog:
    """How much waits, and for whom; ``held`` are orders that are kept from being sent."""

    shipments_waiting: int = 0
    shipments_failed: int = 0
    handovers_waiting: int = 0
    handovers_failed: int = 0
    production_waiting: int = 0
    production_failed: int = 0
    needs_attention: int = 0
    rejected: int = 0
    held: int = 0

    def of(self, pile: BacklogKind) -> int:
        """Return how much lies on a pile."""
        size: int = getattr(self, pile.value.replace("-", "_"))
        return size


@dataclass(frozen=True)
class Snapshot:
    """One look at the desk.

    Attributes:
        watches: what is watched, by cause.
        checks: the last complete check of each integration.
        died: when the newest run of a cause began, where nobody works on it and it never ended.
        backlog: what waits.
    """

    watches: dict[str, Watch]
    checks: dict[str, CheckDone]
    died: dict[str, datetime]
    backlog: Backlog


class Thresholds(NamedTuple):
    """From when on something is not well.

    Attributes:
        late_after: how long the last complete check may be over; None: three intervals of the schedule.
        attention_over: so many orders may lie in Needs Attention.
        failed_over: so many shipments or handovers may have failed, so many orders be rejected.
    """

    late_after: timedelta | None = None
    attention_over: int = 20
    failed_over: int = 0


class Planned(NamedTuple):
    """When scheduled work comes next; ``interval`` is the longest pause among the runs that are planned."""

    next_at: datetime | None
    interval: timedelta | None


@dataclass(frozen=True)
class Plans:
    """What the Prefect server knows: who is connected, and what comes when."""

    integrations: frozenset[str]
    fulfillers: frozenset[str]
    work: dict[str, Planned]
    """By cause; work without a schedule that is on has none."""

    def names(self, work: Work) -> frozenset[str]:
        """Return whose work there is to do."""
        return self.fulfillers if work is Work.SEND else self.integrations


class HealthProblem(NamedTuple):
    """Something that is not well, since when (aware UTC; None: since ever), and a sentence about it."""

    cause: str
    since: datetime | None
    text: str

    def as_dict(self) -> dict[str, Any]:
        """Return it ready for JSON."""
        return {
            "cause": self.cause,
            "since": self.since.isoformat() if self.since else None,
            "text": self.text,
        }
