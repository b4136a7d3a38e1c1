"""What every import does: extract, transform, load, report. The flows beside this file say what to read."""

from __future__ import annotations

import logging
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import uuid4

from prefect.runtime import flow_run

from flows.runs import recorded, show_progress
from models.blocks import Integration
from models.reports import ImportReport, Outcome, RuleCounts
from models.settings import Environment
from tasks.concurrency import relaxed_gc
from tasks.desk.engine import opened_desk
from tasks.desk.errors import DeskError
from tasks.desk.leases import HeldLease
from tasks.desk.runs import (
    advance_watermark,
    begin_run,
    last_complete_check,
    move_watermark_back,
    past_checks,
    read_watermark,
    refuse_if_covered,
)
from tasks.imports.extract import extract_orders
from tasks.imports.load import ImportRunContext, find_known, load_orders
from tasks.imports.rejected import note_gone, waiting_rows
from tasks.imports.report import publish_report
from tasks.imports.store import holds_orders
from tasks.imports.transform import Prepared, transform_orders
from tasks.imports.windows import OVERLAP, cap_watermark, plan_check, unsure_since, went_back_to
from tasks.podos.client import PodosClient
from tasks.podos.scan import Scan, ScanPlan, newest_date
from tasks.prefect_api.events import emit_order_events
from tasks.prefect_api.pacing import CHECK_THROTTLED_SECONDS, IMPORT_THROTTLED_SECONDS, open_podos
from tasks.rules.apply import look_at_what_happened
from tasks.rules.store import rules_are_on

logger = logging.getLogger(__name__)


async def check(name: str, integration: Integration, *, due: datetime | None = None) -> ImportReport:
    """Look for new orders of one integration: from its watermark, or all of them where there is none.

    Args:
        name: the integration's.
        integration: its settings.
        due: aware; when a scheduled check should have begun, None for one that is wanted now.

    Raises:
        CoveredError: a check that began since did the work; asked under the lease, so that no two do it.
        LeaseHeldError: another check of it is at work.
        PodosError, DeskError: the run failed; what was loaded stays, the mark stands behind it.

    Safe to repeat.
    """
    settings = integration.import_settings(name)
    lease_name = f"check:{name}"
    with opened_desk(Environment().database_url()) as engine, HeldLease(engine, lease_name) as lease:
        refuse_if_covered(engine, name, due)
        mark = read_watermark(engine, settings)
        every = timedelta(minutes=Environment().desk_look_back_every_minutes)
        plan = plan_check(settings, mark, unsure_since(past_checks(engine, name), datetime.now(UTC), every))
        report = ImportReport(name, "check", dry_run=False, since=plan.since)
        run = ImportRunContext(engine, settings, report, lease=lease, outcomes={} if plan.from_mark else None)
        throttled = CHECK_THROTTLED_SECONDS if plan.from_mark else IMPORT_THROTTLED_SECONDS
        async with (
            open_podos(engine, name, integration, throttled_seconds=throttled) as client,
            recorded_import(run, lease_name, mark_before=mark),
        ):
            run.clock = client.clock
            if mark and plan.from_mark:
                await check_from_watermark(client, run, mark)
            else:
                await check_from_the_start(client, run)
    return run.report


async def check_from_watermark(client: PodosClient, run: ImportRunContext, mark: datetime) -> None:
    """Import what changed since the mark; if podOS's clock went back behind it, also what it dated since."""
    try:
        await import_all(client, ScanPlan("updatedAt", run.report.since, parallel=False), run)
    except Exception:
        with suppress(DeskError):  # this run saw podOS's clock, the next one may see it set right
            follow_clock_back(run, mark)
        raise
    if back_at := follow_clock_back(run, mark):
        logger.warning("podOS's clock went back: reading again from %s", f"{back_at:%Y-%m-%d %H:%M:%S} UTC")
        await import_all(client, ScanPlan("updatedAt", back_at - OVERLAP, parallel=False), run)


def follow_clock_back(run: ImportRunContext, mark: datetime) -> datetime | None:
    """Move the mark back where podOS's clock went back behind it, and return where it is then."""
    now = datetime.now(UTC)
    began = last_complete_check(run.engine, run.settings.integration) or now
    back_at = went_back_to(mark, run.podos_now, now, began)
    if back_at:
        move_watermark_back(run.engine, run.settings, back_at)
    return back_at


async def check_from_the_start(client: PodosClient, run: ImportRunContext) -> None:
    """Import everything since the First Import Date; the mark moves only when all of it is in the desk."""
    mark_at_end = await newest_date(client, "updatedAt")
    newest = await newest_date(client, "createdAt")
    await import_all(client, ScanPlan("createdAt", run.report.since, newest=newest), run)
    if mark_at_end:
        mark_at = cap_watermark(mark_at_end, datetime.now(UTC), run.podos_now)
        advance_watermark(run.engine, run.settings, mark_at, run.run_id)


async def import_window(
    name: str, integration: Integration, plan: ScanPlan, *, dry_run: bool
) -> ImportReport:
    """Import what a person asked for: a window of dates or single orders. Moves no mark. Safe to repeat."""
    settings = integration.import_settings(name)
    report = ImportReport(name, "import", dry_run=dry_run, since=plan.since, until=plan.until)
    with opened_desk(Environment().database_url()) as engine:
        run = ImportRunContext(engine, settings, report)
        throttled = IMPORT_THROTTLED_SECONDS
        async with open_podos(engine, name, integration, throttled_seconds=throttled) as client:
            if plan.ids is None and plan.until is None:
                plan = replace(plan, newest=await newest_date(client, "createdAt"))
            if dry_run:
                await import_all(client, plan, run, from_first_import_date=False)
                return run.report
            lease_name = f"import:{uuid4()}"
            with HeldLease(engine, lease_name) as run.lease:
                async with recorded_import(run, lease_name):
                    await import_all(client, plan, run, from_first_import_date=False)
    return run.report


async def replay(name: str, integration: Integration) -> ImportReport:
    """Try the rejected orders again, as podOS has them now. Safe to repeat."""
    settings = integration.import_settings(name)
    lease_name = f"replay:{name}"
    with opened_desk(Environment().database_url()) as engine, HeldLease(engine, lease_name) as lease:
        ids, without_id = waiting_rows(engine, settings.project)
        report = ImportReport(name, "replay", dry_run=False)
        report.counts[Outcome.REJECTED] = len(without_id)  # nothing can ask podOS for these
        run = ImportRunContext(engine, settings, report, lease=lease, outcomes={})
        async with open_podos(engine, name, integration) as client, recorded_import(run, lease_name):
            await import_all(client, ScanPlan("createdAt", ids=tuple(ids)), run, from_first_import_date=False)
            note_gone(engine, settings.project, set(ids) - set(run.outcomes or ()))
    return run.report


async def import_all(
    client: PodosClient, plan: ScanPlan, run: ImportRunContext, *, from_first_import_date: bool = True
) -> None:
    """Extract, transform and load batch by batch until all was read, then leave the report in the UI."""
    started = time.monotonic()
    with relaxed_gc():
        await _import_batches(client, plan, run, started, from_first_import_date=from_first_import_date)
    await react(run)  # also to what a run before this one left
    _show(run.report, started)
    await publish_report(run.report)


async def _import_batches(
    client: PodosClient,
    plan: ScanPlan,
    run: ImportRunContext,
    started: float,
    *,
    from_first_import_date: bool,
) -> None:
    # A check reads again what was there: mostly nothing is new. An empty desk need not be asked.
    meets_known = plan.field == "updatedAt" or holds_orders(run.engine, run.settings.project)
    async with Scan(client, plan, connections=client.connections, project=run.settings.project) as scan:
        while not scan.finished:
            prepared = await _next_prepared(
                scan, run, meets_known=meets_known, from_first_import_date=from_first_import_date
            )
            if prepared:
                await load_orders(prepared, run)
                await tell_changes(run)
                await react(run)
                _show(run.report, started)
            del prepared  # before the next batch is read: two at once would double the memory


async def react(run: ImportRunContext) -> None:
    """Let the rules look at what came in, and count what they did."""
    if run.report.dry_run:
        return
    did, before = await look_at_what_happened(run.engine), run.report.rules
    run.rules_problem = did.problem
    if did.fired or before or rules_are_on(run.engine):
        before = before or RuleCounts()
        run.report.rules = RuleCounts(before.fired + did.fired, before.queued + did.waiting)


async def tell_changes(run: ImportRunContext) -> None:
    """Emit the events of what podOS changed; history and flag are in the desk by then."""
    events, run.to_announce = run.to_announce, []
    await emit_order_events(events)


async def _next_prepared(
    scan: Scan, run: ImportRunContext, *, meets_known: bool, from_first_import_date: bool
) -> Prepared | None:
    batch = await extract_orders(scan, scan.batches + 1)
    if batch is None:
        return None
    if meets_known:
        find_known(batch, run)
    return await transform_orders(batch, run.settings, from_first_import_date=from_first_import_date)


def _show(report: ImportReport, started: float) -> None:
    report.seconds = time.monotonic() - started
    show_progress(f"{report.kind} of", report.integration, report)


@asynccontextmanager
async def recorded_import(
    run: ImportRunContext,
    lease_name: str,
    *,
    mark_before: datetime | None = None,
) -> AsyncIterator[None]:
    """Keep the desk's own row of an import: begun, and how it ended, whatever ends it."""
    run.report.run_id = begin_run(
        run.engine,
        run.settings,
        run.report,
        lease_name=lease_name,
        mark_before=mark_before,
        flow_run_id=flow_run.id,
        now=datetime.now(UTC),
    )
    async with recorded(run.engine, run.run_id):
        yield
        run.raise_rules_problem()
