"""How the sandbox writes values: JSON bytes, dates, identifiers and repeatable randomness."""

from __future__ import annotations

import json
import random
from datetime import UTC, datetime
from typing import Any

Order = dict[str, Any]
"""One fulfillment as it is answered; broken ones included, so nothing about its shape is certain."""

_ENCODER = json.JSONEncoder(separators=(",", ":"))


def render(value: object) -> bytes:
    r"""Write compact ASCII JSON with every slash escaped (``\/``), as podOS was seen to answer."""
    return _ENCODER.encode(value).replace("/", "\\/").encode("ascii")


def iso(epoch_seconds: int) -> str:
    """Write a moment as podOS does: ``2026-11-23T10:15:00+00:00``."""
    return datetime.fromtimestamp(epoch_seconds, UTC).isoformat()


def epoch(value: object) -> int:
    """Read a date of an order as whole seconds since 1970; 0 when it holds no date."""
    if not isinstance(value, str):
        return 0
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        return 0
    return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp())


def rng_for(*parts: object) -> random.Random:
    """Make a generator that draws the same numbers for the same parts on every machine."""
    return random.Random(":".join(map(str, parts)))  # noqa: S311 - invented data, nothing secret


def uuid_from(rng: random.Random) -> str:
    """Draw a version 4 UUID."""
    text = f"{rng.getrandbits(128):032x}"
    return f"{text[:8]}-{text[8:12]}-4{text[13:16]}-a{text[17:20]}-{text[20:]}"
