"""Read podOS again, compare it with the desk order by order, and mend what is safe to mend."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from typing import Any

from prefect import flow
from prefect.client.schemas.objects import State
from prefect.runtime import flow_run

from flows.import_orders import react, recorded_import
from flows.runs import final_state, observer, run_each, show_progress, unobserved
from flows.sync_tracking import sync
from models.blocks import Integration
from models.forms import Reconcile
from models.reconciling import Difference, Finding, ReconcileReport
from models.reports import ImportReport, Outcome
from models.settings import Environment
from models.upstream import ChangePlan, Noted
from tasks.concurrency import relaxed_gc, run_in_thread
from tasks.desk.engine import opened_desk, writing
from tasks.desk.errors import UnusableRuleError
from tasks.desk.leases import HeldLease, LeaseHeldError
from tasks.imports.extract import extract_orders
from tasks.imports.load import ImportRunContext, events_of, load_orders
from tasks.imports.vanished import note_vanished
from tasks.imports.windows import plan_check, window_of_import
from tasks.podos.client import PodosClient
from tasks.podos.scan import Scan, ScanPlan, newest_date
from tasks.prefect_api.events import emit_order_events
from tasks.prefect_api.foreign_errors import in_own_words
from tasks.prefect_api.integrations import integration_names, load_integration
from tasks.prefect_api.pacing import IMPORT_THROTTLED_SECONDS, open_podos
from tasks.prefect_api.schedules import drop_late_runs
from tasks.reconciliation.compare import Compared, Reconciliation, compare_orders
from tasks.reconciliation.report import publish_reconcile_report
from tasks.reconciliation.store import count_in_podos, send_again

DIFFERENCES = "Differences"
"""The name of a completed run that found what should never be, and could not or was not asked to mend it."""

WHAT = "reconciliation of"

Resent = dict[Difference, list[int]]


def _run_name() -> str:
    request: Any = flow_run.parameters.get("request") or {}
    fields = request if isinstance(request, dict) else request.model_dump(mode="json")
    name = fields.get("integration") or "all"
    return f"reconcile {name}{' and fix' if fields.get('fix') else ''} {datetime.now(UTC):%Y-%m-%d %H:%M}"


@flow(name="reconcile", flow_run_name=_run_name)
@in_own_words
async def reconcile_orders(request: Reconcile) -> State[None]:
    """Read podOS again and list every difference between it and the desk, with the reason.

    Args:
        request: Which integration, from when on, and whether to mend what is safe to mend.
    """
    await drop_late_runs()
    if request.integration:
        return await _reconcile_one(request.integration, request)
    return await run_each(await integration_names(), lambda name: _reconcile_one(name, request))


async def _reconcile_one(name: str, request: Reconcile) -> State[None]:
    async def run() -> ReconcileReport:
        return await reconcile(name, await load_integration(name), request)

    return await final_state(run(), name_of=lambda report: DIFFERENCES if report.alarming else None)


async def reconcile(name: str, integration: Integration, request: Reconcile) -> ReconcileReport:
    """Compare podOS with the desk of one integration; with ``fix``, import what was missed and send again.

    Raises:
        LeaseHeldError: a check is at work, and this one would write beside it.
        PodosError, DeskError: the run failed; what was mended until then stays.

    Safe to repeat: nothing is deleted, nothing that is here is overwritten.
    """
    settings = integration.import_settings(name)
    since = plan_check(settings, None).since
    if request.since:
        now = datetime.now(UTC)
        since = window_of_import(request.since, "", None, "", integration.time_zone, now=now).since
    report = ReconcileReport(name, fix=request.fix, since=since)
    watching, started = observer.get(), time.monotonic()
    problems: list[UnusableRuleError] = []
    with opened_desk(Environment().database_url()) as engine, relaxed_gc():
        look = Reconciliation(engine, settings, report, watching.on_findings if watching else None)
        resent = Resent()
        async with open_podos(
            engine, name, integration, throttled_seconds=IMPORT_THROTTLED_SECONDS
        ) as client:
            if request.fix:
                with _told_at_the_end(problems):
                    await _read_and_fix(client, look, integration, resent)
            else:
                await _compare_all(client, look, None, resent)
        if resent:
            with _told_at_the_end(problems):
                await _sync(name, integration, look, resent)
        report.seconds = time.monotonic() - started
        show_progress(WHAT, name, report)
        await publish_reconcile_report(report)
    if problems:
        raise problems[0]
    return report


@contextmanager
def _told_at_the_end(problems: list[UnusableRuleError]) -> Iterator[None]:
    """Keep the error of rules that can't be used: what happened waits for them, and nothing else does."""
    try:
        yield
    except UnusableRuleError as error:
        problems.append(error)


async def _read_and_fix(
    client: PodosClient, look: Reconciliation, integration: Integration, resent: Resent
) -> None:
    """Compare and mend, as a run of the run history, under the lease of the checks."""
    report = look.report
    lease_name = f"check:{report.integration}"
    imported = ImportReport(report.integration, "reconcile", dry_run=False, since=report.since)
    with HeldLease(look.engine, lease_name) as lease:
        run = ImportRunContext(look.engine, look.settings, imported, lease=lease)
        async with recorded_import(run, lease_name):
            report.run_id = run.run_id
            if integration.read_only:
                report.not_resent = "read-only mode: no tracking is sent again"
            elif not integration.sync_tracking:
                report.not_resent = "Sync Tracking Numbers is off: no tracking is sent again"
            await _compare_all(client, look, run, resent)


async def _compare_all(
    client: PodosClient, look: Reconciliation, run: ImportRunContext | None, resent: Resent
) -> None:
    """Read all that podOS has, then ask for those of the desk's orders that it did not show."""
    newest = await newest_date(client, "createdAt")
    await _compare_scan(client, ScanPlan("createdAt", look.report.since, newest=newest), look, run, resent)
    for group in look.unseen():
        await _compare_scan(client, ScanPlan("createdAt", ids=tuple(group)), look, run, resent)
        gone = [(id_, *order) for id_, order in group.items() if not look.seen[order[0]]]
        look.tell([Finding(Difference.NOT_FOUND_THERE, *order) for order in gone])
        if run and gone and any(look.seen):
            await _hold_vanished([source_id for source_id, *_ in gone], look, run)


async def _hold_vanished(source_ids: Sequence[str], look: Reconciliation, run: ImportRunContext) -> None:
    """Hold what podOS listed neither in the scan nor when asked for it: it may be printed elsewhere."""

    def noted() -> list[ChangePlan]:
        with writing(look.engine) as connection:
            return note_vanished(
                connection, source_ids, look.settings, run_id=run.run_id, now=datetime.now(UTC)
            )

    plans = await run_in_thread(noted)
    look.report.held += sum(Noted.GONE in plan.noted for plan in plans)
    await emit_order_events(events_of(plans, look.settings))


async def _compare_scan(
    client: PodosClient,
    plan: ScanPlan,
    look: Reconciliation,
    run: ImportRunContext | None,
    resent: Resent,
) -> None:
    async with Scan(client, plan, connections=client.connections, project=look.settings.project) as scan:
        while not scan.finished:
            batch = await extract_orders(scan, scan.batches + 1)
            if batch is None:
                return
            done = await compare_orders(batch, client, look)
            if run:
                await _fix(done, look, run, resent)
            show_progress(WHAT, look.report.integration, look.report)
            del batch, done  # before the next batch is read: two at once would double the memory


async def _fix(done: Compared, look: Reconciliation, run: ImportRunContext, resent: Resent) -> None:
    """Import what is not here and should be, and let tracking that podOS misses wait again."""
    report = look.report
    await load_orders(done.prepared, run)
    await react(run)
    report.brought = run.report.counts[Outcome.IMPORTED]
    report.fixed[Difference.MISSED] += done.missed
    if report.not_resent:
        return
    for difference, shipments in done.resend.items():
        again = await run_in_thread(send_again, look.engine, shipments, now=datetime.now(UTC))
        resent.setdefault(difference, []).extend(again)
        report.resent += len(again)


async def _sync(name: str, integration: Integration, look: Reconciliation, resent: Resent) -> None:
    """Send again at once; a sync that is at work meanwhile, or the next one, does it as well."""
    try:
        with suppress(LeaseHeldError), unobserved():
            await sync(name, integration)
    finally:
        _count_sent(look, resent)


def _count_sent(look: Reconciliation, resent: Resent) -> None:
    for difference, shipments in resent.items():
        look.report.fixed[difference] = count_in_podos(look.engine, shipments)
