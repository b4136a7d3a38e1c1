"""Send tracking back to podOS and mark orders complete, of one integration or of all."""

from __future__ import annotations

import logging
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from contextvars import ContextVar
from datetime import UTC, datetime

from prefect import flow
from prefect.client.schemas.objects import State
from prefect.runtime import flow_run
from prefect.states import Completed, Failed
from sqlalchemy import Engine

from flows.runs import for_each
from models.blocks import Integration
from models.desk import OutboxState, RunState
from models.errors import AppError
from models.settings import Environment
from models.shipments import SyncReport, SyncSettings
from models.watching import Work
from tasks.desk.engine import opened_desk, writing
from tasks.desk.errors import DeskError
from tasks.desk.leases import HeldLease, LeaseHeldError
from tasks.desk.runs import finish_run
from tasks.desk.sync_runs import begin_sync_run, record_sync_progress
from tasks.imports.report import reason_of
from tasks.monitoring.record import SKIPPED, watched
from tasks.prefect_api.foreign_errors import in_own_words
from tasks.prefect_api.integrations import integration_names, load_integration
from tasks.prefect_api.pacing import open_podos
from tasks.prefect_api.schedules import drop_late_runs
from tasks.rules.apply import look_at_what_happened
from tasks.tracking.queue import count_waiting, fail_orphans, take_due
from tasks.tracking.report import publish_sync_report
from tasks.tracking.send import LONGEST_WAIT_SECONDS, postpone_rest, send_tracking
from tasks.tracking.sync_run import SyncRun

logger = logging.getLogger(__name__)


class SyncWatcher:
    """Follows a sync in this process, for the command line: its report, and the error that ended it."""

    def __init__(self) -> None:
        self.report: SyncReport | None = None
        self.error: Exception | None = None


watching_sync: ContextVar[SyncWatcher | None] = ContextVar("watching_sync", default=None)


def _run_name() -> str:
    name = flow_run.parameters.get("integration") or "all"
    return f"sync {name} {datetime.now(UTC):%Y-%m-%d %H:%M}"


@flow(name="sync-tracking", flow_run_name=_run_name)
@in_own_words
async def sync_tracking(integration: str = "") -> State[None]:
    """Send the tracking of shipped orders to podOS and mark them complete.

    Args:
        integration: The integration whose shipments are sent. Empty: all that are connected.
    """
    await drop_late_runs()
    if integration:
        return await watched(Work.SYNC, integration, _sync_one(integration))
    names = await integration_names()
    if not names:
        return Completed(message="no integration is connected yet: desk connect NAME --project P")
    states = await for_each(names, lambda name: watched(Work.SYNC, name, _sync_one(name)))
    words = "; ".join(f"{name}: {state.message}" for name, state in states.items())
    if all(state.is_completed() for state in states.values()):
        return Completed(message=words)
    return Failed(message=words)


async def _sync_one(name: str) -> State[None]:
    try:
        report = await sync(name, await load_integration(name))
    except AppError as error:
        if watcher := watching_sync.get():
            watcher.error = error
        if isinstance(error, LeaseHeldError):
            return Completed(name=SKIPPED, message=str(error))
        return Failed(message=str(error))
    return Completed(message=report.one_line())


async def sync(name: str, integration: Integration) -> SyncReport:
    """Send what waits of one integration; without anything due, podOS is not asked at all.

    Raises:
        LeaseHeldError: another sync of it is at work.
        PodosError, DeskError: the run failed; what was sent is recorded, the rest still waits.

    Safe to repeat.
    """
    settings = integration.sync_settings(name)
    report = SyncReport(name, is_off=not settings.is_on)
    started = time.monotonic()
    with opened_desk(Environment().database_url()) as engine:
        await look_at_what_happened(engine)  # shipments can come by SQL
        try:
            fail_orphans(engine)
            if settings.is_on and take_due(engine, name, now=datetime.now(UTC), limit=1):
                await _send(engine, name, integration, report)
        finally:
            with suppress(DeskError):
                _close(engine, report, time.monotonic() - started)
            await publish_sync_report(report)
        rules = await look_at_what_happened(engine)  # at the orders that moved because they shipped
    rules.raise_problem()  # tracking does not wait for rules
    return report


async def _send(engine: Engine, name: str, integration: Integration, report: SyncReport) -> None:
    settings = integration.sync_settings(name)
    lease_name = f"sync:{name}"
    with HeldLease(engine, lease_name) as lease:
        report.would_send = 0 if settings.read_only else None
        run = SyncRun(engine, settings, report, lease=lease)
        client = open_podos(engine, name, integration, longest_pause_seconds=LONGEST_WAIT_SECONDS)
        async with client, _recorded(engine, settings, report, lease_name):
            number = 1
            while not run.halted and await send_tracking(client, run, number):
                number += 1
            postpone_rest(run)
            if run.halted and run.halted.status is None:
                raise run.halted  # podOS could not be reached: that is worth a failed run


def _close(engine: Engine, report: SyncReport, seconds: float) -> None:
    """Bring the report to what the desk says at the end, and tell it."""
    report.counts[OutboxState.WAITING] = count_waiting(engine, report.integration)
    report.seconds = seconds
    if report.run_id is not None:
        with writing(engine) as connection:
            record_sync_progress(connection, report)
    logger.info("sync of %s: %s", report.integration, report.one_line())
    if watcher := watching_sync.get():
        watcher.report = report


@asynccontextmanager
async def _recorded(
    engine: Engine, settings: SyncSettings, report: SyncReport, lease_name: str
) -> AsyncIterator[None]:
    """Keep the desk's own row of a sync: begun, and how it ended, whatever ends it."""
    report.run_id = begin_sync_run(
        engine, settings, lease_name=lease_name, flow_run_id=flow_run.id, now=datetime.now(UTC)
    )
    try:
        yield
    except BaseException as error:
        state = RunState.FAILED if isinstance(error, Exception) else RunState.CRASHED
        with suppress(DeskError):  # the error that ended the run says more
            finish_run(engine, report.run_id, state, now=datetime.now(UTC), error=reason_of(error))
        raise
    finish_run(engine, report.run_id, RunState.COMPLETED, now=datetime.now(UTC))
