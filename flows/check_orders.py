"""The scheduled check for new orders, of one integration or of all."""

from __future__ import annotations

from prefect import flow
from prefect.client.schemas.objects import State

from flows.import_orders import check
from flows.runs import final_state, run_each, run_name
from models.reports import ImportReport
from models.watching import Work
from tasks.monitoring.record import watched
from tasks.prefect_api.foreign_errors import in_own_words
from tasks.prefect_api.integrations import integration_names, load_integration
from tasks.prefect_api.schedules import drop_late_runs, due_at


@flow(name="check-for-new-orders", flow_run_name=run_name("check", "integration"))
@in_own_words
async def check_for_new_orders(integration: str = "") -> State[None]:
    """Look for new orders in podOS and import them.

    Args:
        integration: The integration to check. Empty: all that are connected, one after the other.
    """
    await drop_late_runs()
    names = await integration_names()
    if integration:
        return await watched(Work.CHECK, integration, final_state(_check(integration)), known=names)
    return await run_each(names, lambda name: check_for_new_orders(name, return_state=True))


async def _check(name: str) -> ImportReport:
    return await check(name, await load_integration(name), due=due_at())
