"""Find orders by what people know of them: numbers, names, addresses, SKUs, tracking codes."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import ColumnElement, func, or_, select

from tasks.desk.tables import ITEMS, ORDERS, SHIPMENTS
from tasks.visible_text import visible

_COLUMNS = (
    *("order_number", "fulfiller_reference", "merchant_reference", "source_id"),
    *("ship_name", "ship_company", "ship_postal_code", "email"),
)


class OrderFilter(NamedTuple):
    """Which orders are wanted; None is all.

    Attributes:
        search: a part of a number, reference, podOS id, buyer's name, company, postal code, e-mail, SKU or
            tracking code, in any case; several words must all be found.
        country: a code or an English name.
        status: podOS's, in any case.
        since: aware; created in podOS then or later.
    """

    search: str | None = None
    country: str | None = None
    status: str | None = None
    since: datetime | None = None

    def conditions(self) -> Iterator[ColumnElement[bool]]:
        """Yield what an order must fulfil."""
        for word in visible(self.search or "").split():
            yield _has(word)
        if self.country:
            from models.countries import country_code  # its list takes time to load

            yield ORDERS.c.ship_country == (country_code(self.country) or self.country.strip().upper())
        if self.status:
            yield func.lower(ORDERS.c.podos_status) == self.status.strip().lower()
        if self.since:
            yield ORDERS.c.podos_created_at >= self.since


EVERY_ORDER = OrderFilter()


def _has(word: str) -> ColumnElement[bool]:
    items = select(ITEMS.c.order_id).where(ITEMS.c.sku.icontains(word, autoescape=True))
    parcels = select(SHIPMENTS.c.order_id).where(SHIPMENTS.c.code.icontains(word, autoescape=True))
    return or_(
        *(ORDERS.c[name].icontains(word, autoescape=True) for name in _COLUMNS),
        ORDERS.c.id.in_(items),
        ORDERS.c.id.in_(parcels),
    )
