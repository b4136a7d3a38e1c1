"""Hand waiting orders over to those who print them, to one fulfiller or to all."""

from __future__ import annotations

import logging
import time
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager, suppress
from contextvars import ContextVar
from datetime import UTC, datetime

from prefect import flow
from prefect.client.schemas.objects import State
from prefect.runtime import flow_run
from prefect.states import Completed, Failed
from sqlalchemy import Engine

from flows.runs import for_each
from models.desk import OutboxState, RunState
from models.errors import AppError
from models.fulfillers import Fulfiller
from models.handovers import SendReport, SendSettings
from models.settings import Environment
from models.watching import Work
from tasks.desk.engine import opened_desk, writing
from tasks.desk.errors import DeskError
from tasks.desk.leases import HeldLease, LeaseHeldError
from tasks.desk.runs import finish_run
from tasks.fulfilment.channels.orderdesk import OrderDesk
from tasks.fulfilment.fulfillers import fulfiller_names, load_fulfiller, open_channel
from tasks.fulfilment.prepare import preparation_for
from tasks.fulfilment.queue import (
    begin_send_run,
    count_waiting,
    fail_orphans,
    record_send_progress,
    take_due,
)
from tasks.fulfilment.report import publish_send_report
from tasks.fulfilment.send import SendRun, count_sendable, hand_over
from tasks.fulfilment.shipments_back import fetch_shipments
from tasks.imports.report import reason_of
from tasks.monitoring.record import SKIPPED, watched
from tasks.prefect_api.foreign_errors import in_own_words
from tasks.prefect_api.schedules import drop_late_runs
from tasks.rules.apply import look_at_what_happened

logger = logging.getLogger(__name__)


class SendWatcher:
    """Follows sending in this process, for the command line: the orders it is about, reports, error."""

    def __init__(self, order_ids: Collection[int] | None = None) -> None:
        self.order_ids = order_ids
        self.reports: list[SendReport] = []
        self.error: Exception | None = None


watching_send: ContextVar[SendWatcher | None] = ContextVar("watching_send", default=None)


def _run_name() -> str:
    name = flow_run.parameters.get("fulfiller") or "all"
    return f"send {name} {datetime.now(UTC):%Y-%m-%d %H:%M}"


@flow(name="send-orders", flow_run_name=_run_name)
@in_own_words
async def send_orders(fulfiller: str = "") -> State[None]:
    """Hand the orders that wait over to those who print them, and bring shipments back.

    Args:
        fulfiller: The fulfiller whose orders are sent. Empty: all that are set up.
    """
    await drop_late_runs()
    if fulfiller:
        return await watched(Work.SEND, fulfiller, _send_one(fulfiller))
    names = await fulfiller_names()
    if not names:
        return Completed(message="no fulfiller is set up yet: desk fulfillers add")
    states = await for_each(names, lambda name: watched(Work.SEND, name, _send_one(name)))
    words = "; ".join(f"{name}: {state.message}" for name, state in states.items())
    if all(state.is_completed() for state in states.values()):
        return Completed(message=words)
    return Failed(message=words)


async def _send_one(name: str) -> State[None]:
    try:
        report = await send(name, await load_fulfiller(name))
    except AppError as error:
        if watcher := watching_send.get():
            watcher.error = error
        if isinstance(error, LeaseHeldError):
            return Completed(name=SKIPPED, message=str(error))
        return Failed(message=str(error))
    return Completed(message=report.one_line())


async def send(name: str, fulfiller: Fulfiller) -> SendReport:
    """Send what waits for one fulfiller; without anything to do, it is not asked at all.

    Raises:
        LeaseHeldError: another run is sending to it.
        FulfillerError, DeskError: the run failed; what was sent is recorded, the rest still waits.

    Safe to repeat.
    """
    report = SendReport(name)
    started = time.monotonic()
    watcher = watching_send.get()
    order_ids = watcher.order_ids if watcher else None
    with opened_desk(Environment().database_url()) as engine:
        await look_at_what_happened(engine)  # a rule may hold what waits
        try:
            fail_orphans(engine)
            is_due = bool(take_due(engine, name, now=datetime.now(UTC), limit=1, order_ids=order_ids))
            if is_due or fulfiller.kind == "orderdesk":
                await _work(engine, name, fulfiller, report, order_ids)
        finally:
            with suppress(DeskError):
                _close(engine, report, time.monotonic() - started)
            await publish_send_report(report)
        rules = await look_at_what_happened(engine)  # at orders that moved, and shipments that came back
    rules.raise_problem()
    return report


async def _work(
    engine: Engine, name: str, fulfiller: Fulfiller, report: SendReport, order_ids: Collection[int] | None
) -> None:
    settings = fulfiller.send_settings(name)
    with HeldLease(engine, f"send:{name}") as lease:
        prepare = preparation_for(engine, name)
        run = SendRun(engine, settings, report, prepare, lease=lease, order_ids=order_ids)
        if settings.read_only:
            report.would_send = count_sendable(run)
            return
        channel = open_channel(engine, name, fulfiller)
        try:
            async with _recorded(engine, settings, report):
                await hand_over(channel, run)
                if isinstance(channel, OrderDesk) and not run.is_over:
                    report.shipments = await fetch_shipments(engine, channel, name, now=datetime.now(UTC))
        finally:
            await channel.close()


def _close(engine: Engine, report: SendReport, seconds: float) -> None:
    """Bring the report to what the desk says at the end, and tell it."""
    report.counts[OutboxState.WAITING] = count_waiting(engine, report.fulfiller)
    report.seconds = seconds
    if report.run_id is not None:
        with writing(engine) as connection:
            record_send_progress(connection, report)
    logger.info("orders to %s: %s", report.fulfiller, report.one_line())
    if watcher := watching_send.get():
        watcher.reports.append(report)


@asynccontextmanager
async def _recorded(engine: Engine, settings: SendSettings, report: SendReport) -> AsyncIterator[None]:
    """Keep the desk's own row of a run: begun, and how it ended, whatever ends it."""
    report.run_id = begin_send_run(
        engine,
        settings,
        lease_name=f"send:{settings.fulfiller}",
        flow_run_id=flow_run.id,
        now=datetime.now(UTC),
    )
    try:
        yield
    except BaseException as error:
        state = RunState.FAILED if isinstance(error, Exception) else RunState.CRASHED
        with suppress(DeskError):  # the error that ended the run says more
            finish_run(engine, report.run_id, state, now=datetime.now(UTC), error=reason_of(error))
        raise
    finish_run(engine, report.run_id, RunState.COMPLETED, now=datetime.now(UTC))
