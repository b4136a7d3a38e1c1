"""The desk that the examples of the documentation show: the demo's, at a moment that stands still."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

from sqlalchemy import Engine

from deployments.sandbox.server import Sandbox, SandboxSettings
from models.filters import CountryMode, ImportSettings
from models.reports import ImportReport
from models.tables.runs import RunState
from tasks.desk.runs import begin_run, finish_run
from tasks.imports.load import ImportRunContext, load
from tasks.imports.transform import prepare
from tasks.podos.client import PodosAccess, PodosClient
from tasks.podos.scan import Scan, ScanPlan

NOW = datetime(2026, 11, 23, 17, 7, 7, tzinfo=UTC)
ORDERS = 250


def fill(engine: Engine, *, orders: int = ORDERS, batch_size: int = 1000) -> ImportReport:
    """Import the orders of the demo's sandbox into an empty desk, without Prefect, and return the report."""
    with Sandbox(SandboxSettings(orders=orders, broken=1, now=NOW)) as sandbox:
        settings = ImportSettings(
            integration="default",
            project=sandbox.project,
            base_url=sandbox.url,
            folder="New",
            statuses=("paid",),
            order_prefix="",
            country_mode=CountryMode.STANDARD,
            countries=(),
            first_import_date=None,
            time_zone="UTC",
            sync_tracking=True,
        )
        return asyncio.run(_import(engine, settings, sandbox, batch_size))


async def _import(
    engine: Engine, settings: ImportSettings, sandbox: Sandbox, batch_size: int
) -> ImportReport:
    run = ImportRunContext(engine, settings, ImportReport(settings.integration, "check", dry_run=False))
    run.report.run_id = begin_run(
        engine,
        settings,
        run.report,
        lease_name="check:default",
        mark_before=None,
        flow_run_id=None,
        now=NOW,
    )
    access = PodosAccess(sandbox.url, sandbox.project, sandbox.token)
    plan = ScanPlan("createdAt", parallel=False)
    async with PodosClient(access) as client, Scan(client, plan, project=sandbox.project) as scan:
        while batch := await scan.next_batch(batch_size):
            load(prepare(batch, settings), run, now=NOW)
    finish_run(engine, run.run_id, RunState.COMPLETED, now=NOW)
    return run.report
