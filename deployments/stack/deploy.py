"""Tell a Prefect server what we run: work pool, deployments, block form, and the watch on dead runs."""

from __future__ import annotations

import shlex
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from typing import Any

from prefect.automations import Automation
from prefect.blocks.core import Block
from prefect.client.orchestration import PrefectClient, get_client
from prefect.client.schemas.actions import WorkPoolCreate
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
from prefect.events.actions import ChangeFlowRunState
from prefect.events.schemas.automations import EventTrigger, Posture
from prefect.events.schemas.events import ResourceSpecification
from prefect.exceptions import ObjectNotFound
from prefect.workers.process import ProcessWorker

from deployments.stack.alerts import (
    complete_alerts,
    save_webhook,
    set_up_alerts,
    tell_what_holds,
    usual_silence,
)
from deployments.stack.environment import ROOT
from models.alerts import AlertWebhook
from models.blocks import Integration
from models.errors import AppError
from models.fulfillers import KINDS
from models.settings import Environment
from tasks.prefect_api.integrations import integration_names

WORK_POOL = "desk"
CHECK = "check-for-new-orders/check-for-new-orders"
DEAD_RUNS = "podos-order-desk: runs whose process died"
SILENCE = timedelta(seconds=90)
"""Three heartbeats of 30 seconds: two would crash healthy runs on a busy machine."""
PLANNING_HORIZON = timedelta(minutes=10)
"""Longer than deploying takes: only runs that fall due meanwhile matter."""
HEARTBEAT = "prefect.flow-run.heartbeat"
NEVER_STARTED_RUNS = "podos-order-desk: runs that never gave a sign of life"
START_GRACE = timedelta(minutes=5)
"""From a worker's taking a run to its first heartbeat: a container may have to be fetched first."""


class SetupError(AppError):
    """The Prefect server could not be set up; the text says why."""


async def set_up_server() -> None:
    """Bring the server of PREFECT_API_URL up to date. Safe to repeat; schedules changed in the UI stay."""
    async with get_client() as client:
        planned = await _planned_runs(client)
    schedules = await _schedules()
    async with get_client() as client:
        pool = WorkPoolCreate(name=WORK_POOL, type=ProcessWorker.type, base_job_template=job_template())
        await client.create_work_pool(pool, overwrite=True)
    _prefect("--no-prompt", "deploy", "--all")
    await _restore(schedules)
    await plan_runs(planned)
    blocks: tuple[type[Block], ...] = (Integration, AlertWebhook, *KINDS.values())
    for block in blocks:
        await block.register_type_and_schema()
    await _watch_for_dead_runs()


async def alerts_go_to() -> str | None:
    """Complete the alerts, set up from DESK_ALERT_WEBHOOK if need be; return where they go, None: nowhere."""
    silence = await usual_silence()
    address = Environment().desk_alert_webhook
    if address and await set_up_alerts(await save_webhook(address), silence):
        await tell_what_holds()
    return await complete_alerts(silence)


def job_template() -> dict[str, Any]:
    """Return how the pool's workers start a run: with this very Python, at once.

    Without a command of its own, Prefect's process worker starts Python twice for each run: a supervisor that
    looks for the code, and then the run. Each start costs about two seconds of a core.
    """
    template = ProcessWorker.get_default_base_job_template()
    command = shlex.join([sys.executable, "-m", "prefect.engine"])
    template["variables"]["properties"]["command"]["default"] = command
    return template


def _prefect(*arguments: str) -> None:
    command = [sys.executable, "-m", "prefect", *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)  # noqa: S603 - our own words
    if done.returncode != 0:
        lines = (done.stderr or done.stdout).strip().splitlines()
        raise SetupError(f"prefect {' '.join(arguments)} failed: {lines[-1] if lines else 'no message'}")


async def _schedules() -> dict[str, DeploymentResponse]:
    """Return the deployments that the server has by now: a person may have changed their schedules."""
    async with get_client() as client:
        return {
            str(deployment.name): deployment
            for deployment in await client.read_deployments()
            if deployment.work_pool_name == WORK_POOL
        }


async def _restore(before: dict[str, DeploymentResponse]) -> None:
    async with get_client() as client:
        for deployment in await client.read_deployments():
            if earlier := before.get(str(deployment.name)):
                await _put_back(client, deployment, earlier)


async def _put_back(client: PrefectClient, now: DeploymentResponse, earlier: DeploymentResponse) -> None:
    """Undo what deploying changed: a person's schedules, their parameters, pause or deletion stay."""
    by_slug = {schedule.slug: schedule for schedule in earlier.schedules if schedule.slug}
    lost = {schedule.id: schedule for schedule in earlier.schedules}
    for schedule in now.schedules:
        before = by_slug.get(schedule.slug or "") or lost.get(schedule.id)
        if before is None:
            await client.delete_deployment_schedule(now.id, schedule.id)
            continue
        del lost[before.id]
        await client.update_deployment_schedule(
            now.id,
            schedule.id,
            active=before.active,
            schedule=before.schedule,
            parameters=before.parameters,
            slug=before.slug,
        )
    if lost:
        await client.create_deployment_schedules(
            now.id, [(schedule.schedule, schedule.active) for schedule in lost.values()]
        )
    if earlier.paused:
        await client.pause_deployment(now.id)


async def _planned_runs(client: PrefectClient) -> list[FlowRun]:
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


async def start_check() -> bool:
    """Start a check of all integrations now; return whether there is one to check."""
    if not await integration_names():
        return False
    async with get_client() as client:
        deployment = await client.read_deployment_by_name(CHECK)
        await client.create_flow_run_from_deployment(deployment.id, name="check at the start")
    return True


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


async def _watch_for_dead_runs() -> None:
    """Mark a run as crashed when its heartbeat stops or never begins: its worker died and can't say so."""
    began = {"prefect.flow-run.Pending", "prefect.flow-run.Running"}
    message = "its process died; the next check goes on where it stood"
    await _watch(DEAD_RUNS, {HEARTBEAT}, SILENCE, message)
    await _watch(NEVER_STARTED_RUNS, began, START_GRACE, f"{message} (it never gave a sign of life)")


async def _watch(name: str, after: set[str], within: timedelta, message: str) -> None:
    """Mark a run as crashed that after one of these events neither gives a sign of life nor ends."""
    ended = {f"prefect.flow-run.{state}" for state in ("Completed", "Failed", "Cancelled", "Crashed")}
    automation = Automation(
        name=name,
        description=f"A run without a heartbeat for {within.seconds} seconds is dead: shown as Crashed.",
        trigger=EventTrigger(
            after=after,
            expect={HEARTBEAT, *ended},
            match=ResourceSpecification({"prefect.resource.id": ["prefect.flow-run.*"]}),
            for_each={"prefect.resource.id"},
            posture=Posture.Proactive,
            threshold=1,
            within=within,
        ),
        actions=[ChangeFlowRunState(state=StateType.CRASHED, message=message)],
    )
    try:
        await Automation.aread(name=name)
    except (ObjectNotFound, ValueError):
        await automation.acreate()
