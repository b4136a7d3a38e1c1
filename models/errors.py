"""The root of this program's errors: what a command ends with, and whether the same again may work."""

from __future__ import annotations

from enum import IntEnum
from typing import ClassVar


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


class AppError(Exception):
    """An error of this program: its text is a sentence for the operator, and quotes no other program.

    Attributes:
        exit_code: what a command ends with.
        retriable: whether the same again may work without a person doing anything.
    """

    exit_code: ClassVar[ExitCode] = ExitCode.FAILED
    retriable: ClassVar[bool] = False
