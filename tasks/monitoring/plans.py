"""Ask the Prefect server for integrations and schedules. Never starts a server for it."""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict
from datetime import UTC, datetime, timedelta
from itertools import pairwise

from prefect.client.orchestration import PrefectClient
from prefect.client.schemas.filters import (
    DeploymentFilter,
    DeploymentFilterName,
    FlowRunFilter,
    FlowRunFilterState,
    FlowRunFilterStateType,
)
from prefect.client.schemas.objects import FlowRun, StateType
from prefect.client.schemas.sorting import FlowRunSort
from prefect.settings import PREFECT_API_AUTH_STRING

from models.settings import Environment
from models.watching import Planned, Plans, Work, cause_of
from tasks.fulfilment.fulfillers import kinds_at
from tasks.prefect_api.integrations import names_at

logger = logging.getLogger(__name__)

PATIENCE_SECONDS = 5.0
RUNS_LOOKED_AT = 100
DEPLOYMENTS = {
    Work.CHECK: ("check-for-new-orders", "integration"),
    Work.SYNC: ("sync-tracking", "integration"),
    Work.SEND: ("send-orders", "fulfiller"),
}
"""The deployment of each work, and its parameter that names whose."""


async def read_plans() -> Plans | None:
    """Return what the server of PREFECT_API_URL knows, None if there is none or it does not answer soon."""
    api_url = Environment().prefect_api_url
    if not api_url:
        return None
    try:
        return await asyncio.wait_for(_read(api_url), PATIENCE_SECONDS)
    except Exception as error:  # noqa: BLE001 - whoever asks can do without
        logger.debug("the Prefect server did not say what is planned: %s", type(error).__name__)
        return None


async def _read(api_url: str) -> Plans:
    # Named outright, as in announcing.py: Prefect's own way to a client could start a temporary server.
    auth, limits = PREFECT_API_AUTH_STRING.value(), {"timeout": PATIENCE_SECONDS}
    async with PrefectClient(api_url, auth_string=auth, httpx_settings=limits) as client:
        integrations = frozenset(await names_at(client))
        fulfillers = frozenset(await kinds_at(client))
        planned: dict[str, Planned] = {}
        for work in Work:
            names = fulfillers if work is Work.SEND else integrations
            runs = await _planned_runs(client, work)
            planned |= planned_work(work, names, runs)
    return Plans(integrations, fulfillers, planned)


async def _planned_runs(client: PrefectClient, work: Work) -> list[tuple[str, datetime]]:
    name, parameter = DEPLOYMENTS[work]
    runs: list[FlowRun] = await client.read_flow_runs(
        deployment_filter=DeploymentFilter(name=DeploymentFilterName(any_=[name])),
        flow_run_filter=FlowRunFilter(
            state=FlowRunFilterState(type=FlowRunFilterStateType(any_=[StateType.SCHEDULED]))
        ),
        sort=FlowRunSort.EXPECTED_START_TIME_ASC,
        limit=RUNS_LOOKED_AT,
    )
    moments = ((run, run.expected_start_time or run.next_scheduled_start_time) for run in runs)
    return [
        (str(run.parameters.get(parameter) or ""), moment.astimezone(UTC))
        for run, moment in moments
        if moment and run.auto_scheduled
    ]


def planned_work(work: Work, names: frozenset[str], runs: list[tuple[str, datetime]]) -> dict[str, Planned]:
    """Return what comes when, by cause.

    Args:
        work: which.
        names: whose work there is.
        runs: planned, the next one first: whose (empty: everybody's), and when.
    """
    found: dict[str, list[datetime]] = defaultdict(list)
    for whose, moment in runs:
        for name in (whose,) if whose else names:
            found[cause_of(work, name)].append(moment)
    return {cause: Planned(moments[0], _longest_pause(moments)) for cause, moments in found.items()}


def _longest_pause(moments: list[datetime]) -> timedelta | None:
    pauses = [later - earlier for earlier, later in pairwise(moments)]
    return max(pauses, default=None)
