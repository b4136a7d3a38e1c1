"""What became of a flow that a command ran in its own process: it failed unless its state says completed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from models.errors import AppError

if TYPE_CHECKING:
    from prefect.client.schemas.objects import State


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
