"""Invent orders: seeded, repeatable to the byte, and as untidy as real ones. Pure."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import accumulate

from deployments.sandbox import catalogue
from deployments.sandbox.customers import make_customer
from deployments.sandbox.items import make_basket, money
from deployments.sandbox.quirks import add_nulls, add_unknown_values, break_order
from deployments.sandbox.wire import Order, iso, rng_for, uuid_from

BIG_BURST_FROM = 1000
"""From this many orders on, one second holds `BIG_BURST` of them: more than a page."""
BIG_BURST = 160

_STATUSES = tuple(catalogue.STATUS_WEIGHTS)
_STATUS_WEIGHTS = list(accumulate(catalogue.STATUS_WEIGHTS.values()))
_PATHS: dict[str, tuple[str, ...]] = {
    "new": (),
    "pre_order": ("new",),
    "moderation": ("new",),
    "paid": ("new",),
    "processing": ("new", "paid"),
    "printed": ("new", "paid", "processing"),
    "consolidated": ("new", "paid", "processing", "printed"),
    "complete": ("new", "paid", "processing", "printed"),
    "refunded": ("new", "paid"),
}
_HOSTS = ("https://api.podos.example.test", "https://api.teemill.example.test")
_SERVICE_LEVELS = (24, 48, 48, 72, 120, None)
_HOUR = 3600


@dataclass(frozen=True)
class GeneratorOptions:
    """Which orders to invent.

    Attributes:
        now: The moment up to which orders exist; needs a time zone.
        seed: The same seed and `now` give the same orders, byte for byte.
        orders: How many.
        days: How far back the first one lies.
        broken: How many of them have a broken shape.
        nulls: Whether null stands in some places where the schema says string.
        unknown_values: Whether some placements and technologies are not in the schema.
    """

    now: datetime
    seed: int = 1
    orders: int = 250
    days: int = 30
    broken: int = 0
    nulls: bool = True
    unknown_values: bool = True


def generate_orders(options: GeneratorOptions) -> Iterator[Order]:
    """Yield the orders, oldest first."""
    factory = OrderFactory(options)
    broken = _broken_positions(options)
    for index, created in enumerate(_creation_times(options)):
        if index in broken:
            order = factory.order(index, created, status="paid")
            order.update(frozen=False, frozenReasons=[])
            break_order(order, broken[index])
        else:
            order = factory.order(index, created)
        yield order


def _creation_times(options: GeneratorOptions) -> list[int]:
    """Spread the orders over the days, some in the same second as the one before."""
    rng = rng_for(options.seed, "times")
    end = int(options.now.timestamp())
    span = max(options.days * 24 * _HOUR, 1)
    times = sorted(end - rng.randrange(span) for _ in range(options.orders))
    position = 0
    while position < len(times):
        length = rng.randint(2, 5)
        times[position : position + length] = [times[position]] * len(times[position : position + length])
        position += length + rng.randint(5, 60)
    if options.orders >= BIG_BURST_FROM:
        first = rng.randrange(len(times) - BIG_BURST)
        times[first : first + BIG_BURST] = [times[first]] * BIG_BURST
    return times


def _broken_positions(options: GeneratorOptions) -> dict[int, int]:
    rng = rng_for(options.seed, "broken")
    count = min(options.broken, options.orders)
    return {position: number for number, position in enumerate(rng.sample(range(options.orders), count))}


class OrderFactory:
    """Makes single orders of one seed; the order of an index does not depend on those made before."""

    def __init__(self, options: GeneratorOptions) -> None:
        """Keep the options; nothing is generated yet."""
        self._options = options
        self._now = int(options.now.timestamp())

    def order(self, index: int, created: int, status: str | None = None) -> Order:
        """Invent the order with this number.

        Args:
            index: Its number, from 0; decides everything that is not given.
            created: When it was created, in seconds since 1970.
            status: Its status; drawn by weight when not given.
        """
        rng = rng_for(self._options.seed, "order", index)
        drawn = rng.choices(_STATUSES, cum_weights=_STATUS_WEIGHTS)[0]
        order = self._whole(rng, index, created, status or drawn)
        if self._options.nulls:
            add_nulls(rng, order)
        if self._options.unknown_values:
            add_unknown_values(rng, order)
        return order

    def _whole(self, rng: random.Random, index: int, created: int, status: str) -> Order:
        customer = make_customer(self._options.seed, index)
        basket = make_basket(rng, created, customer.currency)
        identity = uuid_from(rng)
        order: Order = {
            "id": identity,
            "ref": f"{rng.choice(_HOSTS)}/v1/fulfillments/{identity}",
            "orderRef": customer.order_ref,
            "merchantReference": customer.merchant_reference,
            "status": status,
            "priorityLevel": "priority" if rng.random() < 0.1 else "standard",
            "contactInformation": dict(customer.contact),
            "shippingAddress": dict(customer.address),
            "shippingMethod": _shipping_method(rng),
            "declaredValue": money(basket.value_pence, customer.currency),
            "packageWeight": basket.grams,
            "items": basket.items,
            "tracking": _tracking(rng, status),
        }
        if rng.random() < 0.9:
            order["fulfillerReference"] = f"F{700_000 + index}"
        order.update(_history(rng, status, created, max(self._now, created)))
        order.update(_extras(rng, created))
        return order


def _history(rng: random.Random, status: str, created: int, now: int) -> Order:
    path = (*_PATHS[status], status)
    room = now - created
    updated = created + min(
        room, rng.choice((0, 60, _HOUR, 20 * _HOUR, 90 * _HOUR)) * rng.randrange(1, 100) // 60
    )
    changed = created if len(path) == 1 else rng.randint(created, updated)
    steps = [created + (changed - created) * step // max(len(path) - 1, 1) for step in range(len(path))]
    return {
        "createdAt": iso(created),
        "updatedAt": iso(updated),
        "statusChangedAt": iso(changed),
        "statusHistory": [
            {"status": name, "createdAt": iso(moment)} for name, moment in zip(path, steps, strict=True)
        ],
    }


def _shipping_method(rng: random.Random) -> Order:
    code, name, fastest, slowest = rng.choice(catalogue.SHIPPING_METHODS)
    estimates = {"min": f"P{fastest}D", "max": f"P{slowest}D"}
    return {"id": f"method-{code}", "code": code, "name": name, "deliveryEstimates": estimates}


def _tracking(rng: random.Random, status: str) -> Order | None:
    if status != "complete" or rng.random() < 0.1:
        return None
    tracking: Order = {"courier": rng.choice(catalogue.COURIERS), "code": f"00{rng.getrandbits(44):014d}"}
    if rng.random() < 0.7:
        tracking["url"] = f"https://track.example.test/{tracking['code']}"
    return tracking


def _extras(rng: random.Random, created: int) -> Order:
    reasons = rng.sample(catalogue.FROZEN_REASONS, rng.randint(1, 2)) if rng.random() < 0.05 else []
    level = rng.choice(_SERVICE_LEVELS)
    extras: Order = {
        "frozen": bool(reasons),
        "frozenReasons": reasons,
        "serviceLevel": level,
        "deadline": iso(created + level * _HOUR) if level else None,
        "bulk": rng.random() < 0.02,
        "packingNotes": [],
        "additionalFiles": [],
        "sourcePlatform": {"name": rng.choice(catalogue.PLATFORMS)} if rng.random() < 0.9 else None,
    }
    if rng.random() < 0.15:
        extras["packingNotes"].append({"type": "insert", "text": "Add the thank-you card.", "image": None})
    if rng.random() < 0.07:
        image = "https://artwork.example.test/packing/sleeve.png"
        extras["packingNotes"].append({"type": "custom_packaging", "text": None, "image": image})
    if rng.random() < 0.1:
        file = {
            "name": "packing slip.pdf",
            "src": f"https://artwork.example.test/slips/{rng.getrandbits(32):08x}.pdf",
        }
        extras["additionalFiles"].append(file)
    return extras
