"""When Prefect repeats a step: only where the same again could end well."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from prefect.client.schemas.objects import State, TaskRun
from prefect.tasks import Task


def only_after(*kinds: type[Exception]) -> Callable[[Task[..., Any], TaskRun, State[Any]], bool]:
    """Return a ``retry_condition_fn`` that repeats a task only after these errors."""

    def is_worth_repeating(_task: Task[..., Any], _run: TaskRun, state: State[Any]) -> bool:
        return isinstance(state.data, kinds)

    return is_worth_repeating
