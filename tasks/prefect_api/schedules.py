"""Keep the list of scheduled runs short: late ones collapse into one, and idle ones are deleted."""

from __future__ import annotations

from contextlib import suppress
from contextvars import ContextVar
from datetime import UTC, datetime

from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import (
    DeploymentFilter,
    DeploymentFilterId,
    FlowRunFilter,
    FlowRunFilterExpectedStartTime,
    FlowRunFilterState,
    FlowRunFilterStateName,
    FlowRunFilterStateType,
)
from prefect.client.schemas.objects import FlowRun, StateType
from prefect.context import FlowRunContext
from prefect.exceptions import ObjectNotFound
from prefect.states import Cancelled

NOTHING_TO_DO = "Nothing to do"
"""The name of the state of a run that found nothing to do."""

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


async def drop_idle_runs() -> int:
    """Delete the earlier scheduled runs of this deployment that had nothing to do; return how many.

    A list of runs that fills with them every few minutes shows nothing else. Runs that a person started stay.
    Safe to repeat.
    """
    run = scheduled_run()
    if run is None or run.deployment_id is None:
        return 0
    async with get_client() as client:
        idle = await client.read_flow_runs(
            deployment_filter=DeploymentFilter(id=DeploymentFilterId(any_=[run.deployment_id])),
            flow_run_filter=FlowRunFilter(
                state=FlowRunFilterState(
                    type=FlowRunFilterStateType(any_=[StateType.COMPLETED]),
                    name=FlowRunFilterStateName(any_=[NOTHING_TO_DO]),
                ),
            ),
        )
        others = [other for other in idle if other.id != run.id and other.auto_scheduled]
        for other in others:
            with suppress(ObjectNotFound):  # another run was quicker
                await client.delete_flow_run(other.id)
    return len(others)


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
