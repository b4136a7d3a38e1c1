"""What Prefect must be told before it is imported; what the user set in the environment wins."""

from __future__ import annotations

import os
import ssl
from functools import cache
from pathlib import Path

from deployments.cli.output import say
from deployments.stack.password import guard_temporary_server, use_kept_password
from models.errors import AppError, ExitCode

ROOT = Path(__file__).resolve().parents[2]
"""The checkout: prefect.yaml lies here."""

PREFECT_DEFAULTS = {
    # Nothing is sent to anybody; the first start also fails with "database is locked" when analytics are on.
    "DO_NOT_TRACK": "1",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "PREFECT_SERVER_UI_SHOW_PROMOTIONAL_CONTENT": "false",
    # The UI asks the address it was loaded from, whatever host and port that is.
    "PREFECT_SERVER_UI_API_URL": "/api",
    # Nor does another page need to; by default a page of any address could ask a server of this machine.
    # Our own server refuses it anyway (same_origin.py), a plain Prefect server does not.
    "PREFECT_SERVER_CORS_ALLOWED_ORIGINS": "http://127.0.0.1",
    # A cold temporary server takes longer than Prefect's own 20 seconds on a busy machine.
    "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "120",
    "PREFECT_LOGGING_EXTRA_LOGGERS": "tasks,flows",
    "PREFECT_FLOWS_HEARTBEAT_FREQUENCY": "30",
    "PREFECT_WORKER_QUERY_SECONDS": "2",
    "PREFECT_CLI_PROMPT": "false",
    # Run history of 90 days: without it Prefect's database grows for ever.
    "PREFECT_SERVER_SERVICES_DB_VACUUM_ENABLED": "events,flow_runs",
}


class EnvironmentRefusedError(AppError):
    """A variable of the environment can't be used; the text names it."""

    exit_code = ExitCode.BAD_INPUT


def prepare_prefect(*, quiet: bool = False, api_url: str | None = None, needs_server: bool = False) -> None:
    """Set Prefect's environment for this process and its children. Safe to repeat.

    Files that they make are for their user alone: Prefect's database holds tokens.

    Args:
        quiet: keep run logs off the terminal; they still go to the server.
        api_url: the server to use, whatever the environment says.
        needs_server: where none is set, Prefect will start a temporary one: say so, since that takes seconds.

    Raises:
        EnvironmentRefusedError: the certificates that are to be trusted can't be read.
        PasswordNeededError: the password that `desk up` keeps can be read by others, or is none.
    """
    os.umask(0o077)
    _check_certificates()
    if api_url:
        os.environ["PREFECT_API_URL"] = api_url
    use_kept_password()
    defaults = dict(PREFECT_DEFAULTS)
    if quiet:
        defaults["PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL"] = "CRITICAL"
    for name, value in defaults.items():
        os.environ.setdefault(name, value)
    if guard_temporary_server() and needs_server:
        _say_that_a_server_starts()


@cache
def _say_that_a_server_starts() -> None:
    """Say it once in a process."""
    say("No desk up is running: this command starts a Prefect server of its own, which takes seconds.")


def _check_certificates() -> None:
    """Name the variable at once: the libraries that read it say "No such file" and not which."""
    path = os.environ.get("SSL_CERT_FILE")
    try:
        if path:
            ssl.create_default_context(cafile=path)
    except OSError as error:
        reason = "it holds no certificate" if isinstance(error, ssl.SSLError) else error.strerror
        raise EnvironmentRefusedError(f"SSL_CERT_FILE: {path} can't be used ({reason}): correct it") from None
