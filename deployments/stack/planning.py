"""The runs that schedules plan: none is lost while deploying, and when the next check comes."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from prefect.client.orchestration import PrefectClient, get_client
from prefect.client.schemas.filters import (
    DeploymentFilter,
    DeploymentFilterId,
    FlowRunFilter,
    FlowRunFilterExpectedStartTime,
    FlowRunFilterId,
    FlowRunFilterState,
    FlowRunFilterStateType,
    WorkPoolFilter,
    WorkPoolFilterName,
)
from prefect.client.schemas.objects import FlowRun, StateType
from prefect.client.schemas.responses import DeploymentResponse
from prefect.client.schemas.sorting import FlowRunSort

from tasks.prefect_api.foreign_errors import in_own_words

WORK_POOL = "desk"
CHECK = "check-for-new-orders/check-for-new-orders"
PLANNING_HORIZON = timedelta(minutes=10)
"""Longer than deploying takes: only runs that fall due meanwhile matter."""


async def planned_runs(client: PrefectClient) -> list[FlowRun]:
    """Return the runs that the schedules planned and no worker has taken yet, the earliest first."""
    return await client.read_flow_runs(
        flow_run_filter=FlowRunFilter(
            state=FlowRunFilterState(type=FlowRunFilterStateType(any_=[StateType.SCHEDULED])),
            expected_start_time=FlowRunFilterExpectedStartTime(before_=datetime.now(UTC) + PLANNING_HORIZON),
        ),
        work_pool_filter=WorkPoolFilter(name=WorkPoolFilterName(any_=[WORK_POOL])),
        sort=FlowRunSort.EXPECTED_START_TIME_ASC,
    )


async def plan_runs(before: list[FlowRun]) -> None:
    """Plan the next runs of each schedule now, and start one for those that deploying swallowed.

    Deploying deletes the planned runs, and the server plans new ones when it comes to it, from that moment
    on: a run that fell due in between would never start.

    Args:
        before: the runs that were planned before.
    """
    async with get_client() as client:
        for deployment in await client.read_deployments():
            if deployment.work_pool_name == WORK_POOL and not deployment.paused:
                path = {"id": deployment.id}
                await client.request("POST", "/deployments/{id}/schedule", path_params=path, json={})
                if await _is_swallowed(client, deployment, before):
                    await client.create_flow_run_from_deployment(
                        deployment.id, name=f"made up: {deployment.name}"
                    )


async def _is_swallowed(client: PrefectClient, deployment: DeploymentResponse, before: list[FlowRun]) -> bool:
    """Return whether a run of a deployment fell due and is gone, and none is left that does its work."""
    now = datetime.now(UTC)
    due = [
        run.id
        for run in before
        if run.deployment_id == deployment.id and run.expected_start_time and run.expected_start_time <= now
    ]
    if not due or not any(schedule.active for schedule in deployment.schedules):
        return False
    return not await client.read_flow_runs(flow_run_filter=FlowRunFilter(id=FlowRunFilterId(any_=due)))


@in_own_words
async def start_check(name: str) -> None:
    """Start a check of all integrations now, as a run of this name."""
    async with get_client() as client:
        deployment = await client.read_deployment_by_name(CHECK)
        await client.create_flow_run_from_deployment(deployment.id, name=name)


async def next_check_at() -> datetime | None:
    """Return when the schedule starts the next check (aware UTC), None if its schedule is off."""
    async with get_client() as client:
        deployment = await client.read_deployment_by_name(CHECK)
        runs = await client.read_flow_runs(
            deployment_filter=DeploymentFilter(id=DeploymentFilterId(any_=[deployment.id])),
            flow_run_filter=FlowRunFilter(
                state=FlowRunFilterState(type=FlowRunFilterStateType(any_=[StateType.SCHEDULED])),
                expected_start_time=FlowRunFilterExpectedStartTime(after_=datetime.now(UTC)),
            ),
            sort=FlowRunSort.EXPECTED_START_TIME_ASC,
            limit=1,
        )
    return runs[0].expected_start_time if runs else None
