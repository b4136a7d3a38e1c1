"""What an invented order contains: its items and their prints."""

from __future__ import annotations

import random
from dataclasses import dataclass
from itertools import accumulate

from deployments.sandbox import catalogue
from deployments.sandbox.catalogue import Product
from deployments.sandbox.wire import Order, iso, uuid_from

_ITEM_COUNTS = (1, 2, 3, 4)
_ITEM_WEIGHTS = list(accumulate((35, 40, 17, 8)))
_PRINT_COUNTS = (0, 1, 2, 3, 4)
_PRINT_WEIGHTS = list(accumulate((8, 38, 38, 10, 6)))
_QUANTITIES = (1, 1, 1, 1, 1, 2, 2, 3, 10)
_ITEM_NOTES = ("Gift: please fold.", "", "Neck label <b>off</b>", "Print colour as file / no correction")
_ARTWORK = "https://artwork.example.test"


@dataclass(frozen=True)
class Basket:
    """The items of one order with what they add up to."""

    items: list[Order]
    value_pence: int
    grams: int


def money(pence: int, currency: str) -> Order:
    """Write an amount as podOS does: a decimal string beside its currency."""
    return {"amount": f"{pence // 100}.{pence % 100:02d}", "currencyCode": currency}


def make_basket(rng: random.Random, created: int, currency: str) -> Basket:
    """Invent one to four items; `created` is the order's moment, in seconds since 1970."""
    items: list[Order] = []
    pence = grams = 0
    for _ in range(rng.choices(_ITEM_COUNTS, cum_weights=_ITEM_WEIGHTS)[0]):
        product, quantity = rng.choice(catalogue.PRODUCTS), rng.choice(_QUANTITIES)
        items.append(_item(rng, product, quantity, created, currency))
        pence += product.price_pence * quantity
        grams += product.grams * quantity
    return Basket(items, pence, grams + 45)


def _item(rng: random.Random, product: Product, quantity: int, created: int, currency: str) -> Order:
    variant = rng.choice(product.variants)
    item: Order = {
        "id": uuid_from(rng),
        "variantRef": f"https://api.podos.example.test/v1/variants/{rng.getrandbits(40):010x}",
        "quantity": quantity,
        "notes": rng.choice(_ITEM_NOTES) if rng.random() < 0.08 else None,
        "declaredValue": money(product.price_pence, currency),
        "metadata": {"productTitle": product.title, "productSku": product.sku},
        "applications": _prints(rng, product, created),
        "files": [],
    }
    if rng.random() < 0.93:
        item["metadata"]["variantSku"] = f"{product.sku}-{variant}"
    if rng.random() < 0.03:
        item["files"].append(
            {"name": "size chart.pdf", "url": f"{_ARTWORK}/files/{rng.getrandbits(32):08x}.pdf"}
        )
    return item


def _prints(rng: random.Random, product: Product, created: int) -> list[Order]:
    count = rng.choices(_PRINT_COUNTS, cum_weights=_PRINT_WEIGHTS)[0]
    return [_print(rng, product, number, created) for number in range(count)]


def _print(rng: random.Random, product: Product, number: int, created: int) -> Order:
    art = f"{rng.getrandbits(64):016x}"
    made: Order = {
        "id": uuid_from(rng),
        "technology": rng.choice(product.technologies),
        "placement": "back" if number % 2 else "front",
        "design": f"{_ARTWORK}/designs/{art}-{number + 1}.png",
        "mockup": f"{_ARTWORK}/mockups/{art}.jpg",
        "dimensions": {
            "width": rng.randint(product.width // 2, product.width),
            "height": product.height - 12.5,
        },
        "printArea": {"width": product.width, "height": product.height},
        "createdAt": iso(created),
    }
    if rng.random() < 0.02:
        made["deletedAt"] = iso(created + rng.randint(60, 900))
    _spoil_design(rng, made)
    return made


def _spoil_design(rng: random.Random, made: Order) -> None:
    """Leave a few prints without artwork, and some without a picture or sizes, as real ones are."""
    roll = rng.random()
    if roll < 0.004:
        del made["design"]
    elif roll < 0.008:
        made["design"] = ""
    elif roll < 0.04:
        del made["mockup"]
    elif roll < 0.06:
        made["dimensions"] = None
    elif roll < 0.07:
        del made["printArea"]
