"""The Prefect server's password: when one is needed, and the one that `desk up` makes and keeps.

Who reaches the server without one can read the podOS token and run commands as the desk's user.
"""

from __future__ import annotations

import os
import pwd
import secrets
import stat
import tempfile
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path, PurePath
from urllib.parse import urlsplit

from models.errors import AppError, ExitCode
from models.web_address import is_loopback

SERVER_VARIABLE = "PREFECT_SERVER_API_AUTH_STRING"
CLIENT_VARIABLE = "PREFECT_API_AUTH_STRING"
FILE_NAME = "desk-password"
_USER_NAME = "desk"
_FIRST_PERSON = 1000
"""The lowest user id of a person on Linux; those below are the system's own."""
_NOBODY = frozenset({65533, 65534})
_NO_SHELLS = frozenset({"", "nologin", "false", "true", "sync", "shutdown", "halt"})
_NAMES_LISTED = 3
_RANDOM_BYTES = 24
_TEMPORARY: set[str] = set()
"""Passwords of temporary servers that this process made: no person knows them."""


class PasswordNeededError(AppError):
    """The Prefect server would be open to others, or its clients kept out; the text says what to set."""

    exit_code = ExitCode.BAD_INPUT


def require_password(host: str) -> None:
    """Make sure that no other machine gets into a server with this process's settings without a password.

    Args:
        host: the address that the server listens on.

    Raises:
        PasswordNeededError: other machines can reach it and no password is set, or what is set is none.
    """
    server, _ = _passwords()
    if server is None and not is_loopback(host):
        raise PasswordNeededError(
            f"other machines can reach {host}, and who reaches the server can read tokens: set in the "
            f"environment {SERVER_VARIABLE} and {CLIENT_VARIABLE}, both to the same "
            "name:password, then start again (docs/runbook.md, A password for the Prefect server)"
        )
    if server is not None and not _is_password(server):
        raise PasswordNeededError(f"{SERVER_VARIABLE} must be name:password, in ASCII characters")


def protect(host: str) -> None:
    """Make sure of it, and that the clients which this process starts have the same password.

    Raises:
        PasswordNeededError: as ``require_password``; or the clients have another password, or none.
    """
    require_password(host)
    server, client = _passwords()
    if server is None:
        return
    if client != server:
        raise PasswordNeededError(f"{CLIENT_VARIABLE} must be the same as {SERVER_VARIABLE}: set both")
    os.environ.setdefault("PREFECT_SERVER_CSRF_PROTECTION_ENABLED", "true")


def provide_password(host: str, *, wanted: bool | None) -> str:
    """Have a password for the server and the clients that this process starts, if one is wanted.

    One that the settings name is used as it is. Another is made once and kept in Prefect's home.

    Args:
        host: the address that the server will listen on.
        wanted: None: where other people use this machine. For a server that other machines reach, a person
            must set it: they need it too.

    Returns:
        What the person at the terminal is told.

    Raises:
        PasswordNeededError: other users can read the file of the password, or it holds none.
    """
    if _passwords()[0] is not None:
        return f"that of {SERVER_VARIABLE}"
    password, told = _kept_if_wanted(wanted=wanted, may_be_made=is_loopback(host))
    if password:
        use_password(password)
    return told


def use_password(password: str) -> None:
    """Set the password of the servers and clients of this process and of those that it starts."""
    from prefect.context import refresh_global_settings_context

    os.environ[SERVER_VARIABLE] = os.environ[CLIENT_VARIABLE] = password
    refresh_global_settings_context()


def use_kept_password() -> None:
    """Let the clients of this process use the password that `desk up` keeps, for a server of this machine.

    What the environment says wins. Call it before Prefect is imported.

    Raises:
        PasswordNeededError: other users can read the file of the password, or it holds none.
    """
    host = urlsplit(os.environ.get("PREFECT_API_URL", "")).hostname or ""
    if {SERVER_VARIABLE, CLIENT_VARIABLE} & set(os.environ) or not is_loopback(host):
        return
    with suppress(FileNotFoundError):
        os.environ[CLIENT_VARIABLE] = _read(prefect_home() / FILE_NAME)


def guard_temporary_server() -> bool:
    """Give the temporary Prefect server that this process may start a password, made anew each time.

    Prefect starts it where no server is set. It listens on a port of this machine, with the same database:
    without a password, other users and web pages could use it as long as the command runs.

    Returns:
        Whether this process has no other server.
    """
    if os.environ.get("PREFECT_API_URL"):
        return False
    from prefect.settings import get_current_settings

    if get_current_settings().api.url is not None:
        return False
    if _passwords()[0] is None:
        password = _new_password()
        _TEMPORARY.add(password)
        use_password(password)
    return True


def password_of_pages(*, wanted: bool | None) -> tuple[str | None, str]:
    """Return the password that the desk's pages ask for, and what the person at the terminal is told.

    It is the Prefect server's, for the pages show no less; that of a temporary server is nobody's.

    Args:
        wanted: whether one is made and kept where none is set; None: where other people use this machine.

    Raises:
        PasswordNeededError: other users can read the file of the password, or it holds none.
    """
    chosen = next((password for password in _passwords() if password), None)
    if chosen and chosen not in _TEMPORARY:
        return chosen, "that of the Prefect server"
    return _kept_if_wanted(wanted=wanted, may_be_made=True)


def _kept_if_wanted(*, wanted: bool | None, may_be_made: bool) -> tuple[str | None, str]:
    """Return the kept password if one is wanted, and what the person at the terminal is told.

    Args:
        wanted: None: where other people use this machine, if it may be made without being asked for.
        may_be_made: whether it may.
    """
    people = _listed(other_people(_accounts(), own=os.getuid()))
    if wanted is None:
        wanted = bool(people) and may_be_made
    if not wanted:
        return None, f"none{f', though {people}' if people else ': nobody else'} can log in here"
    path = prefect_home() / FILE_NAME
    return kept_password(path), f"in {path}; {people or 'nobody else'} can log in here"


def kept_password(path: Path) -> str:
    """Return the password of a file; if the file is missing it is made, whole, for the user alone.

    Raises:
        PasswordNeededError: other users can read the file, or it holds no password.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with suppress(FileNotFoundError):
        return _read(path)
    number, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(number, "w", encoding="ascii") as file:
            file.write(f"{_new_password()}\n")
        with suppress(FileExistsError):  # another `desk up` was quicker
            os.link(name, path)
    finally:
        Path(name).unlink()
    return _read(path)


def _read(path: Path) -> str:
    number = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    with os.fdopen(number, encoding="ascii", errors="replace") as file:
        status = os.fstat(number)
        text = file.read(1000).strip()
    if status.st_uid != os.getuid() or stat.S_IMODE(status.st_mode) & 0o077:
        raise PasswordNeededError(
            f"{path}: others can read this password; remove it, `desk up` makes another"
        )
    if not _is_password(text):
        raise PasswordNeededError(f"{path} holds no name:password; remove it, `desk up` makes another")
    return text


def prefect_home() -> Path:
    """Return where Prefect keeps its files; before Prefect is imported, too."""
    return Path(os.environ.get("PREFECT_HOME") or "~/.prefect").expanduser()


def other_people(accounts: Iterable[pwd.struct_passwd], *, own: int) -> list[str]:
    """Return the names of the accounts of people who can log in, without the one with our user id."""
    return sorted(
        {
            account.pw_name
            for account in accounts
            if account.pw_uid >= _FIRST_PERSON
            and account.pw_uid not in _NOBODY | {own}
            and PurePath(account.pw_shell).name not in _NO_SHELLS
        }
    )


def _accounts() -> Iterable[pwd.struct_passwd]:
    """Give the accounts of this machine, and those of a directory (LDAP) that are at work on it just now."""
    yield from pwd.getpwall()
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError, KeyError):  # it has ended, or its user has no account
            yield pwd.getpwuid(process.stat().st_uid)


def _listed(names: list[str]) -> str:
    rest = len(names) - _NAMES_LISTED
    return ", ".join(names[:_NAMES_LISTED]) + (f" and {rest} more" if rest > 0 else "")


def _passwords() -> tuple[str | None, str | None]:
    """Return what the settings say, for servers and for clients."""
    from prefect.settings import get_current_settings

    settings = get_current_settings()
    server, client = settings.server.api.auth_string, settings.api.auth_string
    return (
        None if server is None else server.get_secret_value(),
        None if client is None else client.get_secret_value(),
    )


def _is_password(text: str) -> bool:
    name, _, password = text.partition(":")
    return bool(name and password) and text.isascii() and text.isprintable()


def _new_password() -> str:
    return f"{_USER_NAME}:{secrets.token_urlsafe(_RANDOM_BYTES)}"
