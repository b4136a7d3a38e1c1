"""The scheduled check for new orders, of one integration or of all."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from prefect import flow
from prefect.client.schemas.objects import State
from prefect.runtime import flow_run
from prefect.states import Completed, Failed

from flows.import_orders import check, failed
from models.errors import AppError
from models.watching import Work
from tasks.desk.leases import LeaseHeldError
from tasks.desk.runs import CoveredError
from tasks.monitoring.record import SKIPPED, watched
from tasks.prefect_api.foreign_errors import in_own_words
from tasks.prefect_api.integrations import integration_names, load_integration
from tasks.prefect_api.schedules import drop_late_runs, due_at


def _run_name() -> str:
    name = flow_run.parameters.get("integration") or "all"
    return f"check {name} {datetime.now(UTC):%Y-%m-%d %H:%M}"


@flow(name="check-for-new-orders", flow_run_name=_run_name)
@in_own_words
async def check_for_new_orders(integration: str = "") -> State[None]:
    """Look for new orders in podOS and import them.

    Args:
        integration: The integration to check. Empty: all that are connected, one after the other.
    """
    await drop_late_runs()
    if integration:
        return await watched(Work.CHECK, integration, _check_one(integration))
    names = await integration_names()
    if not names:
        return Completed(message="no integration is connected yet: desk connect NAME --project P")
    return _together({name: await check_for_new_orders(name, return_state=True) for name in names})


async def _check_one(name: str) -> State[None]:
    try:
        report = await check(name, await load_integration(name), due=due_at())
    except CoveredError as error:
        return Completed(name=SKIPPED, message=str(error))
    except LeaseHeldError as error:
        return Completed(name=SKIPPED, message=failed(error).message)
    except AppError as error:
        return failed(error)
    return Completed(message=report.one_line())


def _together(states: Mapping[str, State[Any]]) -> State[None]:
    """Return one state for all integrations: failed if one failed, after all had their turn."""
    words = "; ".join(f"{name}: {state.message}" for name, state in states.items())
    if not all(state.is_completed() for state in states.values()):
        return Failed(message=words)
    names = {state.name for state in states.values()}
    return Completed(name=names.pop() if len(names) == 1 else None, message=words)
