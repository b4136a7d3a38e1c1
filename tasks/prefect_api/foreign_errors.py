"""Replace foreign errors before they reach Prefect: its states, logs and files are never erased.

So it is worded here. The text of a foreign error can quote anything: a value that could not be read, a key
that was looked up.
"""

from __future__ import annotations

import functools
import inspect
import logging
import os
import traceback
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

import httpx
from prefect.exceptions import PrefectException

from models.errors import AppError

logger = logging.getLogger(__name__)

Given = ParamSpec("Given")
Result = TypeVar("Result")

_ROOT = Path(__file__).resolve().parents[2]
_OURS = ("deployments.", "flows.", "models.", "tasks.")
_OF_PREFECT = (PrefectException, httpx.HTTPError)
"""Our own requests never let an error of httpx through: these are of Prefect's client, about its server."""
_NO_PREFECT = "Failed to reach API at "
"""Prefect's client says so in a plain RuntimeError when its server went away in the middle."""


class FaultError(AppError):
    """A fault of this program: the text says what happened and where, and nothing that the error said."""


def in_own_words(
    step: Callable[Given, Coroutine[Any, Any, Result]],
) -> Callable[Given, Coroutine[Any, Any, Result]]:
    """Return an async function that ends with errors in this program's own words.

    Every flow and task is one. This program's errors pass, without the foreign one that they followed from;
    any other becomes a ``FaultError`` with the same traceback.
    """

    @functools.wraps(step)
    async def worded(*args: Given.args, **kwargs: Given.kwargs) -> Result:
        try:
            return await step(*args, **kwargs)
        except Exception as error:
            if (fault := fault_of(error)) is not error:
                raise fault.with_traceback(error.__traceback__) from None
            error.__cause__, error.__suppress_context__ = None, True
            raise

    # Prefect looks annotations up in the module of the function that it is given.
    worded.__signature__ = inspect.signature(step, eval_str=True)  # type: ignore[attr-defined]
    return worded


def _is_worded(error: Exception) -> bool:
    is_away = isinstance(error, RuntimeError) and str(error).startswith(_NO_PREFECT)
    return isinstance(error, (AppError, *_OF_PREFECT)) or is_away


def fault_of(error: Exception) -> Exception:
    """Return an error of this program as it is, and a foreign one as a fault: its kind and its place.

    The log gets the lines of code that led to a fault, without the error's own text, which may quote values.
    """
    if _is_worded(error):
        return error
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if _is_ours(frame.filename)]
    place = f" in {Path(frames[-1].filename).name}, line {frames[-1].lineno}" if frames else ""
    code = "".join(traceback.format_tb(error.__traceback__))
    logger.error("unexpected %s%s; it was reached by\n%s", _kind(error), place, code)
    return FaultError(f"unexpected {_kind(error)}{place}: see the log of the run, and report it")


def _kind(error: BaseException) -> str:
    """Return an error's type, and what the operating system calls it."""
    known = error.errno if isinstance(error, OSError) else None
    return type(error).__name__ + (f" ({os.strerror(known)})" if known else "")


def _is_ours(filename: str) -> bool:
    path = Path(filename)
    if filename == __file__ or not path.is_relative_to(_ROOT):
        return False
    return f"{path.relative_to(_ROOT).parts[0]}." in _OURS
