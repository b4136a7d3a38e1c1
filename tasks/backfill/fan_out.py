"""Run the windows of a backfill on the work pool and monitor them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from uuid import UUID

from prefect import task
from prefect.artifacts import acreate_progress_artifact, aupdate_progress_artifact
from prefect.cache_policies import NO_CACHE
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import (
    FlowRunFilter,
    FlowRunFilterId,
    WorkerFilter,
    WorkerFilterStatus,
)
from prefect.client.schemas.objects import FlowRun, WorkerStatus
from prefect.context import FlowRunContext
from prefect.deployments import arun_deployment
from prefect.exceptions import ObjectNotFound
from prefect.states import Cancelling
from sqlalchemy import Engine

from models.reports import ImportReport, Outcome
from models.tables.runs import WindowState
from tasks.backfill.store import WindowRecord, begun_at, hand_out, window_failed
from tasks.desk.sql import chunks
from tasks.prefect_api.foreign_errors import in_own_words
from tasks.prefect_api.integrations import IntegrationError
from tasks.text_cells import markdown_cell

WINDOW_DEPLOYMENT = "import-window/import-window"
WORK_POOL = "desk"


class NoWorkersError(IntegrationError):
    """Nobody would do the windows."""


async def check_workers() -> None:
    """Make sure that the server knows the window's deployment and a worker is there to run it.

    Raises:
        NoWorkersError: it does not, or there is none.
    """
    async with get_client() as client:
        try:
            deployment = await client.read_deployment_by_name(WINDOW_DEPLOYMENT)
            online = await client.read_workers_for_work_pool(
                deployment.work_pool_name or WORK_POOL,
                worker_filter=WorkerFilter(status=WorkerFilterStatus(any_=[WorkerStatus.ONLINE])),
            )
        except ObjectNotFound:
            raise NoWorkersError(
                "the Prefect server does not know the deployment import-window: set PREFECT_API_URL to the "
                "server that `desk up` runs, or deploy to yours with: desk deploy"
            ) from None
    if not online:
        raise NoWorkersError(
            f"no worker is at work on the pool {WORK_POOL}: start one with: "
            f"prefect worker start --pool {WORK_POOL}"
        )


@task(name="hand out", task_run_name="hand out window {window.number}", cache_policy=NO_CACHE)
@in_own_words
async def hand_out_window(engine: Engine, backfill_id: int, window: WindowRecord) -> UUID:
    """Start a flow run for a window and note it in the desk; it runs when a worker is free.

    Safe to repeat until the desk has noted it; after that it starts another attempt.
    """
    run = await arun_deployment(
        WINDOW_DEPLOYMENT,
        parameters={"backfill": backfill_id, "window": window.number},
        flow_run_name=f"backfill {backfill_id} window {window.number}",
        timeout=0,
        as_subflow=False,
        # Killed before the desk knew of it, the next attempt finds this very run instead of making another.
        idempotency_key=f"{begun_at(engine, backfill_id)}-{backfill_id}-{window.number}-{window.attempts}",
    )
    hand_out(engine, backfill_id, window.number, str(run.id))
    return run.id


async def still_running(windows: Iterable[WindowRecord]) -> set[int]:
    """Return the numbers of those windows whose flow run waits or works."""
    by_run = {UUID(window.flow_run_id): window.number for window in windows if window.flow_run_id}
    runs = await _runs(list(by_run))
    return {by_run[run.id] for run in runs if run.state is None or not run.state.is_final()}


async def cancel_runs(windows: Iterable[WindowRecord]) -> None:
    """Cancel the flow runs of windows; those that have ended stay as they are. Safe to repeat."""
    runs = await _runs([UUID(window.flow_run_id) for window in windows if window.flow_run_id])
    async with get_client() as client:
        for run in runs:
            if run.state is None or not run.state.is_final():
                await client.set_flow_run_state(run.id, Cancelling(message="its backfill was cancelled"))


async def record_crashed_windows(
    engine: Engine, backfill_id: int, windows: Sequence[WindowRecord]
) -> set[int]:
    """Mark windows as failed whose flow run has ended without a word in the desk.

    Returns the numbers of those whose process died: nobody cancelled them.
    """
    dead = set()
    running = [window for window in windows if window.state == WindowState.RUNNING]
    runs = {
        run.id: run
        for run in await _runs([UUID(window.flow_run_id) for window in running if window.flow_run_id])
    }
    for window in running:
        run = runs.get(UUID(window.flow_run_id)) if window.flow_run_id else None
        if run is None:
            how = "is gone"
        elif run.state is not None and run.state.is_final():
            how = f"ended as {(run.state.name or 'ended').lower()}"
        else:
            continue
        window_failed(engine, backfill_id, window.number, f"its flow run {how}")
        if run is None or run.state is None or run.state.is_crashed():
            dead.add(window.number)
    return dead


async def _runs(ids: list[UUID]) -> list[FlowRun]:
    if not ids:
        return []
    async with get_client() as client:
        found: list[FlowRun] = []
        for part in chunks(ids, 200):
            wanted = FlowRunFilter(id=FlowRunFilterId(any_=part))
            found += await client.read_flow_runs(flow_run_filter=wanted)
    return found


class Progress:
    """The artifact that moves; outside of a flow run there is nowhere to put it."""

    def __init__(self) -> None:
        self._artifact: UUID | None = None
        self._shown = -1.0

    async def show(self, windows: Sequence[WindowRecord], name: str) -> None:
        """Tell how much is done."""
        if FlowRunContext.get() is None:
            return
        percent = 100.0 * sum(window.state == WindowState.DONE for window in windows) / max(len(windows), 1)
        if percent == self._shown:
            return
        self._shown = percent
        if self._artifact is None:
            self._artifact = await acreate_progress_artifact(
                percent,
                key=f"backfill-progress-{name}",
                description=markdown_cell(f"windows of the backfill of {name} that are done"),
            )
        else:
            await aupdate_progress_artifact(self._artifact, percent)


def added_up(report: ImportReport, windows: Iterable[WindowRecord]) -> ImportReport:
    """Return a report with the counts of all windows added up. Windows do not overlap: neither do counts."""
    total = ImportReport(report.integration, report.kind, report.dry_run, report.run_id)
    total.since, total.until, total.seconds = report.since, report.until, report.seconds
    for window in windows:
        total.needs_attention += window.needs_attention
        for outcome in Outcome:
            total.counts[outcome] += window.counts.get(outcome.value, 0)
    return total
