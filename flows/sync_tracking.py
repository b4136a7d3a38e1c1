"""Send tracking back to podOS and mark orders complete, of one integration or of all."""

from __future__ import annotations

import logging
import time
from collections.abc import Collection
from contextlib import suppress
from dataclasses import asdict
from datetime import UTC, datetime
from functools import partial

from prefect import flow
from prefect.client.schemas.objects import State
from prefect.runtime import flow_run
from sqlalchemy import Engine

from flows.runs import close_delivery, final_state, name_of_delivery, recorded, run_each, run_name
from models.blocks import Integration
from models.production import ProductionReport
from models.settings import Environment
from models.shipments import SyncReport
from models.watching import Work
from tasks.delivery.engine import LONGEST_WAIT_SECONDS
from tasks.desk.engine import opened_desk
from tasks.desk.errors import DeskError
from tasks.desk.leases import HeldLease
from tasks.desk.runs import start_run
from tasks.monitoring.record import watched
from tasks.podos.client import PodosClient
from tasks.prefect_api.foreign_errors import in_own_words
from tasks.prefect_api.integrations import integration_names, load_integration, switch_off_production
from tasks.prefect_api.pacing import open_podos
from tasks.prefect_api.schedules import drop_idle_runs, drop_late_runs
from tasks.production.send import ProductionRun, send_production
from tasks.production.store import take_due as statuses_due
from tasks.rules.apply import look_at_what_happened
from tasks.tracking.queue import count_waiting, fail_orphans, take_due
from tasks.tracking.report import publish_sync_report
from tasks.tracking.send import postpone_rest, send_tracking
from tasks.tracking.sync_run import SyncRun

logger = logging.getLogger(__name__)


@flow(name="sync-tracking", flow_run_name=run_name("sync", "integration"))
@in_own_words
async def sync_tracking(integration: str = "") -> State[None]:
    """Send the tracking of shipped orders to podOS and mark them complete.

    Args:
        integration: The integration whose shipments are sent. Empty: all that are connected.
    """
    await drop_late_runs()
    await drop_idle_runs()
    known = await integration_names()
    if integration:
        return await _sync_one(integration, known)
    return await run_each(known, partial(_sync_one, known=known))


async def _sync_one(name: str, known: Collection[str]) -> State[None]:
    async def run() -> SyncReport:
        return await sync(name, await load_integration(name))

    return await watched(Work.SYNC, name, final_state(run(), name_of=name_of_delivery), known=known)


async def sync(name: str, integration: Integration) -> SyncReport:
    """Send what waits of one integration; without anything due, podOS is not asked at all.

    Raises:
        LeaseHeldError: another sync of it is at work.
        PodosError, DeskError: the run failed; what was sent is recorded, the rest still waits.

    Safe to repeat.
    """
    settings = integration.sync_settings(name)
    production = integration.production_settings(name)
    report = SyncReport(
        name, is_off=not settings.is_on, production=ProductionReport(name) if production.is_on else None
    )
    started = time.monotonic()
    with opened_desk(Environment().database_url()) as engine:
        await look_at_what_happened(engine)  # shipments can come by SQL
        try:
            fail_orphans(engine)
            now = datetime.now(UTC)
            has_tracking = settings.is_on and bool(take_due(engine, name, now=now, limit=1))
            if has_tracking or (production.is_on and statuses_due(engine, name, now=now, limit=1)):
                await _send(engine, name, integration, report)
        finally:
            with suppress(DeskError):
                waiting = count_waiting(engine, name)
                close_delivery(engine, report, "sync of", waiting=waiting, started=started)
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
        report.run_id = start_run(
            engine,
            name,
            project=settings.project,
            kind="sync",
            lease_name=lease_name,
            started_at=datetime.now(UTC),
            settings=asdict(settings),
            flow_run_id=flow_run.id,
        )
        async with client, recorded(engine, report.run_id):
            if settings.is_on:
                await _send_all(client, run)
            if report.production and not run.halted:
                await _send_production(client, integration, lease, engine, report.production)


async def _send_all(client: PodosClient, run: SyncRun) -> None:
    number = 1
    while not run.halted and await send_tracking(client, run, number):
        number += 1
    postpone_rest(run)
    if run.halted and run.halted.status is None:
        raise run.halted  # podOS could not be reached: that is worth a failed run


async def _send_production(
    client: PodosClient, integration: Integration, lease: HeldLease, engine: Engine, report: ProductionReport
) -> None:
    """Send statuses of production; where podOS takes none of them, switch that off and log it once."""
    settings = integration.production_settings(report.name)
    report.would_send = 0 if settings.read_only else None
    await send_production(client, ProductionRun(engine, settings, report, lease=lease))
    if report.refused:
        await switch_off_production(report.name)
        logger.warning("%s: %s", report.name, report.refused)
