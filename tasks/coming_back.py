"""Bring shipments of handed-over orders back from where they are printed, into the shipments table."""

from __future__ import annotations

import logging
from datetime import datetime

from sqlalchemy import Engine

from models.maps import Maps
from models.shipments import NewShipment
from tasks.desk.handover_send import take_shipments, without_shipments
from tasks.desk.maps import read_maps
from tasks.fulfillers.orderdesk import ComingBack, OrderDesk
from tasks.rules.maps import map_carrier
from tasks.tracking_rules import UnfitShipmentError, clean_code, clean_courier

logger = logging.getLogger(__name__)

BATCH_SIZE = 100


async def fetch_shipments(engine: Engine, way: OrderDesk, fulfiller: str, *, now: datetime) -> int:
    """Take the shipments of all orders that have none yet; return how many are new. Safe to repeat.

    Raises:
        FulfillerError: the fulfiller gave no clear answer; what came before is kept.
    """
    after_id, count = 0, 0
    maps = read_maps(engine, fulfiller)
    while found := without_shipments(engine, fulfiller, limit=BATCH_SIZE, after_id=after_id):
        after_id = found[-1][0]
        for _, order_id, reference in found:
            parcels = [_clean(order_id, one, maps) for one in await way.shipments_of(reference)]
            count += take_shipments(engine, [one for one in parcels if one], now=now) if parcels else 0
    return count


def _clean(order_id: int, one: ComingBack, maps: Maps) -> NewShipment | None:
    """Return a parcel with the desk's name of its carrier; None if it can't be used, or its map stops it."""
    courier = map_carrier(maps, one.courier)
    if courier is None:
        logger.warning("order %s shipped, but its carrier has no mapping: see desk maps show", order_id)
        return None
    try:
        return NewShipment(order_id, clean_courier(courier), clean_code(one.code), one.url)
    except UnfitShipmentError:
        return None
