"""Hand waiting orders over to those who print them, to one fulfiller or to all."""

from __future__ import annotations

import time
from collections.abc import Collection
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial

from prefect import flow
from prefect.client.schemas.objects import State
from prefect.runtime import flow_run
from sqlalchemy import Engine

from flows.runs import (
    close_delivery,
    final_state,
    name_of_delivery,
    observer,
    recorded,
    run_each,
    run_name,
)
from models.fulfillers import Fulfiller
from models.handovers import SendReport
from models.looks import HeldBack
from models.settings import Environment
from models.tables.outbox import OutboxState
from models.watching import Work
from tasks.desk.engine import opened_desk
from tasks.desk.errors import DeskError
from tasks.desk.leases import HeldLease
from tasks.desk.runs import start_run
from tasks.fulfilment.channels.orderdesk import OrderDesk
from tasks.fulfilment.fulfillers import fulfiller_names, load_fulfiller, open_channel
from tasks.fulfilment.prepare import preparation_for
from tasks.fulfilment.queue import count_waiting, fail_orphans, take_due
from tasks.fulfilment.report import publish_send_report
from tasks.fulfilment.send import SendRun, count_sendable, hand_over
from tasks.fulfilment.shipments_back import fetch_shipments
from tasks.imports.last_look import PodosLook
from tasks.monitoring.record import watched
from tasks.prefect_api.events import emit_order_events, emit_shipments_added
from tasks.prefect_api.foreign_errors import in_own_words
from tasks.prefect_api.integrations import production_reporting
from tasks.prefect_api.schedules import drop_idle_runs, drop_late_runs
from tasks.rules.apply import look_at_what_happened

NO_FULFILLER = "no fulfiller is set up yet: desk fulfillers add"


@flow(name="send-orders", flow_run_name=run_name("send", "fulfiller"))
@in_own_words
async def send_orders(fulfiller: str = "") -> State[None]:
    """Hand the orders that wait over to those who print them, and bring shipments back.

    Args:
        fulfiller: The fulfiller whose orders are sent. Empty: all that are set up.
    """
    await drop_late_runs()
    await drop_idle_runs()
    known = await fulfiller_names()
    if fulfiller:
        return await _send_one(fulfiller, known)
    return await run_each(known, partial(_send_one, known=known), nothing=NO_FULFILLER)


async def _send_one(name: str, known: Collection[str]) -> State[None]:
    async def run() -> SendReport:
        return await send(name, await load_fulfiller(name))

    return await watched(Work.SEND, name, final_state(run(), name_of=name_of_delivery), known=known)


async def send(name: str, fulfiller: Fulfiller) -> SendReport:
    """Send what waits for one fulfiller; without anything to do, it is not asked at all.

    Raises:
        LeaseHeldError: another run is sending to it.
        FulfillerError, DeskError: the run failed; what was sent is recorded, the rest still waits.

    Safe to repeat.
    """
    report = SendReport(name)
    started = time.monotonic()
    watching = observer.get()
    order_ids = watching.order_ids if watching else None
    with opened_desk(Environment().database_url()) as engine:
        await look_at_what_happened(engine)  # a rule may hold what waits
        try:
            fail_orphans(engine)
            is_due = bool(take_due(engine, name, now=datetime.now(UTC), limit=1, order_ids=order_ids))
            if is_due or fulfiller.kind == "orderdesk":
                await _work(engine, name, fulfiller, report, order_ids)
        finally:
            with suppress(DeskError):
                waiting = count_waiting(engine, name)
                close_delivery(engine, report, "orders to", waiting=waiting, started=started)
            await publish_send_report(report)
        rules = await look_at_what_happened(engine)  # at orders that moved, and shipments that came back
    rules.raise_problem()
    return report


async def _work(
    engine: Engine, name: str, fulfiller: Fulfiller, report: SendReport, order_ids: Collection[int] | None
) -> None:
    settings, lease_name = fulfiller.send_settings(name), f"send:{name}"
    with HeldLease(engine, lease_name) as lease:
        async with PodosLook(engine) as look:
            prepare, reporting = preparation_for(engine, name), await production_reporting()
            run = SendRun(
                engine, settings, report, prepare, look, lease=lease, order_ids=order_ids, reporting=reporting
            )
            if settings.read_only:
                report.would_send = await count_sendable(run)
                return
            try:
                await _send_and_fetch(name, fulfiller, run, look)
            finally:
                await emit_order_events(look.to_announce)
                if report.counts[OutboxState.SENT]:
                    await emit_shipments_added(run.reporting.keys())  # the sync need not wait


async def _send_and_fetch(name: str, fulfiller: Fulfiller, run: SendRun, look: PodosLook) -> None:
    """Hand orders over, as a run of the run history, and bring shipments back."""
    engine, report = run.engine, run.report
    channel = open_channel(engine, name, fulfiller)
    try:
        report.run_id = start_run(
            engine,
            name,
            project="",
            kind="send",
            lease_name=f"send:{name}",
            started_at=datetime.now(UTC),
            settings=vars(run.settings),
            flow_run_id=flow_run.id,
        )
        async with recorded(engine, report.run_id):
            await hand_over(channel, run)
            if isinstance(channel, OrderDesk) and not run.is_over:
                report.shipments = await fetch_shipments(engine, channel, name, now=datetime.now(UTC))
            if look.problem and HeldBack.AWAY.value in report.held_back:
                raise look.problem  # what waits for it goes out when a person has mended it
    finally:
        await channel.close()
