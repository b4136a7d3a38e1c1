"""Fetch the shipments of handed-over orders from the printer into the shipments table."""

from __future__ import annotations

import logging
from datetime import datetime, timedelta

from sqlalchemy import Engine

from models.maps import Maps
from models.shipments import NewShipment
from models.unreadable import problems_in
from tasks.desk.references import desk_reference
from tasks.fulfilment.channels.orderdesk import ComingBack, OrderDesk
from tasks.fulfilment.queue import due_for_a_look, look_again_at, pass_over, take_shipments
from tasks.rules.maps import map_carrier
from tasks.rules.maps_store import read_maps
from tasks.tracking.values import UnfitShipmentError, clean_code, clean_courier

logger = logging.getLogger(__name__)

BATCH_SIZE = 100
LOOKS_PER_RUN = 600
"""Order Desk lets 3 requests a second through: a run takes three minutes at most; the next goes on."""
SHORTEST_PAUSE = timedelta(minutes=4)
LONGEST_PAUSE = timedelta(hours=6)
AFTER_A_PARCEL = timedelta(days=1)


async def fetch_shipments(engine: Engine, channel: OrderDesk, fulfiller: str, *, now: datetime) -> int:
    """Take the shipments of orders that are due for a look; return how many are new. Safe to repeat.

    Raises:
        FulfillerError: the fulfiller gave no clear answer; what came before is kept.
    """
    looks, count = 0, 0
    maps = read_maps(engine, fulfiller)
    while looks < LOOKS_PER_RUN and (
        found := due_for_a_look(engine, fulfiller, now=now, limit=min(BATCH_SIZE, LOOKS_PER_RUN - looks))
    ):
        looks += len(found)
        for order in found:
            if problems := problems_in({"reference": order.reference}):
                reason = f"its shipments are not looked for: {problems[0]}"
                pass_over(engine, order.id, reason, until=now + LONGEST_PAUSE)
                continue
            parcels = [
                _clean(order.order_id, parcel, maps) for parcel in await channel.shipments_of(order.reference)
            ]
            usable = [parcel for parcel in parcels if parcel]
            count += take_shipments(engine, usable, now=now) if usable else 0
            has_shipped = order.has_shipped or bool(usable)
            look_again_at(
                engine, {order.id: now + pause_before_next_look(now - order.at, has_shipped=has_shipped)}
            )
    return count


def pause_before_next_look(age: timedelta, *, has_shipped: bool) -> timedelta:
    """Return how long to wait: the older an order, the longer; a day where only another parcel could come."""
    if has_shipped:
        return AFTER_A_PARCEL
    return min(max(age / 4, SHORTEST_PAUSE), LONGEST_PAUSE)


def _clean(order_id: int, parcel: ComingBack, maps: Maps) -> NewShipment | None:
    """Return a parcel with the desk's name of its carrier; None if it can't be used, or its map stops it."""
    courier = map_carrier(maps, parcel.courier)
    if courier is None:
        logger.warning(
            "order %s shipped, but its carrier has no mapping: see desk maps show", desk_reference(order_id)
        )
        return None
    try:
        return NewShipment(order_id, clean_courier(courier), clean_code(parcel.code), parcel.url)
    except UnfitShipmentError as error:
        logger.warning("order %s shipped, but: %s", desk_reference(order_id), error)
        return None
