"""What is printed, one an order: job sheets, packing slips, address labels. Scan reads the code on them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import segno
from starlette.responses import Response

from deployments.web.order import item_view
from deployments.web.orders import MAX_SELECTED, selected
from deployments.web.pages import Visit
from tasks.desk.browse import orders_by_id
from tasks.desk.errors import DeskRefusedError
from tasks.desk.references import desk_reference

TEMPLATES_BY_KIND = {"job": "sheets.html", "slip": "slips.html", "label": "labels.html"}


def show(visit: Visit) -> Response:
    """Show the sheets of the orders that the address names: ``?kind=slip&order=1&order=2``."""
    template = TEMPLATES_BY_KIND.get(visit.query("kind") or "job")
    if template is None:
        raise DeskRefusedError(f"there are {', '.join(TEMPLATES_BY_KIND)} to print, and no other kind")
    ids = selected(visit)
    found = orders_by_id(visit.site.engine, ids)
    missing = [id_ for id_ in ids if id_ not in found]
    if missing:
        raise DeskRefusedError(f"the desk has no order {desk_reference(missing[0])}")
    sheets = [
        {
            "order": found[id_],
            "items": [item_view(item) for item in found[id_]["items"]],
            "notes": _notes_of(found[id_]),
            "qr": qr_of(id_),
            "reference": desk_reference(id_),
        }
        for id_ in ids
    ]
    return visit.page(template, sheets=sheets, most=MAX_SELECTED)


def _notes_of(order: Mapping[str, Any]) -> list[str]:
    """Return the texts that belong into the parcel; podOS may send notes of any shape."""
    notes = [note.get("text") for note in order["packing_notes"] if isinstance(note, Mapping)]
    return [note for note in notes if isinstance(note, str) and note.strip()]


def qr_of(order_id: int) -> str:
    """Return an order's QR code as an address that an image shows; no Micro QR, which few scanners read."""
    return segno.make_qr(desk_reference(order_id), error="m").svg_data_uri(scale=3, border=4)
