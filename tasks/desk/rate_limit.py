"""Limit the request rate of an integration across all processes and machines."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import Engine, select, update

from tasks.desk.engine import writing
from tasks.desk.sql import insert_for
from tasks.desk.tables import PACES


def claim_slots(
    engine: Engine, integration: str, *, requests_per_second: float, count: int, now: datetime
) -> list[datetime]:
    """Take the next turns of an integration and return when each of them is (aware UTC).

    Args:
        engine: the desk.
        integration: whose requests.
        requests_per_second: the cap, above 0.
        count: how many turns; what is not used in time is lost.
        now: aware.
    """
    gap = timedelta(seconds=1 / requests_per_second)
    insert = insert_for(engine)
    mine = PACES.c.integration == integration
    with writing(engine) as connection:
        fresh = insert(PACES).values(integration=integration, free_at=now)
        connection.execute(fresh.on_conflict_do_nothing())
        free_at = connection.execute(select(PACES.c.free_at).where(mine).with_for_update()).scalar_one()
        first: datetime = max(free_at, now)
        connection.execute(update(PACES).where(mine).values(free_at=first + gap * count))
    return [first + gap * number for number in range(count)]
