"""What this project replaces in Prefect's server: how, and with which versions it was seen to be needed.

``tests/flows/test_prefect_patches.py`` fails when Prefect itself does what a replacement does.
"""

from __future__ import annotations

from types import ModuleType
from typing import Any

import prefect

from models.errors import AppError, ExitCode

SEEN_NEEDED = ("3.8.8", "3.9.1")


class PatchError(AppError):
    """Prefect's server can't be protected as it must be."""

    exit_code = ExitCode.BAD_INPUT


def original(module: ModuleType, name: str) -> Any:
    """Return what is to be replaced.

    Raises:
        PatchError: this version of Prefect has nothing of that name.
    """
    try:
        return vars(module)[name]
    except KeyError:
        raise PatchError(
            f"Prefect {prefect.__version__} has no {module.__name__}.{name}, which the server's protection "
            f"needs: install the versions of requirements.lock (Prefect {SEEN_NEEDED[-1]})"
        ) from None


def replace(module: ModuleType, **replacements: Any) -> None:
    """Replace what a module of Prefect defines, in this process.

    Raises:
        PatchError: this version of Prefect has nothing of one of the names; nothing is replaced.
    """
    for name in replacements:
        original(module, name)
    vars(module).update(replacements)


def version_warning() -> str | None:
    """Return what an operator must know of a version of Prefect that was never tried, None for others."""
    if prefect.__version__ in SEEN_NEEDED:
        return None
    return (
        f"Prefect {prefect.__version__} was not tried with this program ({', '.join(SEEN_NEEDED)} were): "
        "the server's checks of settings and requests may not work; see docs/runbook.md, Upgrade"
    )
