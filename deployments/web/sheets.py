"""Job sheets: one an order, for the printer on the desk; the code on it is what Scan reads."""

from __future__ import annotations

import segno
from starlette.responses import Response

from deployments.web.order import item_view
from deployments.web.orders import MAX_SELECTED, selected
from deployments.web.pages import Visit
from tasks.desk.browse import orders_by_id
from tasks.desk.errors import DeskRefusedError
from tasks.desk.references import desk_reference


def show(visit: Visit) -> Response:
    """Show the sheets of the orders that the address names: ``?order=1&order=2``."""
    ids = selected(visit)
    found = orders_by_id(visit.site.engine, ids)
    missing = [id_ for id_ in ids if id_ not in found]
    if missing:
        raise DeskRefusedError(f"the desk has no order {desk_reference(missing[0])}")
    sheets = [
        {
            "order": found[id_],
            "items": [item_view(item) for item in found[id_]["items"]],
            "qr": qr_of(id_),
            "reference": desk_reference(id_),
        }
        for id_ in ids
    ]
    return visit.page("sheets.html", sheets=sheets, most=MAX_SELECTED)


def qr_of(order_id: int) -> str:
    """Return an order's QR code as an address that an image shows; no Micro QR, which few scanners read."""
    return segno.make_qr(desk_reference(order_id), error="m").svg_data_uri(scale=3, border=4)
