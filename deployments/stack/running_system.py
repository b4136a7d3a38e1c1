"""Where the running `desk up` of this user is, so that commands in other terminals find it.

`desk up` keeps a file locked as long as it runs. A file that nobody has locked was left by one that ended,
and says nothing. What the environment sets always wins.
"""

from __future__ import annotations

import fcntl
import json
import os
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TextIO

from models.places import data_place

FILE_NAME = "running.json"
SANDBOX = "sandbox"
_MAX_BYTES = 10_000
_LOCK_ATTEMPTS = 20
_LOCK_PAUSE_SECONDS = 0.05
_STARTS_ITS_OWN = frozenset({"up", "sandbox"})


@dataclass(frozen=True)
class RunningSystem:
    """A running `desk up`.

    Attributes:
        api_url: of its Prefect server.
        prefect_home: where its server keeps its files, the password among them.
        desk_database_url: of its desk if that is a SQLite file; empty for a database server, whose URL may
            hold a password.
        is_sandbox: it has the sandbox podOS and a desk of its own for it.
    """

    api_url: str
    prefect_home: str
    desk_database_url: str
    is_sandbox: bool


def sandbox_place() -> Path:
    """Return the directory of the desk and the Prefect server that belong to the sandbox podOS."""
    return data_place() / SANDBOX


@contextmanager
def announced(system: RunningSystem) -> Iterator[None]:
    """Let commands of this user find a system as long as the block runs.

    A second system of the same user is not announced: the first one stays the one that is found.
    """
    path = _file()
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW
    with os.fdopen(os.open(path, flags, 0o600), "r+", encoding="utf-8") as file:
        if not _is_locked_for_us(file):
            yield
            return
        os.fchmod(file.fileno(), 0o600)
        file.truncate()
        file.write(json.dumps(asdict(system)))
        file.flush()
        try:
            yield
        finally:
            file.seek(0)
            file.truncate()


def find_running_system() -> RunningSystem | None:
    """Return the `desk up` of this user that runs now, None if there is none or others can read its file."""
    try:
        number = os.open(_file(), os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return None
    with os.fdopen(number, encoding="utf-8", errors="replace") as file:
        status = os.fstat(number)
        if status.st_uid != os.getuid() or stat.S_IMODE(status.st_mode) & 0o077:
            return None
        try:
            fcntl.flock(number, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return _parsed(file.read(_MAX_BYTES))
        return None  # nobody holds it: whoever wrote it has ended


def use_running_system(command: str) -> str:
    """Set what this process's environment leaves open to the values of the running `desk up`.

    Args:
        command: the first argument; one that starts a system of its own, and an option, changes nothing.

    Returns:
        A sentence for the operator, empty for nothing. Safe to repeat.
    """
    needs_none = not command or command.startswith("-") or command in _STARTS_ITS_OWN
    system = None if needs_none else find_running_system()
    if system is None or os.environ.get("PREFECT_API_URL"):
        return ""
    os.environ["PREFECT_API_URL"] = system.api_url
    os.environ["PREFECT_HOME"] = os.environ.get("PREFECT_HOME") or system.prefect_home
    if os.environ.get("DESK_DATABASE_URL"):
        return ""
    if not system.desk_database_url:
        return (
            "The running desk up has its desk on a database server: set DESK_DATABASE_URL here as it is set "
            "there."
        )
    os.environ["DESK_DATABASE_URL"] = system.desk_database_url
    return "Using the sandbox's desk (desk up --sandbox is running)." if system.is_sandbox else ""


def uses_sandbox() -> bool:
    """Return whether this process uses the Prefect server of a sandbox that is kept apart."""
    system = find_running_system()
    return bool(system and system.is_sandbox and system.api_url == os.environ.get("PREFECT_API_URL"))


def url_to_announce(url: str) -> str:
    """Return the URL of a SQLite file; nothing for a database server, whose URL may hold a password."""
    return url if url.startswith("sqlite") else ""


def _is_locked_for_us(file: TextIO) -> bool:
    """Lock the file; commands hold it for a moment, another `desk up` as long as it runs."""
    for _ in range(_LOCK_ATTEMPTS):
        with suppress(BlockingIOError):
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        time.sleep(_LOCK_PAUSE_SECONDS)
    return False


def _file() -> Path:
    return data_place() / FILE_NAME


def _parsed(text: str) -> RunningSystem | None:
    try:
        return RunningSystem(**json.loads(text))
    except (ValueError, TypeError):  # written just now, or by another version
        return None
