"""Deploying loses no run that falls due meanwhile, and plans the next ones at once."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest
from prefect.client.orchestration import PrefectClient, get_client
from prefect.client.schemas.actions import DeploymentScheduleCreate, WorkPoolCreate
from prefect.client.schemas.filters import DeploymentFilter, DeploymentFilterId
from prefect.client.schemas.objects import FlowRun, State
from prefect.client.schemas.schedules import CronSchedule
from prefect.states import Completed, Running, Scheduled

from deployments.stack.planning import WORK_POOL, plan_runs
from tasks.prefect_api import schedules
from tasks.prefect_api.schedules import NOTHING_TO_DO, drop_idle_runs

NOW = datetime.now(UTC)
NAME = "planned-"


@pytest.fixture(autouse=True)
def _nothing_is_left_deployed() -> Iterator[None]:
    """Remove the deployments: other tests of this server look at what is planned."""
    yield
    asyncio.run(_remove_deployments())


async def _remove_deployments() -> None:
    async with get_client() as client:
        for deployment in await client.read_deployments():
            if deployment.name.startswith(NAME):
                await client.delete_deployment(deployment.id)


async def _deployment(client: PrefectClient, *, active: bool = True) -> tuple[UUID, UUID]:
    """Make a deployment with a schedule, of a flow of its own; return the flow's id and its own."""
    await client.create_work_pool(WorkPoolCreate(name=WORK_POOL, type="process"), overwrite=True)
    name = f"{NAME}{uuid4()}"
    flow = await client.create_flow_from_name(name)
    schedule = DeploymentScheduleCreate(
        schedule=CronSchedule(cron="0 3 * * *", timezone="UTC"), active=active
    )
    deployment = await client.create_deployment(
        flow_id=flow, name=name, work_pool_name=WORK_POOL, schedules=[schedule]
    )
    return flow, deployment


async def _runs(client: PrefectClient, deployment: UUID) -> Sequence[FlowRun]:
    return await client.read_flow_runs(
        deployment_filter=DeploymentFilter(id=DeploymentFilterId(any_=[deployment]))
    )


def _due(flow: UUID, deployment: UUID, ago: timedelta) -> FlowRun:
    return FlowRun(flow_id=flow, deployment_id=deployment, expected_start_time=NOW - ago)


def test_each_schedule_has_its_next_run_at_once() -> None:
    async def walk() -> None:
        async with get_client() as client:
            _, deployment = await _deployment(client)
            assert await _runs(client, deployment) == []
            await plan_runs([])
            planned = await _runs(client, deployment)
            assert planned
            assert all(run.auto_scheduled and (run.expected_start_time or NOW) > NOW for run in planned)
            await plan_runs([])
            assert len(await _runs(client, deployment)) == len(planned)

    asyncio.run(walk())


def test_for_the_runs_that_deploying_swallowed_one_is_started() -> None:
    async def walk() -> None:
        async with get_client() as client:
            flow, deployment = await _deployment(client)
            gone = [_due(flow, deployment, timedelta(minutes=minutes)) for minutes in (2, 1)]
            await plan_runs([*gone, _due(flow, deployment, -timedelta(minutes=5))])
            made_up = [run for run in await _runs(client, deployment) if not run.auto_scheduled]
            assert len(made_up) == 1
            assert made_up[0].name.startswith("made up")

    asyncio.run(walk())


def test_a_run_that_is_still_there_is_enough() -> None:
    async def walk() -> None:
        async with get_client() as client:
            flow, deployment = await _deployment(client)
            late = await client.create_flow_run_from_deployment(
                deployment, state=Scheduled(scheduled_time=NOW - timedelta(minutes=1))
            )
            await plan_runs([late, _due(flow, deployment, timedelta(minutes=1))])
            assert [run.id for run in await _runs(client, deployment) if not run.auto_scheduled] == [late.id]

    asyncio.run(walk())


def test_nothing_is_made_up_for_a_schedule_that_is_off() -> None:
    async def walk() -> None:
        async with get_client() as client:
            flow, deployment = await _deployment(client, active=False)
            await plan_runs([_due(flow, deployment, timedelta(minutes=1))])
            assert await _runs(client, deployment) == []

    asyncio.run(walk())


def test_scheduled_runs_that_had_nothing_to_do_leave_the_list(monkeypatch: pytest.MonkeyPatch) -> None:
    async def walk() -> None:
        async with get_client() as client:
            _, deployment = await _deployment(client)
            await plan_runs([])
            idle, busy, now, *_ = planned = await _runs(client, deployment)
            by_hand = await client.create_flow_run_from_deployment(deployment)
            states: list[tuple[FlowRun, State[None]]] = [
                (idle, Completed(name=NOTHING_TO_DO)),
                (by_hand, Completed(name=NOTHING_TO_DO)),
                (busy, Completed()),
                (now, Running()),
            ]
            for run, state in states:
                await client.set_flow_run_state(run.id, state, force=True)
            monkeypatch.setattr(schedules, "scheduled_run", lambda: now)
            assert [await drop_idle_runs(), await drop_idle_runs()] == [1, 0]
            left = {run.id for run in await _runs(client, deployment)}
            assert left == {run.id for run in planned} - {idle.id} | {by_hand.id}

    asyncio.run(walk())
