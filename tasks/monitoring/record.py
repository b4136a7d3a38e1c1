"""Record failures of recurring work: each cause once, with one alert."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Collection
from datetime import UTC, datetime
from typing import Any

from prefect.client.schemas.objects import State
from sqlalchemy import Engine

from models.settings import Environment
from models.watching import BacklogKind, Thresholds, Work, cause_of
from tasks.desk.engine import opened_desk
from tasks.desk.errors import DeskError
from tasks.monitoring.health import deaths, short, too_high
from tasks.monitoring.store import is_watched, note, take_snapshot, take_untold, untell, watch
from tasks.prefect_api.events import emit_watch_events

logger = logging.getLogger(__name__)
SKIPPED = "Skipped"
"""The name of the state of a run that left the work to another one: neither good nor bad news."""


async def watched(work: Work, name: str, run: Awaitable[State[Any]], *, known: Collection[str]) -> State[Any]:
    """Run the work of an integration or fulfiller, and note how it ended; the run's outcome stays as it is.

    Nothing is noted of a name that nobody knows and nobody ever knew: a person mistyped it.

    Args:
        work: which.
        name: whose.
        run: the work; its error is noted and raised.
        known: the names that there are.
    """
    if name not in known and not _was_known(work, name):
        return await run
    await _look_over(work, name)  # a run that dies is found by the next one, however that ends
    try:
        state = await run
    except Exception as error:
        await _look_over(work, name, failed=f"unexpected {type(error).__name__}")
        raise
    if state.is_completed():
        await _look_over(work, name, is_well=state.name != SKIPPED)
    else:
        await _look_over(work, name, failed=short(state.message or f"it ended as {state.name}"))
    return state


def _was_known(work: Work, name: str) -> bool:
    try:
        with opened_desk(Environment().database_url()) as engine:
            return is_watched(engine, cause_of(work, name))
    except DeskError:
        return True  # the run says what is wrong with the desk


async def _look_over(work: Work, name: str, *, is_well: bool = False, failed: str | None = None) -> None:
    """Note and tell what is known now; a desk that can't be noted in is left to the silence alert."""
    cause = cause_of(work, name)
    environment = Environment()
    try:
        with opened_desk(environment.database_url()) as engine:
            watch(engine, cause)
            over = note_what_is(
                engine,
                environment.thresholds(),
                well={cause} if is_well else set(),
                failed={cause: failed} if failed else {},
                now=datetime.now(UTC),
            )
            if environment.prefect_api_url:
                is_news = work is Work.CHECK and (is_well or failed)
                await tell(engine, over, checked=cause if is_news else None)
    except DeskError as error:
        logger.warning("nothing could be noted about %s: %s", cause, error)


async def tell(engine: Engine, over: Collection[str], *, checked: str | None) -> None:
    """Send what is to be told to the Prefect server; what it did not take is sent the next time.

    Args:
        engine: the desk.
        over: causes that had been told and are over.
        checked: the cause of a check that has just ended.
    """
    alerts = take_untold(engine, now=datetime.now(UTC))
    if not await emit_watch_events(alerts, over, checked) and alerts:
        untell(engine, [alert.cause for alert in alerts])


async def resend_alerts(engine: Engine) -> None:
    """Send an alert for every open problem, also for those that were sent before; each as a new event."""
    now = datetime.now(UTC)
    holds = [watch for watch in take_snapshot(engine, now=now).watches.values() if watch.trouble_at]
    take_untold(engine, now=now)
    if not await emit_watch_events(sorted(holds), (), None, is_new=True):
        untell(engine, [watch.cause for watch in holds])


def note_what_is(
    engine: Engine, thresholds: Thresholds, *, well: set[str], failed: dict[str, str], now: datetime
) -> list[str]:
    """Look at the desk and write what is well and what is not.

    Args:
        engine: the desk.
        thresholds: from when on a pile is too high.
        well: the work that was just complete.
        failed: the reason of the work that just failed.
        now: aware.

    Returns:
        The causes that had been told and are over. Safe to repeat.
    """
    look = take_snapshot(engine, now=now)
    high = too_high(look.backlog, thresholds)
    died = {cause: reason for cause, reason in deaths(look).items() if cause not in well}
    raised = {cause for cause, watch in look.watches.items() if watch.trouble_at}
    over = {pile.value for pile in BacklogKind if pile.value in raised and pile.value not in high}
    return note(engine, well=well | over, troubles=high | died | failed, now=now)
