"""Couriers: the names podOS shows, and where a parcel can be followed. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import quote

from models.carriers import TRACKING_ADDRESSES


def shown_name(courier: str, names: Mapping[str, str]) -> str:
    """Return the name podOS is to show for a courier.

    Args:
        courier: what the supplier's system calls it.
        names: the integration's map, from case-folded carrier codes to names.
    """
    return names.get(courier.strip().casefold(), courier.strip())


def tracking_address(courier: str, code: str) -> str | None:
    """Return where a parcel can be followed, None for a courier we know no address of.

    Upper and lower case are the same; spaces and dashes in the courier's name are ignored.
    """
    template = _BY_KEY.get(_key(courier))
    return template.format(code=quote(code.strip(), safe="")) if template else None


def _key(courier: str) -> str:
    return "".join(char for char in courier.casefold() if char.isalnum())


_BY_KEY = {_key(name): template for name, template in TRACKING_ADDRESSES.items()}
