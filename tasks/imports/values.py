"""Single values as the desk keeps them: text, references, countries, money. Pure."""

from __future__ import annotations

from decimal import Decimal
from functools import lru_cache

from models.countries import country_code
from models.podos import Fulfillment, Price
from tasks.visible_text import visible


def clean(text: str | None) -> str | None:
    """Return text without the white space around it, None for nothing; PostgreSQL takes no NUL."""
    if not text:
        return None
    if "\x00" in text:
        text = text.replace("\x00", "")
    return text.strip() or None


def country_of(row: Fulfillment) -> str | None:
    """Return the country shipped to: its two-letter code, or in upper case what can't be told for one."""
    country = clean(row.shipping_address.country) if row.shipping_address else None
    return (country_code(country) or country.upper()) if country else None


def names_no_country(row: Fulfillment) -> bool:
    """Return whether podOS wrote something for a country that is none."""
    country = clean(row.shipping_address.country) if row.shipping_address else None
    return country is not None and country_code(country) is None


def identifier(text: str | None) -> str | None:
    """Return a reference or SKU as people see it, so that two that look the same are the same."""
    shown = visible(clean(text) or "")
    if not shown.isprintable():
        shown = "".join(char for char in shown if char.isprintable()).strip()
    return shown or None


def fold(text: str | None) -> str:
    """Return what texts are compared by where upper and lower case are the same."""
    return (clean(text) or "").casefold()


def amount_of(price: Price | None) -> Decimal | None:
    """Return an amount of money, exactly as it was written."""
    return _decimal(price.amount) if price and price.amount else None


@lru_cache(maxsize=4096)
def _decimal(text: str) -> Decimal | None:
    amount = clean(text)
    return Decimal(amount) if amount else None
