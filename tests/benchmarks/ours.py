"""The import without Prefect's engine: the same functions that the flows call. Prints its seconds as JSON."""

from __future__ import annotations

import argparse
import asyncio
import json
import time
from datetime import UTC, datetime, timedelta

from models.filters import CountryMode, ImportSettings
from models.reports import ImportReport
from models.tables.runs import RunState
from tasks.concurrency import relaxed_gc
from tasks.desk.engine import opened_desk
from tasks.desk.leases import HeldLease
from tasks.desk.runs import advance_watermark, begin_run, finish_run, read_watermark
from tasks.imports.extract import batch_size
from tasks.imports.load import ImportRunContext, find_known, load_while_reading
from tasks.imports.transform import Prepared, prepare
from tasks.imports.windows import plan_check
from tasks.podos.client import PodosAccess, PodosClient
from tasks.podos.scan import Scan, ScanPlan, newest_date


async def import_orders(options: argparse.Namespace) -> ImportReport:
    """Do what flows/import_orders.py does: a full scan, or with a mark what changed since."""
    settings = ImportSettings(
        *("bench", options.project, options.url, "New", ("paid",), "", CountryMode.STANDARD, (), None),
        time_zone="UTC",
        sync_tracking=True,
    )
    access = PodosAccess(options.url, options.project, options.token)
    with opened_desk(options.database) as engine, HeldLease(engine, "check:bench") as lease:
        mark = read_watermark(engine, settings)
        plan = plan_check(settings, mark)
        report = ImportReport("bench", "check", dry_run=False, since=plan.since)
        run = ImportRunContext(engine, settings, report, lease=lease, outcomes={} if plan.from_mark else None)
        now = datetime.now(UTC)
        run.report.run_id = begin_run(
            engine, settings, report, lease_name="check:bench", mark_before=mark, flow_run_id=None, now=now
        )
        async with PodosClient(access, connections=options.connections) as client:
            if plan.from_mark:
                await _import(client, ScanPlan("updatedAt", plan.since, parallel=False), run, options)
            else:
                mark_at_end = await newest_date(client, "updatedAt")
                newest = await newest_date(client, "createdAt")
                await _import(client, ScanPlan("createdAt", newest=newest), run, options)
                advance_watermark(engine, settings, mark_at_end or now - timedelta(days=1), run.run_id)
        finish_run(engine, run.run_id, RunState.COMPLETED, now=datetime.now(UTC))
    return run.report


async def _import(
    client: PodosClient, plan: ScanPlan, run: ImportRunContext, options: argparse.Namespace
) -> None:
    with relaxed_gc():
        async with Scan(client, plan, connections=options.connections, project=run.settings.project) as scan:
            while prepared := await _next_prepared(scan, plan, run):
                await load_while_reading(prepared, run, now=datetime.now(UTC))
                del prepared


async def _next_prepared(scan: Scan, plan: ScanPlan, run: ImportRunContext) -> Prepared | None:
    batch = await scan.next_batch(batch_size(scan.batches + 1, is_quick=scan.is_quick))
    if batch is None:
        return None
    if plan.field == "updatedAt":
        find_known(batch, run)
    return prepare(batch, run.settings)


def main() -> None:
    """Run once and print what it took."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("--url", "--project", "--token", "--database"):
        parser.add_argument(name, required=True)
    parser.add_argument("--connections", type=int, default=8)
    parser.add_argument("--with-pandas", action="store_true", help="Import pandas before the clock runs.")
    options = parser.parse_args()
    if options.with_pandas:
        import pandas  # noqa: F401
    started, cpu = time.perf_counter(), time.process_time()
    report = asyncio.run(import_orders(options))
    facts = {"seconds": time.perf_counter() - started, "cpu_seconds": time.process_time() - cpu}
    print(json.dumps({**facts, "fetched": report.fetched, "new": report.counts["imported"]}))  # type: ignore[index]


if __name__ == "__main__":
    main()
