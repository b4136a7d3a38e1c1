"""What real podOS answers hold and the published schema does not allow, and orders of a broken shape."""

from __future__ import annotations

import random
from collections.abc import Callable

from deployments.sandbox.wire import Order

NULL_FIELDS: tuple[str, ...] = (
    "fulfillerReference",
    "merchantReference",
    "shippingAddress.company",
    "shippingAddress.line2",
    "shippingAddress.postalCode",
    "shippingMethod.code",
    "tracking.url",
    "items.metadata.variantSku",
    "items.applications.design",
    "items.applications.mockup",
    "items.applications.deletedAt",
)
"""Every place where the sandbox answers null although the schema says string."""

UNKNOWN_PLACEMENTS = ("left_chest", "right_sleeve")
UNKNOWN_TECHNOLOGY = "uv_transfer"

_NULL_SHARE = 0.12
_UNKNOWN_SHARE = 0.02


def add_nulls(rng: random.Random, order: Order) -> None:
    """Put null in one or two of `NULL_FIELDS`, in about one order of eight."""
    if rng.random() >= _NULL_SHARE:
        return
    for path in rng.sample(NULL_FIELDS, rng.randint(1, 2)):
        *parents, field = path.split(".")
        holder = _descend(rng, order, parents)
        if holder is not None:
            holder[field] = None


def add_unknown_values(rng: random.Random, order: Order) -> None:
    """Give a print a placement or technology that nobody has heard of, in about one order of fifty."""
    if rng.random() >= _UNKNOWN_SHARE:
        return
    made = _descend(rng, order, ["items", "applications"])
    if made is None:
        return
    if rng.random() < 0.3:
        made["technology"] = UNKNOWN_TECHNOLOGY
    else:
        made["placement"] = rng.choice(UNKNOWN_PLACEMENTS)


def _descend(rng: random.Random, order: Order, parents: list[str]) -> Order | None:
    here: Order = order
    for name in parents:
        below = here.get(name)
        if not below:
            return None
        here = rng.choice(below) if isinstance(below, list) else below
    return here


def _items_as_number(order: Order) -> None:
    order["items"] = 7


def _items_as_text(order: Order) -> None:
    order["items"] = "2 tees, black"


def _quantity_as_word(order: Order) -> None:
    order["items"][0]["quantity"] = "two"


def _id_missing(order: Order) -> None:
    del order["id"]


BREAKAGES: tuple[Callable[[Order], None], ...] = (
    _items_as_number,
    _items_as_text,
    _quantity_as_word,
    _id_missing,
)


def break_order(order: Order, number: int) -> None:
    """Break the shape of an order; `number` (from 0) turns through the kinds of `BREAKAGES`."""
    BREAKAGES[number % len(BREAKAGES)](order)
