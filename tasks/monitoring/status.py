"""Collect what `desk status`, `/health` and the metrics show: the desk and Prefect's schedules."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Engine

from models.watching import Backlog, HealthProblem, Plans, Snapshot, Thresholds, Work, cause_of
from tasks.desk.export import iso
from tasks.monitoring.health import find_problems, late_after, names_of
from tasks.monitoring.store import take_snapshot


@dataclass(frozen=True)
class WorkStatus:
    """Work of one integration or fulfiller; times are aware UTC.

    Attributes:
        last_success_at: when it was last complete, as far as that was noted.
        behind_seconds: of checks: what podOS changed later than so long ago may not be here yet.
        mark_at: of checks: the newest change in podOS that was read.
        next_run_at: None: nothing is planned, or nobody knows.
    """

    work: Work
    name: str
    last_success_at: datetime | None
    behind_seconds: float | None
    mark_at: datetime | None
    next_run_at: datetime | None
    late_after_seconds: float

    def as_dict(self) -> dict[str, Any]:
        """Return the published form (``desk status --json``)."""
        return {
            "work": self.work.value,
            "name": self.name,
            "last_success_at": iso(self.last_success_at),
            "behind_podos_seconds": self.behind_seconds,
            "mark_at": iso(self.mark_at),
            "next_run_at": iso(self.next_run_at),
            "late_after_seconds": self.late_after_seconds,
        }


@dataclass(frozen=True)
class Status:
    """Everything at one moment; ``plans_known``: a Prefect server said what is connected and planned."""

    at: datetime
    work: tuple[WorkStatus, ...]
    backlog: Backlog
    troubles: tuple[HealthProblem, ...]
    plans_known: bool

    @property
    def is_well(self) -> bool:
        """Whether nothing is late, failed or over its threshold."""
        return not self.troubles

    def as_dict(self) -> dict[str, Any]:
        """Return the published form (``desk status --json``)."""
        return {
            "at": iso(self.at),
            "well": self.is_well,
            "troubles": [trouble.as_dict() for trouble in self.troubles],
            "work": [status.as_dict() for status in self.work],
            "counts": vars(self.backlog),
            "plans_known": self.plans_known,
        }


def read_status(engine: Engine, plans: Plans | None, thresholds: Thresholds, *, now: datetime) -> Status:
    """Look at the desk and judge what is found; podOS is not asked. ``now`` is aware.

    Raises:
        DeskError: the desk could not be read.
    """
    return status_of(take_snapshot(engine, now=now), plans, thresholds, now)


def status_of(look: Snapshot, plans: Plans | None, thresholds: Thresholds, now: datetime) -> Status:
    """Put together what was found; ``now`` is aware."""
    return Status(
        at=now,
        work=tuple(_work(look, plans, thresholds, now)),
        backlog=look.backlog,
        troubles=tuple(find_problems(look, plans, thresholds, now)),
        plans_known=plans is not None,
    )


def _work(look: Snapshot, plans: Plans | None, thresholds: Thresholds, now: datetime) -> Iterator[WorkStatus]:
    for work in Work:
        for name in names_of(look, plans, work):
            cause = cause_of(work, name)
            watch, planned = look.watches.get(cause), plans.work.get(cause) if plans else None
            done = look.checks.get(name) if work is Work.CHECK else None
            yield WorkStatus(
                work=work,
                name=name,
                last_success_at=(watch.well_at if watch else None) or (done.ended_at if done else None),
                behind_seconds=round((now - done.began_at).total_seconds(), 3) if done else None,
                mark_at=done.mark_at if done else None,
                next_run_at=planned.next_at if planned else None,
                late_after_seconds=late_after(thresholds, plans, cause).total_seconds(),
            )
