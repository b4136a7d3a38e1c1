"""Run flows in the process of a command, and return their report or the error that ended them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from deployments.cli.output import table
from models.errors import AppError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from prefect.client.schemas.objects import State

    from flows.runs import Observer
    from models.deliveries import DeliveryReport


class RunFailedError(AppError):
    """A run failed in a way that its own error does not tell."""


async def error_of(state: State[Any]) -> Exception | None:
    """Return the error that ended a flow run, None for a run that completed.

    A report is no sign of success: a run tells its counts also when an unexpected error ends it.
    """
    if state.is_completed():
        return None
    error = await state.aresult(raise_on_failure=False) if state.is_failed() else None
    if isinstance(error, Exception):
        return error
    return RunFailedError(state.message or f"the run ended as {state.name}")


async def run_observed(run: Callable[[], Awaitable[State[Any]]], name: str, observing: Observer) -> Any:
    """Run a flow under an observer.

    Args:
        run: starts the flow with ``return_state=True``.
        name: of the integration or fulfiller whose report is wanted.
        observing: sees the reports, and keeps the error that ended the run.

    Returns:
        The report; None if an error ended the run before there was one.
    """
    from flows.runs import observer

    observer.set(observing)
    failure = await error_of(await run())
    observing.error = observing.error or failure
    report = observing.reports.get(name)
    if report is None and observing.error is None:
        observing.error = RunFailedError("the run ended without a report")
    return report


def print_deliveries(report: DeliveryReport, title: str, rows: str, nothing: str) -> None:
    """Show the counts of a run that delivers; ``nothing`` stands for its number where nothing was due."""
    counts = [
        (state.value.replace("_", " ").capitalize(), str(report.counts[state])) for state in report.OUTCOMES
    ]
    run = f"run {report.run_id}" if report.run_id else nothing
    table([f"{title} ({run})", rows], [("Pending", str(report.pending)), *counts])
