"""A Prefect task around a step of a run: its options, and errors in this program's own words."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any, ParamSpec, TypeVar

from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State, TaskRun
from prefect.tasks import Task, exponential_backoff, task

from models.errors import AppError
from tasks.prefect_api.foreign_errors import in_own_words

Given = ParamSpec("Given")
Result = TypeVar("Result")

_FIRST_DELAY_SECONDS = 5
_JITTER = 0.5


def step(
    name: str, *, run_name: str | None = None, retries: int = 3
) -> Callable[[Callable[Given, Coroutine[Any, Any, Result]]], Task[Given, Coroutine[Any, Any, Result]]]:
    """Return a decorator that makes a task of an async function.

    Prefect repeats it, with a growing delay, after errors that are retriable and after no others: the same
    again would not help. Its results are never cached.

    Args:
        name: the task's name in Prefect.
        run_name: the name of its runs, with arguments in braces; None leaves it to Prefect.
        retries: how often at most it is repeated.
    """

    def make(
        function: Callable[Given, Coroutine[Any, Any, Result]],
    ) -> Task[Given, Coroutine[Any, Any, Result]]:
        return task(
            name=name,
            task_run_name=run_name,
            cache_policy=NO_CACHE,
            retries=retries,
            retry_delay_seconds=exponential_backoff(backoff_factor=_FIRST_DELAY_SECONDS),
            retry_jitter_factor=_JITTER,
            retry_condition_fn=_is_worth_repeating,
        )(in_own_words(function))

    return make


def _is_worth_repeating(_task: Task[..., Any], _run: TaskRun, state: State[Any]) -> bool:
    return isinstance(state.data, AppError) and state.data.retriable
