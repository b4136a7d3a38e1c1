"""Errors of the desk, named by what the reader does next.

DeskError
├── RetriableDeskError   the database is busy or away: wait and do the same again
├── DeskSettingsError    wrong address, no permission, schema of another version: a person must act
├── UnusableRuleError    a rule of the desk can't be used: correct it or switch it off; until then rules wait
└── DeskRefusedError     what was asked for is not possible: no such order, folder in use, ...
"""

from __future__ import annotations

from models.errors import AppError, ExitCode


class DeskError(AppError):
    """Something about the desk went wrong; the text says what to do."""


class RetriableDeskError(DeskError):
    """The database is busy or away; the same again later may work."""

    retriable = True


class DeskSettingsError(DeskError):
    """The database can't be used as it is; a person must act."""

    exit_code = ExitCode.BAD_INPUT


class DeskRefusedError(DeskError):
    """What was asked for is not possible with what the desk holds."""

    exit_code = ExitCode.BAD_INPUT


class UnusableRuleError(DeskError):
    """A rule that is on can't be used; no rule looks at anything until a person corrects it."""
