"""The frame of every flow: one or each integration, the run's row, its final state, its observer."""

from __future__ import annotations

import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any, Protocol

from prefect.client.schemas.objects import State
from prefect.runtime import flow_run
from prefect.states import Completed, Failed
from sqlalchemy import Engine

from models.deliveries import DeliveryReport
from models.errors import AppError
from models.tables.outbox import OutboxState
from models.tables.runs import RunState
from tasks.desk.engine import writing
from tasks.desk.errors import DeskError
from tasks.desk.leases import LeaseHeldError
from tasks.desk.runs import CoveredError, finish_run, record_counts
from tasks.imports.report import reason_of
from tasks.monitoring.record import SKIPPED
from tasks.prefect_api.foreign_errors import fault_of
from tasks.prefect_api.schedules import NOTHING_TO_DO

logger = logging.getLogger(__name__)
NOT_CONNECTED = "no integration is connected yet: desk connect NAME --project P"


class Report(Protocol):
    """The counts of a run."""

    def one_line(self) -> str:
        """Return the report as the state message of a run."""


class Observer:
    """Follows the runs of this process for the command line; a worker has none.

    Attributes:
        reports: the newest report of each integration or fulfiller.
        error: the error that ended a run.
        windows: of a backfill, how many windows are done, of how many.
        order_ids: desk ids of the orders that sending is about; None: all that wait.
        on_findings: called with the differences of a reconciliation as they are found.
    """

    def __init__(
        self,
        on_report: Callable[[Any], None] | None = None,
        on_findings: Callable[[Sequence[Any]], None] | None = None,
        order_ids: Collection[int] | None = None,
    ) -> None:
        self.reports: dict[str, Any] = {}
        self.error: Exception | None = None
        self.windows: tuple[int, int] | None = None
        self.order_ids = order_ids
        self.on_findings = on_findings
        self._on_report = on_report

    def see(self, name: str, report: Report) -> None:
        """Take the newest report of a run."""
        self.reports[name] = report
        if self._on_report:
            self._on_report(report)


observer: ContextVar[Observer | None] = ContextVar("observer", default=None)


@contextmanager
def unobserved() -> Iterator[None]:
    """Hide from the observer what a run does on the side."""
    token = observer.set(None)
    try:
        yield
    finally:
        observer.reset(token)


def show_progress(what: str, name: str, report: Report) -> None:
    """Log how far a run is, and show it to the observer."""
    logger.info("%s %s: %s", what, name, report.one_line())
    if watching := observer.get():
        watching.see(name, report)


def close_delivery(
    engine: Engine, report: DeliveryReport, what: str, *, waiting: int, started: float
) -> None:
    """Bring a report to what the desk says at the end of a run, record and show it.

    Args:
        engine: the desk.
        report: the report.
        what: the run did, as in "sync of".
        waiting: how many rows wait now.
        started: when the run began, by the monotonic clock.
    """
    report.counts[OutboxState.WAITING] = waiting
    report.seconds = time.monotonic() - started
    if report.run_id is not None:
        with writing(engine) as connection:
            record_counts(connection, report.run_id, report.counts)
    show_progress(what, report.name, report)


def name_of_delivery(report: DeliveryReport) -> str | None:
    """Return the name of the state of a run that delivers: None for the usual one."""
    return NOTHING_TO_DO if report.is_idle else None


def failed(error: Exception) -> State[None]:
    """Return the final state of a run that an error of this program ended; the message says what to do."""
    if watching := observer.get():
        watching.error = error
    return Failed(message=str(error))


async def final_state(
    run: Awaitable[Report],
    *,
    name_of: Callable[[Any], str | None] | None = None,
    may_skip: bool = True,
) -> State[None]:
    """Wait for the work of one integration or fulfiller and return the run's final state.

    Args:
        run: the work; its report is the state's message.
        name_of: returns a name for the completed state, None for the usual one.
        may_skip: a run that leaves the work to another one is completed, under the name ``Skipped``; False
            where a person asked for just this run: then it failed.
    """
    try:
        report = await run
    except CoveredError as error:
        return Completed(name=SKIPPED, message=str(error))
    except AppError as error:
        state = failed(error)
        if may_skip and isinstance(error, LeaseHeldError):
            return Completed(name=SKIPPED, message=state.message)
        return state
    return Completed(name=name_of(report) if name_of else None, message=report.one_line())


async def run_each(
    names: Sequence[str], run: Callable[[str], Awaitable[State[Any]]], *, nothing: str = NOT_CONNECTED
) -> State[None]:
    """Do the work of each, one after the other; no error ends the others.

    Args:
        names: of the integrations or fulfillers.
        run: does the work of one and returns its final state.
        nothing: the message where there are no names.
    """
    if not names:
        return Completed(name=NOTHING_TO_DO, message=nothing)
    states: dict[str, State[Any]] = {}
    for name in names:
        try:
            states[name] = await run(name)
        except Exception as error:  # noqa: BLE001 - a fault at one integration is not the others'
            words = str(fault_of(error))
            logger.error("%s: %s", name, words)  # noqa: TRY400 - a traceback may quote values
            states[name] = Failed(message=words)
    return together(states)


def together(states: Mapping[str, State[Any]]) -> State[None]:
    """Return one state for all: failed if any failed; else with their name, where they have one."""
    words = "; ".join(f"{name}: {state.message}" for name, state in states.items())
    if not all(state.is_completed() for state in states.values()):
        return Failed(message=words)
    names = {state.name for state in states.values()}
    if len(names) > 1:
        names -= {"Completed", SKIPPED, NOTHING_TO_DO}
    return Completed(name=names.pop() if len(names) == 1 else None, message=words)


@asynccontextmanager
async def recorded(engine: Engine, run_id: int) -> AsyncIterator[None]:
    """Close the desk's row of a run with how it ended, whatever ends it."""
    try:
        yield
    except BaseException as error:
        state = RunState.FAILED if isinstance(error, Exception) else RunState.CRASHED
        with suppress(DeskError):  # the error that ended the run says more
            finish_run(engine, run_id, state, now=datetime.now(UTC), error=reason_of(error))
        raise
    finish_run(engine, run_id, RunState.COMPLETED, now=datetime.now(UTC))


def run_name(what: str, parameter: str) -> Callable[[], str]:
    """Return a function that names a run: what it does, for whom, and when."""

    def name() -> str:
        whom = flow_run.parameters.get(parameter) or "all"
        return f"{what} {whom} {datetime.now(UTC):%Y-%m-%d %H:%M}"

    return name
