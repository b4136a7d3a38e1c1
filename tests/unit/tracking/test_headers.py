"""Header names that carriers and shops use, and those that a setting gives."""

from __future__ import annotations

import pytest

from tasks.tracking.headers import KNOWN_HEADERS, NEEDED, header_key, places_of
from tasks.tracking.tables import ShipmentFileError


@pytest.mark.parametrize(
    "header",
    [
        "Order Number,Carrier,Tracking Number,Ship Date",
        "Order #,Carrier,Tracking #,Date shipped",
        "order_number,carrier_name,tracking_code,ship_date",
        "Reference 1,Courier,Parcel Number,Despatch Date",
        "CUSTOMER REFERENCE,SHIPPING PROVIDER,Tracking-ID,Shipping date",
        "Bestellnummer,Versanddienstleister,Sendungsnummer,Versanddatum",
        "Name,Tracking Company,Tracking Numbers,Fulfilled at",
    ],
)
def test_known_headers(header: str) -> None:
    assert places_of(header.split(","), {}) == {"order": 0, "courier": 1, "code": 2, "shipped_at": 3}


def test_a_name_of_an_earlier_group_counts() -> None:
    header = ["Customer Reference", "Carrier", "Consignment Number", "Tracking Number", "Order"]
    assert places_of(header, {}) == {"order": 4, "courier": 1, "code": 3}


def test_two_names_of_one_group_are_refused() -> None:
    with pytest.raises(
        ShipmentFileError, match="order twice, columns 1 and 2: rename one, or name the right"
    ):
        places_of(["Order Number", "Order ID", "Carrier", "Code"], {})


def test_a_setting_names_headers_of_ones_own() -> None:
    own = {"order": "Order ID", "code": "Meine Nr."}
    assert places_of(["Order Number", "Order ID", "Carrier", "meine nr"], own) == {
        "order": 1,
        "courier": 2,
        "code": 3,
    }
    with pytest.raises(ShipmentFileError, match=r"lacks the column Meine Nr\."):
        places_of(["Order ID", "Carrier", "Code"], own)


def test_no_name_stands_for_two_columns() -> None:
    keys = [
        header_key(name)
        for groups in KNOWN_HEADERS.values()
        for names in groups
        for name in names.split(", ")
    ]
    assert len(keys) == len(set(keys))
    assert set(NEEDED) < set(KNOWN_HEADERS)
