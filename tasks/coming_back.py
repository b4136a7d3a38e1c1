"""Bring shipments of handed-over orders back from where they are printed, into the shipments table."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Engine

from models.shipments import NewShipment
from tasks.desk.handover_send import take_shipments, without_shipments
from tasks.fulfillers.orderdesk import ComingBack, OrderDesk
from tasks.tracking_rules import UnfitShipmentError, clean_code, clean_courier

BATCH_SIZE = 100


async def fetch_shipments(engine: Engine, way: OrderDesk, fulfiller: str, *, now: datetime) -> int:
    """Take the shipments of all orders that have none yet; return how many are new. Safe to repeat.

    Raises:
        FulfillerError: the fulfiller gave no clear answer; what came before is kept.
    """
    after_id, count = 0, 0
    while found := without_shipments(engine, fulfiller, limit=BATCH_SIZE, after_id=after_id):
        after_id = found[-1][0]
        for _, order_id, reference in found:
            parcels = [_clean(order_id, one) for one in await way.shipments_of(reference)]
            count += take_shipments(engine, [one for one in parcels if one], now=now) if parcels else 0
    return count


def _clean(order_id: int, one: ComingBack) -> NewShipment | None:
    try:
        return NewShipment(order_id, clean_courier(one.courier), clean_code(one.code), one.url)
    except UnfitShipmentError:
        return None
