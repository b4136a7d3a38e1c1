"""What tests of sending share: a desk's orders on their way, through a way out, without Prefect."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Engine, text

from models.handovers import Due, SendReport, SendSettings
from models.looks import LastLook, Looked
from models.production import TellProduction
from tasks.delivery.handovers import queue_orders
from tasks.desk.engine import reading, writing
from tasks.desk.runs import start_run
from tasks.fulfilment.channels.interface import Channel
from tasks.fulfilment.send import NOBODY, Prepared, SendRun, send_all
from tests.support.builders import insert_order, insert_run

SECRET = "a secret of the tests"
NOW = datetime(2026, 11, 24, 9, tzinfo=UTC)


def queue(desk: Engine, count: int, fulfiller: str = "acme", **overrides: Any) -> list[int]:
    """Write orders that wait for a fulfiller, and return their desk ids."""
    run_id = insert_run(desk)
    ids = [insert_order(desk, run_id=run_id, **overrides) for _ in range(count)]
    with writing(desk) as connection:
        queue_orders(connection, [(id_, fulfiller) for id_ in ids], now=NOW)
    return ids


def as_it_is(document: dict[str, Any]) -> Prepared:
    """Let every order pass unchanged."""
    return Prepared(document, [], [])


async def nobody_to_ask(due: Sequence[Due], run_id: int | None) -> Looked:
    """Look at orders of no integration: there is no podOS that could be asked."""
    return Looked()


def send(
    desk: Engine,
    open_channel: Callable[[], Channel],
    *,
    prepare: Callable[[dict[str, Any]], Prepared] = as_it_is,
    now: datetime | None = None,
    look: LastLook = nobody_to_ask,
    reporting: Mapping[str, TellProduction] = NOBODY,
) -> SendRun:
    """Send what waits for the fulfiller acme, and return the run."""

    async def sent() -> SendRun:
        channel = open_channel()
        settings = SendSettings("acme", "webhook", connections=channel.lanes)
        report = SendReport("acme")
        report.run_id = start_run(
            desk, "acme", project="", kind="send", lease_name="send:acme", started_at=datetime.now(UTC)
        )
        run = SendRun(
            desk, settings, report, prepare, look, reporting=reporting, clock=lambda: now or datetime.now(UTC)
        )
        try:
            await send_all(channel, run)
        finally:
            await channel.close()
        return run

    return asyncio.run(sent())


def states(desk: Engine) -> list[tuple[str, str | None, int]]:
    """Return state, reason and attempts of all handovers."""
    with reading(desk) as connection:
        rows = connection.execute(text("SELECT state, reason, attempts FROM handovers ORDER BY id"))
        return [(row[0], row[1], row[2]) for row in rows]
