"""Orders rendered once, and pages cut out of them: what the benchmark mode of the sandbox serves.

A page is a slice of one long text, found by bisection, so that what is measured is the client and not this.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from math import pi, sin

from deployments.sandbox.generator import GeneratorOptions, OrderFactory
from deployments.sandbox.query import ListQuery
from deployments.sandbox.wire import Order, iso, render, rng_for, uuid_from

FIRST_ORDER_AT = datetime(2026, 1, 1, tzinfo=UTC)
SECONDS_BETWEEN_ORDERS = 26.0
"""On average; twice as close at noon as at night is far. 200,000 orders are sixty days."""
UPDATED_AFTER_SECONDS = 60
"""Every order was last changed a minute after it was created: both dates sort the same way."""
_TEMPLATES = 64
_DAY_SECONDS = 86_400
_ID, _CREATED, _UPDATED = "11111111-2222-4333-a444-555555555555", "C-R-E-A-T-E-D", "U-P-D-A-T-E-D"
_REFERENCE = "R-E-F-E-R-E-N-C-E"


@dataclass(frozen=True)
class PageCut:
    """The rows of one page as pieces of JSON, to be sent one after the other, and whether more follow."""

    pieces: Sequence[bytes | memoryview]
    more: bool


class PrerenderedOrders:
    """Many orders with two items and three or four prints each; ids and times differ, bodies repeat.

    Attributes:
        visible: how many of them podOS has by now; the rest are still to come.
    """

    def __init__(self, count: int, seed: int = 1) -> None:
        """Render them all."""
        self.visible = count
        self._moments = array("q", islice(_creation_times(seed), count))
        self._starts = array("q")
        text = bytearray()
        templates = _templates(seed)
        rng = rng_for(seed, "ids")
        for number, created in enumerate(self._moments):
            self._starts.append(len(text))
            text += _fill(templates[number % len(templates)], uuid_from(rng), created, number)
            text += b","
        self._starts.append(len(text))
        self._text = memoryview(bytes(text))

    def __len__(self) -> int:
        """Count the orders, those still to come too."""
        return len(self._moments)

    @property
    def bytes_an_order(self) -> float:
        """The average length of an order's JSON."""
        return len(self._text) / max(len(self), 1)

    def cut(self, query: ListQuery) -> PageCut:
        """Return one page; filters other than the dates are not known here, sorting is by date only."""
        low, high = self._span(query)
        done = (query.page - 1) * query.page_size
        size = max(0, min(query.page_size, high - low - done))
        more = high - low - done > query.page_size
        if query.filter.sort[0].descending:
            last = high - done
            return PageCut(self._one_by_one(range(last - 1, last - 1 - size, -1)), more)
        first = low + done
        if size == 0:
            return PageCut([], more)
        return PageCut([self._text[self._starts[first] : self._starts[first + size] - 1]], more)

    def _span(self, query: ListQuery) -> tuple[int, int]:
        wanted, moments = query.filter, self._moments
        later = UPDATED_AFTER_SECONDS if wanted.date_field == "updatedAt" else 0
        low = 0 if wanted.start is None else bisect_left(moments, wanted.start - later, 0, self.visible)
        if wanted.end is None:
            return low, self.visible
        return low, max(low, bisect_right(moments, wanted.end - later, 0, self.visible))

    def _one_by_one(self, positions: range) -> list[bytes | memoryview]:
        pieces: list[bytes | memoryview] = []
        for position in positions:
            pieces += (self._text[self._starts[position] : self._starts[position + 1] - 1], b",")
        return pieces[:-1]


def _creation_times(seed: int) -> Iterator[int]:
    """Yield moments: more orders by day than by night, now and then several in one second."""
    rng = rng_for(seed, "moments")
    moment = FIRST_ORDER_AT.timestamp()
    while True:
        yield int(moment)
        by_day = 1 - 0.6 * sin(2 * pi * (moment % _DAY_SECONDS) / _DAY_SECONDS - pi / 2)
        moment += rng.expovariate(1 / (SECONDS_BETWEEN_ORDERS * by_day))


def _templates(seed: int) -> list[list[bytes]]:
    """Return order bodies cut at the places that differ from order to order."""
    factory = OrderFactory(GeneratorOptions(now=FIRST_ORDER_AT, seed=seed, nulls=False, unknown_values=False))
    created = int(FIRST_ORDER_AT.timestamp())
    orders = (factory.order(index, created, status="paid") for index in range(100 * _TEMPLATES))
    found = [render(_marked(order)) for order in orders if _is_typical(order)]
    return [_pieces(body) for body in sorted(found, key=len)[:_TEMPLATES]]


def _is_typical(order: Order) -> bool:
    prints = [print_ for item in order["items"] for print_ in item["applications"]]
    whole = all(print_.get("design") and not print_.get("deletedAt") for print_ in prints)
    has_number = "fulfillerReference" in order
    return has_number and len(order["items"]) == 2 and len(prints) in {3, 4} and whole and not order["frozen"]


def _marked(order: Order) -> Order:
    own = {"id": _ID, "createdAt": _CREATED, "updatedAt": _UPDATED, "fulfillerReference": _REFERENCE}
    return {**order, "ref": "https://api.podos.example.test/v1/fulfillments/one", **own}


def _pieces(body: bytes) -> list[bytes]:
    """Cut a body at its marks, whose order is that of the generator's fields."""
    pieces = []
    rest = body
    for mark in (_ID, _REFERENCE, _CREATED, _UPDATED):
        before, found, rest = rest.partition(mark.encode())
        if not found:
            raise ValueError("the generator's orders have another order of fields by now")
        pieces.append(before)
    return [*pieces, rest]


def _fill(pieces: list[bytes], identity: str, created: int, number: int) -> bytes:
    times = iso(created).encode(), iso(created + UPDATED_AFTER_SECONDS).encode()
    values = (identity.encode(), b"F%d" % (700_000 + number), *times)
    return b"".join(part for pair in zip(pieces, values, strict=False) for part in pair) + pieces[-1]
