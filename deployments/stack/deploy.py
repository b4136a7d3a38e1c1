"""Tell a Prefect server what we run: work pool, deployments, block form, and the watch on dead runs."""

from __future__ import annotations

import shlex
import subprocess
import sys
from datetime import timedelta
from typing import Any

from prefect.automations import Automation
from prefect.blocks.core import Block
from prefect.client.orchestration import PrefectClient, get_client
from prefect.client.schemas.actions import WorkPoolCreate
from prefect.client.schemas.objects import StateType
from prefect.client.schemas.responses import DeploymentResponse
from prefect.events.actions import ChangeFlowRunState
from prefect.events.schemas.automations import EventTrigger, Posture
from prefect.events.schemas.events import ResourceSpecification
from prefect.exceptions import ObjectNotFound
from prefect.workers.process import ProcessWorker

from deployments.stack.alerts import (
    complete_alerts,
    save_webhook,
    set_up_alerts,
    usual_silence,
)
from deployments.stack.environment import ROOT
from deployments.stack.planning import WORK_POOL, plan_runs, planned_runs
from models.alerts import AlertWebhook
from models.blocks import Integration
from models.errors import AppError
from models.fulfillers import KINDS
from models.settings import Environment

DEAD_RUNS = "podos-order-desk: runs whose process died"
SILENCE = timedelta(seconds=90)
"""Three heartbeats of 30 seconds: two would crash healthy runs on a busy machine."""
HEARTBEAT = "prefect.flow-run.heartbeat"
NEVER_STARTED_RUNS = "podos-order-desk: runs that never gave a sign of life"
START_GRACE = timedelta(minutes=5)
"""From a worker's taking a run to its first heartbeat: a container may have to be fetched first."""


class SetupError(AppError):
    """The Prefect server could not be set up; the text says why."""


async def set_up_server() -> None:
    """Bring the server of PREFECT_API_URL up to date. Safe to repeat; schedules changed in the UI stay."""
    async with get_client() as client:
        planned = await planned_runs(client)
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
    if address:
        await set_up_alerts(await save_webhook(address), silence)
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
