"""Limit the request rate of an integration across all processes and machines."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import Connection, Engine, select, update

from tasks.desk.engine import reading, writing
from tasks.desk.sql import insert_for
from tasks.desk.tables import PACES
from tasks.desk.throttling import Throttle, slowed_down, sped_up


def claim_slots(
    engine: Engine, integration: str, *, requests_per_second: float | None, now: datetime
) -> list[datetime]:
    """Take the next turns of an integration, a second's worth, and return when each of them is (aware UTC).

    Args:
        engine: the desk.
        integration: whose requests.
        requests_per_second: the cap of its settings, above 0; None: only what podOS refused limits it.
        now: aware.

    Returns:
        At least one turn; what is not used in time is lost. Empty: nothing limits the rate.
    """
    with writing(engine) as connection:
        free_at, throttle = _locked(connection, engine, integration, now)
        limits = (requests_per_second, throttle.per_second if throttle else None)
        rate = min((limit for limit in limits if limit), default=None)
        if rate is None:
            return []
        count, gap = max(1, int(rate)), timedelta(seconds=1 / rate)
        first = max(free_at, now)
        values: dict[str, object] = {"free_at": first + gap * count}
        if throttle:
            values |= _columns(sped_up(throttle, requests=count, now=now))
        connection.execute(update(PACES).where(PACES.c.integration == integration).values(values))
    return [first + gap * number for number in range(count)]


def note_refusal(engine: Engine, integration: str, *, recent: int, now: datetime) -> None:
    """Halve the rate of an integration because podOS answered 429; several at once count as one.

    Args:
        engine: the desk.
        integration: whose request it was.
        recent: how many requests of this process began in the last second.
        now: aware.
    """
    with writing(engine) as connection:
        _, before = _locked(connection, engine, integration, now)
        after = slowed_down(before, recent=recent, now=now)
        if after != before:
            values = {"free_at": now + timedelta(seconds=1 / after.per_second), **_columns(after)}
            connection.execute(update(PACES).where(PACES.c.integration == integration).values(values))


def is_throttled(engine: Engine, integration: str) -> bool:
    """Return whether an integration keeps to a rate because podOS refused a faster one."""
    with reading(engine) as connection:
        query = select(PACES.c.throttled_per_second).where(PACES.c.integration == integration)
        return connection.execute(query).scalar() is not None


def _locked(
    connection: Connection, engine: Engine, integration: str, now: datetime
) -> tuple[datetime, Throttle | None]:
    """Return from when on the next request may be made, and the throttle; other processes wait."""
    fresh = insert_for(engine)(PACES).values(integration=integration, free_at=now)
    connection.execute(fresh.on_conflict_do_nothing())
    query = select(PACES).where(PACES.c.integration == integration).with_for_update()
    row = connection.execute(query).one()
    if row.throttled_per_second is None:
        return row.free_at, None
    return row.free_at, Throttle(row.throttled_per_second, row.refused_per_second, row.refused_at)


def _columns(throttle: Throttle | None) -> dict[str, object]:
    return {
        "throttled_per_second": throttle and throttle.per_second,
        "refused_per_second": throttle and throttle.refused_per_second,
        "refused_at": throttle and throttle.refused_at,
    }
