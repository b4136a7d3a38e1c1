"""Collapse late scheduled runs: after an outage one run does the work of all that were due."""

from __future__ import annotations

from contextvars import ContextVar
from datetime import UTC, datetime

from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import (
    DeploymentFilter,
    DeploymentFilterId,
    FlowRunFilter,
    FlowRunFilterExpectedStartTime,
    FlowRunFilterState,
    FlowRunFilterStateType,
)
from prefect.client.schemas.objects import FlowRun, StateType
from prefect.context import FlowRunContext
from prefect.states import Cancelled

_scheduled: ContextVar[FlowRun | None] = ContextVar("scheduled", default=None)


def scheduled_run() -> FlowRun | None:
    """Return the flow run that goes on, or the one above it, if the schedule made it and not a person."""
    context = FlowRunContext.get()
    run = context.flow_run if context else None
    if run and run.auto_scheduled:
        _scheduled.set(run)
    return _scheduled.get()


def due_at() -> datetime | None:
    """Return when the scheduled run that goes on was due (aware UTC), None for one that a person started."""
    run = scheduled_run()
    return run.expected_start_time if run else None


async def drop_late_runs() -> int:
    """Cancel the other scheduled runs of this deployment that are overdue; return how many.

    What this run does covers them. Safe to repeat, and beside a worker that begins one of them meanwhile:
    such a run finds itself covered (``CoveredError``) or the lease held.
    """
    run = scheduled_run()
    if run is None or run.deployment_id is None:
        return 0
    async with get_client() as client:
        late = await client.read_flow_runs(
            deployment_filter=DeploymentFilter(id=DeploymentFilterId(any_=[run.deployment_id])),
            flow_run_filter=FlowRunFilter(
                state=FlowRunFilterState(type=FlowRunFilterStateType(any_=[StateType.SCHEDULED])),
                expected_start_time=FlowRunFilterExpectedStartTime(before_=datetime.now(UTC)),
            ),
        )
        others = [other for other in late if other.id != run.id and other.auto_scheduled]
        for other in others:
            await client.set_flow_run_state(other.id, Cancelled(message=f"run {run.name} covers it"))
    return len(others)
