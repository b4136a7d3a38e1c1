"""What a command ends with: the exit code, and the sentence for the operator."""

from __future__ import annotations

import signal
import traceback
from enum import IntEnum
from pathlib import Path
from typing import NoReturn

_OURS = ("deployments.", "flows.", "tasks.", "models.")
_MAX_LENGTH = 500
_UNKNOWN_NAME = 421
"""As ``deployments.stack.same_origin`` answers."""
_NO_PREFECT = "Failed to reach API at "
"""Prefect's client says so in a plain RuntimeError when its server went away in the middle."""


class ExitCode(IntEnum):
    """The exit codes of ``desk``."""

    DONE = 0
    FAILED = 1
    BAD_INPUT = 2
    TOKEN_REFUSED = 3
    UNKNOWN_PROJECT = 4
    PODOS_AWAY = 5
    INTERRUPTED = 130
    TERMINATED = 143


EXIT_CODES = {
    "tasks.podos.errors.TokenRefusedError": ExitCode.TOKEN_REFUSED,
    "tasks.podos.errors.UnknownProjectError": ExitCode.UNKNOWN_PROJECT,
    "tasks.podos.errors.RetriablePodosError": ExitCode.PODOS_AWAY,
    "tasks.desk.errors.DeskSettingsError": ExitCode.BAD_INPUT,
    "tasks.desk.errors.DeskRefusedError": ExitCode.BAD_INPUT,
    "tasks.desk.leases.LeaseHeldError": ExitCode.FAILED,
    "tasks.prefect_api.integrations.IntegrationError": ExitCode.BAD_INPUT,
    "tasks.fulfilment.channels.interface.RefusedError": ExitCode.FAILED,
    "tasks.fulfilment.channels.interface.FulfillerError": ExitCode.BAD_INPUT,
    "deployments.stack.password.PasswordNeededError": ExitCode.BAD_INPUT,
    "deployments.stack.alerts.AlertsError": ExitCode.BAD_INPUT,
    "tasks.imports.windows.WindowError": ExitCode.BAD_INPUT,
    "tasks.tracking.csv_file.ShipmentFileError": ExitCode.BAD_INPUT,
    "tasks.rules.yaml_lines.RulesFileError": ExitCode.BAD_INPUT,
    "tasks.tracking.drop_folder.DropFolderError": ExitCode.BAD_INPUT,
    "deployments.stack.environment.EnvironmentRefusedError": ExitCode.BAD_INPUT,
    "pydantic_core._pydantic_core.ValidationError": ExitCode.BAD_INPUT,
    "builtins.KeyboardInterrupt": ExitCode.INTERRUPTED,
    "deployments.cli.exit_codes.Terminated": ExitCode.TERMINATED,
    "prefect.exceptions.TerminationSignal": ExitCode.TERMINATED,
}
"""By the error's full name, so that nothing heavy is imported to look one up; the nearest base counts."""


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
    """Return the exit code for an error; what the table does not know is a failed run."""
    names = (f"{kind.__module__}.{kind.__qualname__}" for kind in type(first_of(error)).__mro__)
    return next((EXIT_CODES[name] for name in names if name in EXIT_CODES), ExitCode.FAILED)


def lines_of(error: BaseException) -> list[str]:
    """Return what the operator is told, line by line.

    Only errors that are lists have several lines: others may hold a stranger's text, which must not make one.
    """
    message, error = f"Error: {message_of(error)}", first_of(error)
    is_list = getattr(error, "is_list", False) or type(error).__module__.startswith("pydantic")
    return message.splitlines() if is_list else [message]


def message_of(error: BaseException) -> str:
    """Return what the operator is told: our errors' own sentence, else what happened and where.

    A settings error becomes a line ``field: problem`` each, without the value that was given.
    """
    error = first_of(error)
    if type(error).__module__.startswith("pydantic"):
        return _problems(error)
    if exit_code_of(error) in STOPPED:
        return "stopped; what was done so far is kept"
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    text = str(error)
    if type(error).__module__.startswith(("httpx", "prefect.")) or text.startswith(_NO_PREFECT):
        return _about_prefect(error)
    if text and type(error).__module__.startswith(_OURS):
        return text
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
