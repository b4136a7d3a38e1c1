"""Find the rate that podOS allows: halve it at a 429, then let it grow, slowly near the refused one. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

SLOWEST_PER_SECOND = 0.2
SETTLE = timedelta(seconds=1)
"""A 429 to what was under way when podOS refused says nothing about the new rate."""
LEAST_REFUSED_PER_SECOND = 2.0
"""What the first refusal is taken to have refused at least: nothing is known yet."""
GROWTH = 0.25
"""Added to the rate by each request, up to near where podOS refused last: a quarter more each second."""
ACCELERATION = 0.002
"""Above, each request adds this for each second since the refusal: a chance refusal is soon made up for."""
NEAR = 0.9
NO_LIMIT_PER_SECOND = 1000.0


@dataclass(frozen=True)
class Throttle:
    """The rate to keep to since podOS refused a request because of it.

    Attributes:
        per_second: how many requests may begin in a second.
        refused_per_second: the rate at which podOS refused last.
        refused_at: when (aware).
    """

    per_second: float
    refused_per_second: float
    refused_at: datetime


def slowed_down(throttle: Throttle | None, *, recent: int, now: datetime) -> Throttle:
    """Return the throttle after a 429; several that come together count as one.

    Args:
        throttle: the one before, None for none.
        recent: how many requests began in the last second.
        now: aware.
    """
    if throttle and now - throttle.refused_at < SETTLE:
        return throttle
    refused = throttle.per_second if throttle else max(LEAST_REFUSED_PER_SECOND, float(recent))
    return Throttle(max(SLOWEST_PER_SECOND, refused / 2), refused, now)


def sped_up(throttle: Throttle, *, requests: int, now: datetime) -> Throttle | None:
    """Return the throttle after so many more requests, None when it is so fast that it is none.

    Args:
        throttle: the one before.
        requests: how many more may be made.
        now: aware.
    """
    growth = GROWTH
    if throttle.per_second >= throttle.refused_per_second * NEAR:
        growth = min(GROWTH, ACCELERATION * (now - throttle.refused_at).total_seconds())
    faster = throttle.per_second + growth * requests
    return None if faster > NO_LIMIT_PER_SECOND else replace(throttle, per_second=faster)
