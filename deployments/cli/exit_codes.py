"""What a command ends with: the exit code, and the sentence for the operator."""

from __future__ import annotations

import signal
import sys
import traceback
from pathlib import Path
from typing import NoReturn

from models.errors import AppError, ExitCode

_MAX_LENGTH = 500
_UNKNOWN_NAME = 421
"""As ``deployments.stack.same_origin`` answers."""
_NO_PREFECT = "Failed to reach API at "
"""Prefect's client says so in a plain RuntimeError when its server went away in the middle."""


STOPPED = frozenset({ExitCode.INTERRUPTED, ExitCode.TERMINATED})
"""The codes of a command that a person or the system asked to end."""


class Terminated(BaseException):
    """The system asked the command to end, by SIGTERM."""


def end_on_sigterm() -> None:
    """Let SIGTERM end this process as Ctrl-C does, in a sentence and with an exit code of its own.

    Prefect's engine handles the signal while a flow runs, and sends it again to whoever handled it before.
    """

    def end(_number: int, _frame: object) -> NoReturn:
        raise Terminated

    signal.signal(signal.SIGTERM, end)


def exit_code_of(error: BaseException) -> ExitCode:
    """Return the exit code for an error; what is not this program's own is a failed run."""
    error = first_of(error)
    if isinstance(error, AppError):
        return error.exit_code
    if isinstance(error, KeyboardInterrupt):
        return ExitCode.INTERRUPTED
    if isinstance(error, (Terminated, *_loaded("prefect.exceptions", "TerminationSignal"))):
        return ExitCode.TERMINATED
    return ExitCode.BAD_INPUT if _is_of_settings(error) else ExitCode.FAILED


def _is_of_settings(error: BaseException) -> bool:
    return isinstance(error, _loaded("pydantic_core", "ValidationError"))


def _loaded(module: str, *names: str) -> tuple[type[BaseException], ...]:
    """Return error classes of a library; none where it is not loaded, for then nothing has raised them."""
    found = sys.modules.get(module)
    return tuple(getattr(found, name) for name in names) if found else ()


def lines_of(error: BaseException) -> list[str]:
    """Return what the operator is told, line by line.

    Only errors that are lists have several lines: others may hold a stranger's text, which must not make one.
    """
    message, error = f"Error: {message_of(error)}", first_of(error)
    is_list = getattr(error, "is_list", False) or _is_of_settings(error)
    return message.splitlines() if is_list else [message]


def message_of(error: BaseException) -> str:
    """Return what the operator is told: our errors' own sentence, else what happened and where.

    A settings error becomes a line ``field: problem`` each, without the value that was given.
    """
    error = first_of(error)
    if _is_of_settings(error):
        return _problems(error)
    if exit_code_of(error) in STOPPED:
        return "stopped; what was done so far is kept"
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    text = str(error)
    if text and isinstance(error, AppError):
        return text
    of_prefect = (*_loaded("httpx", "HTTPError"), *_loaded("prefect.exceptions", "PrefectException"))
    if isinstance(error, of_prefect) or text.startswith(_NO_PREFECT):
        return _about_prefect(error)
    first_line = text.splitlines()[0][:_MAX_LENGTH] if text else "no more is known"
    return f"unexpected {type(error).__name__}{_place(error)}: {first_line}"


def _about_prefect(error: BaseException) -> str:
    """Say what the Prefect server's trouble is; podOS's troubles have names of their own."""
    status = getattr(getattr(error, "response", None), "status_code", None)
    if status in {401, 403}:
        return "the Prefect server wants a password: set PREFECT_API_AUTH_STRING to user:password"
    if status == _UNKNOWN_NAME:
        return (
            "the Prefect server does not know the host of PREFECT_API_URL: where the server runs, set "
            "DESK_ALLOWED_HOSTS to that host, and start it again"
        )
    if status:
        return f"the Prefect server answered {status}: see its log, and docs/runbook.md"
    return (
        f"the Prefect server could not be used ({type(error).__name__}): start the one that PREFECT_API_URL "
        "names, or unset PREFECT_API_URL to use a temporary one"
    )


def first_of(error: BaseException) -> BaseException:
    """Return the error itself, or the first one of a group."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


def _problems(error: BaseException) -> str:
    from pydantic import ValidationError

    if not isinstance(error, ValidationError):
        return str(error)
    lines = []
    for problem in error.errors(include_url=False, include_context=False, include_input=False):
        field = ".".join(str(part) for part in problem["loc"])
        text = problem["msg"].removeprefix("Value error, ")
        lines.append(f"{field}: {text}" if field else text)
    return "\n".join(lines)


def _place(error: BaseException) -> str:
    frames = traceback.extract_tb(error.__traceback__)
    return f" in {Path(frames[-1].filename).name}, line {frames[-1].lineno}" if frames else ""
