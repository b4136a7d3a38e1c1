"""Imports that a person starts: from a date, or of single orders."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from prefect import flow
from prefect.client.schemas.objects import State
from prefect.runtime import flow_run

from flows.import_orders import import_window, replay
from flows.runs import final_state
from models.forms import ManualImport
from models.reports import ImportReport
from tasks.imports.windows import window_of_import
from tasks.podos.scan import ScanPlan
from tasks.prefect_api.foreign_errors import in_own_words
from tasks.prefect_api.integrations import UnknownOrdersError, load_integration


def _run_name() -> str:
    request: Any = flow_run.parameters.get("request") or {}
    fields = request if isinstance(request, dict) else request.model_dump(mode="json")
    name = fields.get("integration") or flow_run.parameters.get("integration") or "default"
    days = f" from {fields['since']}" if fields.get("since") else ""
    days += f" until {fields['until']}" if fields.get("until") else ""
    what = "dry run: import" if fields.get("dry_run") or flow_run.parameters.get("dry_run") else "import"
    return f"{what} {name}{days} at {datetime.now(UTC):%Y-%m-%d %H:%M}"


@flow(name="manual-import", flow_run_name=_run_name)
@in_own_words
async def manual_import(request: ManualImport) -> State[None]:
    """Import orders from podOS from a date on; orders that are in the desk already stay as they are.

    Args:
        request: Which integration, from when to when, and whether only to say what would happen.
    """

    async def run() -> ImportReport:
        integration = await load_integration(request.integration)
        window = window_of_import(
            request.since,
            request.since_time,
            request.until,
            request.until_time,
            integration.time_zone,
            now=datetime.now(UTC),
        )
        plan = ScanPlan("createdAt", since=window.since, until=window.until)
        return await import_window(request.integration, integration, plan, dry_run=request.dry_run)

    return await final_state(run(), may_skip=False)


@flow(name="import-single-orders", flow_run_name=_run_name)
@in_own_words
async def import_single_orders(integration: str, source_ids: list[str], dry_run: bool = False) -> State[None]:
    """Import the podOS orders that a person names; status, country and frozen rule still hold.

    Args:
        integration: The name of the connected integration.
        source_ids: The ids of the podOS fulfillments.
        dry_run: Write nothing; only say what would be imported.
    """

    async def run() -> ImportReport:
        ids = tuple(dict.fromkeys(source_ids))
        plan = ScanPlan("createdAt", ids=ids)
        report = await import_window(integration, await load_integration(integration), plan, dry_run=dry_run)
        if missing := len(ids) - report.fetched:
            raise UnknownOrdersError(f"podOS does not know {missing} of these {len(ids)} orders")
        return report

    return await final_state(run(), may_skip=False)


@flow(name="replay-rejected", flow_run_name="replay rejected orders of {integration}")
@in_own_words
async def replay_rejected(integration: str) -> State[None]:
    """Try the orders that could not be read again, as podOS has them now.

    Args:
        integration: The name of the connected integration.
    """

    async def run() -> ImportReport:
        return await replay(integration, await load_integration(integration))

    return await final_state(run(), may_skip=False)
