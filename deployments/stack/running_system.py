"""Where the running `desk up` of this user is, so that commands in other terminals find it.

`desk up` keeps a file locked as long as it runs. A file that nobody has locked was left by one that ended,
and says nothing. What the environment sets always wins.
"""

from __future__ import annotations

import fcntl
import json
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from urllib.parse import urlsplit

from models.places import data_place

FILE_NAME = "running.json"
SANDBOX = "sandbox"
_MAX_BYTES = 10_000
_STARTS_ITS_OWN = frozenset({"up", "sandbox"})


@dataclass(frozen=True)
class RunningSystem:
    """A running `desk up`.

    Attributes:
        api_url: of its Prefect server.
        prefect_home: where its server keeps its files, the password among them.
        desk_database_url: of its desk; empty if the URL holds a password, which is written nowhere.
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
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
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
        command: the first argument; those that start a system of their own are left alone.

    Returns:
        What the operator is told, empty for nothing. Safe to repeat.
    """
    system = None if command in _STARTS_ITS_OWN else find_running_system()
    if system is None or os.environ.get("PREFECT_API_URL"):
        return ""
    os.environ["PREFECT_API_URL"] = system.api_url
    os.environ["PREFECT_HOME"] = os.environ.get("PREFECT_HOME") or system.prefect_home
    if os.environ.get("DESK_DATABASE_URL") or not system.desk_database_url:
        return ""
    os.environ["DESK_DATABASE_URL"] = system.desk_database_url
    return "the sandbox's desk (desk up --sandbox is running)" if system.is_sandbox else ""


def uses_sandbox() -> bool:
    """Return whether this process uses the Prefect server of a sandbox that is kept apart."""
    system = find_running_system()
    return bool(system and system.is_sandbox and system.api_url == os.environ.get("PREFECT_API_URL"))


def without_password(url: str) -> str:
    """Return a database URL, or nothing if it holds a password."""
    return "" if urlsplit(url).password else url


def _file() -> Path:
    return data_place() / FILE_NAME


def _parsed(text: str) -> RunningSystem | None:
    try:
        return RunningSystem(**json.loads(text))
    except (ValueError, TypeError):  # written just now, or by another version
        return None
