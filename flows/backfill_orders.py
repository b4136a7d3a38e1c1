"""A manual import of any size, split into windows that many workers share."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime, timedelta
from typing import Any

from prefect import Flow, flow
from prefect.client.schemas.objects import FlowRun, State
from prefect.runtime import flow_run
from sqlalchemy import Engine

from flows.import_orders import import_window
from flows.runs import final_state, observer
from models.blocks import Integration
from models.errors import AppError
from models.forms import Backfill
from models.reports import ImportReport
from models.settings import Environment
from models.tables.runs import WindowState
from tasks.backfill.fan_out import (
    Progress,
    added_up,
    cancel_runs,
    check_workers,
    hand_out_window,
    record_crashed_windows,
    still_running,
)
from tasks.backfill.store import (
    BackfillRequest,
    WindowRecord,
    plan_backfill,
    running_windows,
    unfinished_backfill,
    window_done,
    window_failed,
    window_of,
    windows_of,
)
from tasks.desk.engine import opened_desk
from tasks.desk.errors import DeskError
from tasks.desk.leases import HeldLease
from tasks.imports.report import publish_report, reason_of
from tasks.imports.windows import Window, split_at, split_evenly, window_of_import
from tasks.podos.client import PodosClient
from tasks.podos.errors import FatalPodosError
from tasks.podos.scan import ScanPlan, newest_date, oldest_date
from tasks.podos.split import cuts_by_count
from tasks.prefect_api.foreign_errors import in_own_words
from tasks.prefect_api.integrations import load_integration
from tasks.prefect_api.pacing import IMPORT_THROTTLED_SECONDS, open_podos

POLL_SECONDS = 2.0


class WindowsFailedError(DeskError):
    """Some windows of a backfill failed; the others are done."""


def _run_name() -> str:
    request: Any = flow_run.parameters.get("request") or {}
    fields = request if isinstance(request, dict) else request.model_dump(mode="json")
    days = f"{fields.get('integration')} from {fields.get('since')}"
    return f"backfill {days} at {datetime.now(UTC):%Y-%m-%d %H:%M}"


async def cancel_windows(flow: Flow[Any, Any], flow_run: FlowRun, state: State[Any]) -> None:  # noqa: ARG001 - Prefect's names
    """Cancel the windows of a backfill that a person cancels; the next one repeats them."""
    integration = Backfill.model_validate(flow_run.parameters["request"]).integration
    with opened_desk(Environment().database_url()) as engine:
        await cancel_runs(running_windows(engine, integration))


@flow(name="backfill-orders", flow_run_name=_run_name, on_cancellation=[cancel_windows])
@in_own_words
async def backfill_orders(request: Backfill) -> State[None]:
    """Import orders from a date on, in windows that the workers share; goes on where an earlier one stopped.

    Args:
        request: Which integration, from when to when, and in how many windows.
    """
    return await final_state(_backfill(request), may_skip=False)


async def _backfill(request: Backfill) -> ImportReport:
    name, started = request.integration, time.monotonic()
    integration = await load_integration(name)
    await check_workers()
    with opened_desk(Environment().database_url()) as engine, HeldLease(engine, f"backfill:{name}"):
        backfill_id = await begin_backfill(engine, request, integration)
        inherited = await hand_out_what_is_left(engine, backfill_id)
        report = await follow(engine, backfill_id, name, inherited, started=started)
        await publish_report(report)
        check_complete(windows_of(engine, backfill_id))
    return report


@flow(name="import-window", flow_run_name="backfill {backfill} window {window}")
@in_own_words
async def import_one_window(backfill: int, window: int) -> State[None]:
    """Import one window of a backfill; the backfill starts this for each of its windows.

    Args:
        backfill: The number of the backfill in the desk.
        window: The number of the window, from 1.
    """
    return await final_state(_import_window(backfill, window), may_skip=False)


async def _import_window(backfill: int, window: int) -> ImportReport:
    with opened_desk(Environment().database_url()) as engine:
        name, record = window_of(engine, backfill, window)
        try:
            plan = ScanPlan("createdAt", since=record.since, until=record.until)
            report = await import_window(name, await load_integration(name), plan, dry_run=False)
        except AppError as error:
            window_failed(engine, backfill, window, reason_of(error))
            raise
        window_done(engine, backfill, window, report)
    return report


async def begin_backfill(engine: Engine, request: Backfill, integration: Integration) -> int:
    """Return the backfill to work on: one of this request that was not finished, else a new one."""
    settings = integration.import_settings(request.integration)
    now = datetime.now(UTC)
    window = window_of_import(request.since, "", request.until, "", integration.time_zone, now=now)
    if window.since is None:
        raise ValueError("a backfill needs a first day")
    wanted = BackfillRequest(
        request.integration, settings.filter_fingerprint(), window.since.astimezone(UTC), window.until
    )
    left = unfinished_backfill(engine, wanted)
    if left is not None:
        return left
    throttled = IMPORT_THROTTLED_SECONDS
    async with open_podos(engine, request.integration, integration, throttled_seconds=throttled) as client:
        windows = await plan_windows(client, window, request.windows)
    spans = [(part.since, part.until) for part in windows if part.since]
    return plan_backfill(engine, wanted, spans, now=datetime.now(UTC))


async def plan_windows(client: PodosClient, window: Window, parts: int) -> list[Window]:
    """Split a window into parts of about as many orders each, as podOS has them now."""
    try:
        cuts = await cuts_by_count(client.list_page, window.since, window.until, parts)
    except FatalPodosError:  # podOS may not turn so many pages at once; anything else comes again
        return await plan_windows_by_time(client, window, parts)
    return split_at(window, cuts)


async def plan_windows_by_time(client: PodosClient, window: Window, parts: int) -> list[Window]:
    """Split a window into parts that are equally long between its first order and its last."""
    newest = await newest_date(client, "createdAt")
    oldest = await oldest_date(client, "createdAt", window.since)
    last = min(filter(None, (newest, window.until)), default=None)
    if oldest is None or last is None or last <= oldest:
        return [window]
    return split_evenly(window, oldest, last + timedelta(seconds=1), parts)


async def hand_out_what_is_left(engine: Engine, backfill_id: int) -> set[int]:
    """Start a flow run for each window that is not done and has none that still waits or works.

    Returns the numbers of those that have: an earlier attempt's runs, which may be dead and not known to be.
    """
    left = [window for window in windows_of(engine, backfill_id) if window.state != WindowState.DONE]
    busy = await still_running(left)
    for window in left:
        if window.number not in busy:
            await hand_out_window(engine, backfill_id, window)
    return busy


async def follow(
    engine: Engine, backfill_id: int, name: str, inherited: set[int], *, started: float
) -> ImportReport:
    """Wait until every window is done or failed, tell how far it is, and return the reports added up.

    A window of ``inherited`` whose run turns out to be dead is handed out again, once. ``started``: when the
    backfill began, by the monotonic clock.
    """
    progress = Progress()
    while True:
        windows = windows_of(engine, backfill_id)
        report = added_up(ImportReport(name, "backfill", dry_run=False), windows)
        report.since, report.until = windows[0].since, windows[-1].until
        report.seconds = time.monotonic() - started
        if watching := observer.get():
            watching.windows = sum(window.state == WindowState.DONE for window in windows), len(windows)
            watching.see(name, report)
        await progress.show(windows, name)
        if all(window.state in {WindowState.DONE, WindowState.FAILED} for window in windows):
            return report
        await asyncio.sleep(POLL_SECONDS)
        dead = await record_crashed_windows(engine, backfill_id, windows_of(engine, backfill_id))
        for window in windows_of(engine, backfill_id):
            if window.number in dead & inherited and window.state != WindowState.DONE:
                await hand_out_window(engine, backfill_id, window)
        inherited -= dead


def check_complete(windows: list[WindowRecord]) -> None:
    """Name the windows that failed.

    Raises:
        WindowsFailedError: there are some.
    """
    bad = [window for window in windows if window.state == WindowState.FAILED]
    if not bad:
        return
    named = "; ".join(
        f"window {window.number} ({window.since:%Y-%m-%d %H:%M} to "
        f"{f'{window.until:%Y-%m-%d %H:%M}' if window.until else 'now'} UTC): {window.error}"
        for window in bad[:5]
    )
    more = f" and {len(bad) - 5} more" if len(bad) > 5 else ""
    raise WindowsFailedError(
        f"{len(windows) - len(bad)} of {len(windows)} windows are done; {named}{more}. "
        "The same backfill again repeats only what is left"
    )
