"""Tell a Prefect server that something waits to be sent, so that sending starts at once."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Collection
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from prefect.client.orchestration import PrefectClient
from prefect.settings import PREFECT_API_AUTH_STRING

from models.settings import Environment

logger = logging.getLogger(__name__)

SHIPMENTS_ADDED = "podos-order-desk.shipments-added"
ORDERS_QUEUED = "podos-order-desk.orders-queued"
INTEGRATION = "podos-order-desk.integration"
ORDER = "podos-order-desk.order"
FULFILLER = "podos-order-desk.fulfiller"
PATIENCE_SECONDS = 2.0


async def announce_shipments(integrations: Collection[str]) -> bool:
    """Send the event that starts the sync of these integrations, if a server is set; never an error.

    Returns:
        Whether the server took it. If not, the schedule finds the shipments within minutes.
    """
    events = [
        _event(SHIPMENTS_ADDED, INTEGRATION, {"integration": name}, name) for name in sorted(integrations)
    ]
    return await _announce(events)


async def announce_queued(fulfillers: Collection[str]) -> bool:
    """Send the event that starts sending to these fulfillers, if a server is set; never an error.

    Returns:
        Whether the server took it. If not, the schedule finds the orders within minutes.
    """
    events = [_event(ORDERS_QUEUED, FULFILLER, {"fulfiller": name}, name) for name in sorted(fulfillers)]
    return await _announce(events)


async def announce_rule_events(events: Collection[dict[str, Any]]) -> bool:
    """Send the events that rules emit for orders, if a server is set; never an error.

    Args:
        events: the name as ``event``, the order's desk id as ``id``, and what else the payload carries.

    Returns:
        Whether the server took them.
    """
    named = [
        _event(one["event"], ORDER, {key: str(value) for key, value in one.items()}, str(one["id"]))
        for one in events
    ]
    return await _announce(named)


def _event(event: str, resource: str, payload: dict[str, str], name: str) -> dict[str, Any]:
    return {
        "id": str(uuid4()),
        "occurred": datetime.now(UTC).isoformat(),
        "event": event,
        "resource": {"prefect.resource.id": f"{resource}.{name}"},
        "payload": payload,
    }


async def _announce(events: list[dict[str, Any]]) -> bool:
    api_url = Environment().prefect_api_url
    if not events or not api_url:
        return False
    try:
        await asyncio.wait_for(_send(api_url, events), PATIENCE_SECONDS)
    except Exception as error:  # noqa: BLE001 - what waits is no worse for a server that is away
        logger.debug("the Prefect server did not take the event: %s", type(error).__name__)
        return False
    return True


async def _send(api_url: str, events: list[dict[str, Any]]) -> None:
    auth, limits = PREFECT_API_AUTH_STRING.value(), {"timeout": PATIENCE_SECONDS}
    # Named outright: Prefect's own way to a client would start a temporary server where none answers.
    async with PrefectClient(api_url, auth_string=auth, httpx_settings=limits) as client:
        response = await client._client.post("/events", json=events)
        response.raise_for_status()
