"""Scan an order, then its tracking: shipped. For a keyboard or a hand scanner, which ends with Enter.

The page keeps nothing on the server: its address carries the order, the courier and the last shipments.
"""

from __future__ import annotations

from datetime import UTC, datetime

from starlette.responses import Response

from deployments.web.order import add_shipment
from deployments.web.pages import Visit, number_of
from deployments.web.site import react
from models.carriers import TRACKING_ADDRESSES
from tasks.desk.browse import order_by_id
from tasks.desk.engine import reading
from tasks.desk.errors import DeskRefusedError
from tasks.desk.references import Match, candidates, desk_id_of, find_by_number
from tasks.tracking.shipment_list import get_shipments, shipments_of
from tasks.tracking.store import void_shipment
from tasks.visible_text import visible

LAST = 10
_MAX_CHOICES = 9
_MAX_LENGTH = 300
_LONGEST_DONE = 200


def show(visit: Visit, *, error: str = "", status: int = 200, choices: list[Match] | None = None) -> Response:
    """Show the box to scan into: for an order, or for the tracking of one that was scanned."""
    order_id = number_of(_given(visit, "id"))
    detail = order_by_id(visit.site.engine, order_id) if order_id else None
    with reading(visit.site.engine) as connection:
        done = {shipment.id: shipment for shipment in get_shipments(connection, _done(visit))}
    return visit.page(
        "scan.html",
        status=status,
        error=error,
        order=detail.order if detail else None,
        parcels=shipments_of(visit.site.engine, detail.order["id"]) if detail else [],
        courier=_given(visit, "courier"),
        code=visit.field("code"),
        choices=choices or [],
        done=[done[id_] for id_ in _done(visit) if id_ in done],
        done_text=_given(visit, "done"),
        couriers=sorted(TRACKING_ADDRESSES),
        carried=lambda **query: _carried(visit, **query),
    )


def take(visit: Visit) -> Response:
    """Take what was scanned: an order, or the tracking of the order that was scanned before."""
    text = visible(visit.field("code"))
    if not text or len(text) > _MAX_LENGTH:
        return show(visit, error="scan an order number or a tracking code", status=400)
    order_id = number_of(_given(visit, "id"))
    if order_id and order_by_id(visit.site.engine, order_id) and not (other := _other_order(visit, text)):
        return _ship(visit, order_id)
    matches = [other] if order_id and other else _orders_called(visit, text)
    if len(matches) == 1:
        return visit.go("/scan", query=_carried(visit, id=str(matches[0].id)))
    if matches:
        few = matches[:_MAX_CHOICES]
        return show(visit, error=f"{len(matches)} orders could be meant: choose one", status=409, choices=few)
    return show(visit, error=f"the desk has no order {text}: scan its number or desk:ID", status=404)


def _orders_called(visit: Visit, text: str) -> list[Match]:
    with reading(visit.site.engine) as connection:
        return list(candidates(connection, [text])[text])


def _other_order(visit: Visit, text: str) -> Match | None:
    """Return the order that was scanned in place of a tracking code; digits alone are no desk id here."""
    if text.lower().startswith("desk:") and desk_id_of(text):
        return next(iter(_orders_called(visit, text)), None)
    with reading(visit.site.engine) as connection:
        found = find_by_number(connection, [text])[text]
    return found if isinstance(found, Match) else None


def _ship(visit: Visit, order_id: int) -> Response:
    if not visit.field("courier"):
        return show(visit, error="say who carries the parcel, then scan the code again", status=400)
    try:
        taken = add_shipment(visit, order_id)
    except DeskRefusedError as error:
        return show(visit, error=str(error), status=400)
    done = list(dict.fromkeys([*taken.shipment_ids, *_done(visit)]))[:LAST]
    said = "shipped" if taken.added else "this parcel is in the desk already"
    carried = _carried(visit, id="", done=",".join(map(str, done)))
    return visit.go("/scan", said, react(visit.site), is_bad=not taken.added, query=carried)


def undo(visit: Visit) -> Response:
    """Void a shipment that was scanned by mistake."""
    shipment_id = number_of(visit.field("shipment"))
    if shipment_id is None:
        return show(visit, error="that is no shipment", status=400)
    void_shipment(visit.site.engine, shipment_id, now=datetime.now(UTC))
    return visit.go("/scan", f"shipment {shipment_id} is voided", react(visit.site), query=_carried(visit))


def _given(visit: Visit, name: str) -> str:
    return visit.field(name) or visit.query(name)


def _carried(visit: Visit, **changes: str) -> dict[str, str]:
    query = {name: _given(visit, name) for name in ("id", "courier")}
    query |= {"done": ",".join(map(str, _done(visit)))} | changes
    return {name: text for name, text in query.items() if text}


def _done(visit: Visit) -> list[int]:
    numbers = (number_of(part) for part in _given(visit, "done")[:_LONGEST_DONE].split(","))
    return list(dict.fromkeys(number for number in numbers if number))[:LAST]
