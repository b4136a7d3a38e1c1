"""What carriers, shops and shipping programs call the columns of a shipment file. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from tasks.text_cells import from_csv_cell
from tasks.tracking.tables import ShipmentFileError
from tasks.visible_text import visible

DESK_ID = "desk_id"
"""It may stand in for the order, or beside it where several orders share a number."""
COLUMNS = ("order", "courier", "code", "url", "shipped_at", DESK_ID)
NEEDED = ("order", "courier", "code")
KNOWN_HEADERS = {
    "order": (
        "order",
        "order number, order no, order id, source id, order reference, order ref, shop order number, "
        "sales order number, bestellnummer, auftragsnummer, numéro de commande",
        "reference, reference number, ref, customer reference, customer ref, your reference, "
        "shipment reference, shipment reference 1, package reference, package reference 1, reference 1, "
        "channel reference, sender reference, parcel reference, client reference, referenz, "
        "kundenreferenz, référence",
        "name",
    ),
    "courier": (
        "courier",
        "carrier, carrier name, courier name, shipping carrier, shipping company, shipping provider, "
        "tracking provider, tracking company, shipment carrier, carrier code, versanddienstleister, "
        "transporteur",
    ),
    "code": (
        "code",
        "tracking number, tracking no, tracking, tracking code, tracking id, tracking reference, "
        "tracking numbers, shipment tracking number, package tracking number, sendungsnummer, "
        "numéro de suivi",
        "parcel number, parcel code, parcel no, shipment number, waybill number, waybill, awb, "
        "air waybill number, label number, paketnummer, paketscheinnummer",
        "consignment number, consignment no, consignment, master tracking number",
    ),
    "url": ("url", "tracking url, tracking link, tracking page, tracking urls"),
    "shipped_at": (
        "shipped_at",
        "ship date, shipped date, date shipped, shipped on, shipping date, shipment date, dispatch date, "
        "despatch date, date despatched, fulfilled at, versanddatum",
    ),
    DESK_ID: (DESK_ID,),
}
"""For each column its names; of several in a file, the one of the earlier group counts."""
_PASSED_OVER = re.compile(r"[\s_#:.\-]+")


def header_key(name: str) -> str:
    """Return what tells header names apart: letters and digits, in lower case."""
    return _PASSED_OVER.sub("", visible(from_csv_cell(visible(name))).casefold())


def places_of(header: Sequence[str], own: Mapping[str, str]) -> dict[str, int]:
    """Return where each column stands.

    Args:
        header: the cells of the header line.
        own: the header that a setting gives for a column; it replaces the known ones.

    Raises:
        ShipmentFileError: a column is missing, or two could be it.
    """
    keys = [header_key(name) for name in header]
    found = {column: _place(column, keys, own) for column in COLUMNS}
    missing = [
        own.get(name, name)
        for name in NEEDED
        if found[name] is None and not (name == "order" and found[DESK_ID] is not None)
    ]
    if missing:
        raise ShipmentFileError(
            f"the file lacks the column {', '.join(missing)}; it needs {', '.join(NEEDED)}, "
            "or headers that DESK_SHIPMENT_COLUMNS names"
        )
    return {column: place for column, place in found.items() if place is not None}


def _place(column: str, keys: Sequence[str], own: Mapping[str, str]) -> int | None:
    groups = [[own[column]]] if column in own else [names.split(", ") for names in KNOWN_HEADERS[column]]
    for group in groups:
        wanted = {header_key(name) for name in group}
        places = [place for place, key in enumerate(keys) if key in wanted]
        if len(places) > 1:
            raise ShipmentFileError(
                f"the file has the column {column} twice, columns {places[0] + 1} and {places[1] + 1}: "
                f"rename one, or name the right one in DESK_SHIPMENT_COLUMNS"
            )
        if places:
            return places[0]
    return None
