"""Who an invented order goes to: the merchant's order number, the buyer and the address."""

from __future__ import annotations

import random
from dataclasses import dataclass
from itertools import accumulate

from deployments.sandbox import catalogue
from deployments.sandbox.catalogue import Country, Place
from deployments.sandbox.wire import Order, rng_for, uuid_from

_WEIGHTS = list(accumulate(country.weight for country in catalogue.COUNTRIES))
_LETTERS = "ABDEFGHJLNPQRSTUWXYZ"


@dataclass(frozen=True)
class Customer:
    """One merchant order's buyer. Every fulfillment of that order carries the same one."""

    merchant_reference: str
    order_ref: str
    currency: str
    contact: Order
    address: Order


def leader_of(index: int) -> int:
    """Say which order's merchant order this one belongs to: most their own, some the one before."""
    if index % 14 == 1:
        return index - 1
    return index - 2 if index % 42 == 2 else index


def make_customer(seed: int, index: int) -> Customer:
    """Invent the buyer of the order with this number; the same for all of one merchant order."""
    leader = leader_of(index)
    rng = rng_for(seed, "customer", leader)
    country = rng.choices(catalogue.COUNTRIES, cum_weights=_WEIGHTS)[0]
    first, last = rng.choice(catalogue.FIRST_NAMES), rng.choice(catalogue.LAST_NAMES)
    return Customer(
        merchant_reference=f"SHOP-{100_000 + leader}",
        order_ref=f"https://api.podos.example.test/v1/orders/{uuid_from(rng)}",
        currency=country.currency,
        contact=_contact(rng, leader, country),
        address=_address(rng, f"{first} {last}", country),
    )


def _contact(rng: random.Random, leader: int, country: Country) -> Order:
    contact: Order = {"email": f"buyer.{leader}@example.test"}
    roll = rng.random()
    if roll < 0.7:
        contact["phone"] = _fill(rng, country.phone)
    elif roll < 0.85:
        contact["phone"] = None
    elif roll < 0.9:
        contact["phone"] = ""
    return contact


def _address(rng: random.Random, name: str, country: Country) -> Order:
    place = rng.choice(country.places)
    address: Order = {
        "contactName": f" {name}" if rng.random() < 0.04 else name,
        "line1": f"{rng.randint(1, 240)} {rng.choice(country.streets)}",
        "city": f"  {place.city}" if rng.random() < 0.01 else place.city,
        "country": country.code,
        "state": _state(place),
    }
    _sometimes(rng, address, "company", catalogue.COMPANIES)
    _sometimes(rng, address, "line2", catalogue.SECOND_LINES)
    if place.postal:
        address["postalCode"] = _fill(rng, place.postal)
    elif rng.random() < 0.5:
        address["postalCode"] = ""
    return address


def _state(place: Place) -> Order | None:
    if place.state_code is None:
        return None
    return {"name": place.state_name, "code": place.state_code}


def _sometimes(rng: random.Random, address: Order, field: str, choices: tuple[str, ...]) -> None:
    """Fill an optional line in one address of six, leave it empty in some, absent in most."""
    roll = rng.random()
    if roll < 0.17:
        address[field] = rng.choice(choices)
    elif roll < 0.35:
        address[field] = ""


def _fill(rng: random.Random, pattern: str) -> str:
    return "".join(
        str(rng.randrange(10)) if sign == "#" else rng.choice(_LETTERS) if sign == "@" else sign
        for sign in pattern
    )
