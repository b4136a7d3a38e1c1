"""Tell a Prefect server that shipments were added, so that the sync starts at once."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Collection
from datetime import UTC, datetime
from uuid import uuid4

from prefect.client.orchestration import PrefectClient
from prefect.settings import PREFECT_API_AUTH_STRING

from models.settings import Environment

logger = logging.getLogger(__name__)

SHIPMENTS_ADDED = "podos-order-desk.shipments-added"
RESOURCE = "podos-order-desk.integration"
PATIENCE_SECONDS = 2.0


async def announce_shipments(integrations: Collection[str]) -> bool:
    """Send the event that starts the sync of these integrations, if a server is set; never an error.

    Returns:
        Whether the server took it. If not, the schedule finds the shipments within minutes.
    """
    api_url = Environment().prefect_api_url
    if not integrations or not api_url:
        return False
    try:
        await asyncio.wait_for(_send(api_url, sorted(integrations)), PATIENCE_SECONDS)
    except Exception as error:  # noqa: BLE001 - a shipment is no worse for a server that is away
        logger.debug("the Prefect server did not take the event: %s", type(error).__name__)
        return False
    return True


async def _send(api_url: str, integrations: list[str]) -> None:
    events = [
        {
            "id": str(uuid4()),
            "occurred": datetime.now(UTC).isoformat(),
            "event": SHIPMENTS_ADDED,
            "resource": {"prefect.resource.id": f"{RESOURCE}.{name}"},
            "payload": {"integration": name},
        }
        for name in integrations
    ]
    auth, limits = PREFECT_API_AUTH_STRING.value(), {"timeout": PATIENCE_SECONDS}
    # Named outright: Prefect's own way to a client would start a temporary server where none answers.
    async with PrefectClient(api_url, auth_string=auth, httpx_settings=limits) as client:
        response = await client._client.post("/events", json=events)
        response.raise_for_status()
