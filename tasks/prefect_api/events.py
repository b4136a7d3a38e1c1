"""Emit events to the Prefect server, so that its automations start sending at once."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Collection
from datetime import UTC, datetime
from typing import Any
from uuid import NAMESPACE_URL, uuid4, uuid5

from prefect.client.orchestration import PrefectClient
from prefect.settings import PREFECT_API_AUTH_STRING

from models.settings import Environment
from models.watching import BacklogKind, Watch, title_of, work_of

logger = logging.getLogger(__name__)

SHIPMENTS_ADDED = "podos-order-desk.shipments-added"
ORDERS_QUEUED = "podos-order-desk.orders-queued"
WORK_FAILED = "podos-order-desk.alert.work-failed"
ORDERS_WAIT = "podos-order-desk.alert.orders-wait"
NOT_SENT = "podos-order-desk.alert.not-sent"
ALERT_TEST = "podos-order-desk.alert.test"
CLEARED = "podos-order-desk.alert-cleared"
CHECK_NOTED = "podos-order-desk.check-noted"
CAUSE = "podos-order-desk.cause"
INTEGRATION = "podos-order-desk.integration"
ORDER = "podos-order-desk.order"
FULFILLER = "podos-order-desk.fulfiller"
PATIENCE_SECONDS = 2.0


async def emit_shipments_added(integrations: Collection[str]) -> bool:
    """Send the event that starts the sync of these integrations, if a server is set; never an error.

    Returns:
        Whether the server took it. If not, the schedule finds the shipments within minutes.
    """
    events = [
        _event(SHIPMENTS_ADDED, INTEGRATION, {"integration": name}, name) for name in sorted(integrations)
    ]
    return await _emit(events)


async def emit_orders_queued(fulfillers: Collection[str]) -> bool:
    """Send the event that starts sending to these fulfillers, if a server is set; never an error.

    Returns:
        Whether the server took it. If not, the schedule finds the orders within minutes.
    """
    events = [_event(ORDERS_QUEUED, FULFILLER, {"fulfiller": name}, name) for name in sorted(fulfillers)]
    return await _emit(events)


async def emit_order_events(events: Collection[dict[str, Any]]) -> bool:
    """Send events of orders (of rules, of changes in podOS), if a server is set; never an error.

    Args:
        events: the name as ``event``, the order's desk id as ``id``, and what else the payload carries.

    Returns:
        Whether the server took them.
    """
    named = [
        _event(event["event"], ORDER, {key: str(value) for key, value in event.items()}, str(event["id"]))
        for event in events
    ]
    return await _emit(named)


async def emit_watch_events(
    alerts: Collection[Watch], over: Collection[str], checked: str | None, *, is_new: bool = False
) -> bool:
    """Send the events of what is watched over, if a server is set; never an error.

    Args:
        alerts: troubles to tell of; one that is sent again is still the same event.
        over: causes that were told and are over.
        checked: the cause of a check whose end is in the desk, whether it was complete or failed.
        is_new: the alerts are new events, also those that were sent before: somebody missed them.

    Returns:
        Whether the server took them.
    """
    events = [alert_of(watch) | ({"id": str(uuid4())} if is_new else {}) for watch in alerts]
    events += [_event(CLEARED, CAUSE, _about(cause), _resource(cause)) for cause in over]
    if checked:
        events.append(_event(CHECK_NOTED, CAUSE, _about(checked), _resource(checked)))
    return await _emit(events)


def alert_of(watch: Watch) -> dict[str, Any]:
    """Return the event that tells of a trouble; its id follows from the cause and when it began."""
    payload = _about(watch.cause) | {"since": str(watch.trouble_at), "reason": watch.reason or ""}
    event = _event(alert_event(watch.cause), CAUSE, payload, _resource(watch.cause))
    return event | {"id": str(uuid5(NAMESPACE_URL, f"{watch.cause} {watch.trouble_at}"))}


def alert_event(cause: str) -> str:
    """Return the name of the event that tells of a cause."""
    if work_of(cause):
        return WORK_FAILED
    return ORDERS_WAIT if cause in {BacklogKind.NEEDS_ATTENTION, BacklogKind.REJECTED} else NOT_SENT


async def emit_test_event() -> str | None:
    """Send the event of a test alert; return its id, None if no server took it."""
    event = _event(ALERT_TEST, CAUSE, {"cause": "test", "reason": "this is a test"}, "test")
    return str(event["id"]) if await _emit([event]) else None


def _about(cause: str) -> dict[str, str]:
    return {"cause": cause, "title": title_of(cause)}


def _resource(cause: str) -> str:
    return cause.replace(":", ".")


def _event(event: str, resource: str, payload: dict[str, str], name: str) -> dict[str, Any]:
    return {
        "id": str(uuid4()),
        "occurred": datetime.now(UTC).isoformat(),
        "event": event,
        "resource": {"prefect.resource.id": f"{resource}.{name}"},
        "payload": payload,
    }


async def _emit(events: list[dict[str, Any]]) -> bool:
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
