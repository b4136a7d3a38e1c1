"""Leases: a row per lock, renewed while its process lives, free soon after it dies."""

from __future__ import annotations

import os
import socket
import threading
import uuid
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import Self

from sqlalchemy import Connection, Engine, delete, select, update

from models.errors import ExitCode
from tasks.desk.engine import reading, second_engine, writing
from tasks.desk.errors import DeskError, DeskRefusedError, RetriableDeskError
from tasks.desk.sql import insert_for
from tasks.desk.tables import LEASES

TERM = timedelta(seconds=60)
RENEW_EVERY_SECONDS = 15.0
RESTORING = "restoring"
"""Who holds this lease puts another desk in the place of this one: no other lease is given meanwhile."""


class LeaseHeldError(DeskRefusedError):
    """Another run holds the lease; ``since`` is when it took it (aware UTC)."""

    exit_code = ExitCode.FAILED

    def __init__(self, message: str, since: datetime | None = None) -> None:
        super().__init__(message)
        self.since = since


class LeaseLostError(DeskError):
    """This process slept so long that another run took over."""


class HeldLease:
    """A lease of this process, renewed by a thread of its own; use it with ``with``.

    Args:
        engine: the desk.
        name: what is worked on, such as ``check:default``.

    Raises:
        LeaseHeldError: another living run holds it.
    """

    def __init__(self, engine: Engine, name: str) -> None:
        self._engine = engine
        self._name = name
        self.holder = f"{_place()}|{os.getpid()}|{uuid.uuid4()}"
        self._stop = threading.Event()
        self._lost = False
        self._thread = threading.Thread(target=self._keep, name=f"lease {name}", daemon=True)

    def __enter__(self) -> Self:
        """Take the lease and begin to renew it."""
        acquire(self._engine, self._name, self.holder, now=datetime.now(UTC))
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Give the lease back; if the desk can't be reached, it ends by itself."""
        self._stop.set()
        self._thread.join()
        try:
            release(self._engine, self._name, self.holder)
        except DeskError:
            if kind is None:
                raise

    def check(self) -> None:
        """Make sure that nobody took over.

        Raises:
            LeaseLostError: another run did.
        """
        if self._lost:
            raise LeaseLostError(
                "this run stood still for over a minute and another one took over; it ends here"
            )

    def _keep(self) -> None:
        engine = second_engine(self._engine)
        while not self._stop.wait(RENEW_EVERY_SECONDS):
            try:
                self._lost = not renew(engine, self._name, self.holder, now=datetime.now(UTC))
            except RetriableDeskError:
                continue  # the term has room for several tries


def acquire(engine: Engine, name: str, holder: str, *, now: datetime) -> None:
    """Take a lease for a minute.

    Raises:
        LeaseHeldError: another holder's is still good, and its process is not known to be dead.
    """
    with writing(engine) as connection:
        _clear_if_over(connection, name, now)
        if name != RESTORING:
            _refuse_while_restoring(connection, now)
        insert = insert_for(engine)
        row = {"name": name, "holder": holder, "acquired_at": now, "expires_at": now + TERM}
        # RETURNING, because psycopg's row count of such an insert is not to be trusted.
        wanted = insert(LEASES).values(row).on_conflict_do_nothing().returning(LEASES.c.name)
        taken = connection.execute(wanted).scalar()
    if not taken:
        with reading(engine) as connection:
            since = connection.execute(select(LEASES.c.acquired_at).where(LEASES.c.name == name)).scalar()
        when = f" since {since:%Y-%m-%d %H:%M:%S} UTC" if since else ""
        raise LeaseHeldError(f"another run is at work on it{when}; wait until it has ended", since)


def _refuse_while_restoring(connection: Connection, now: datetime) -> None:
    _clear_if_over(connection, RESTORING, now)
    since = connection.execute(select(LEASES.c.acquired_at).where(LEASES.c.name == RESTORING)).scalar()
    if since:
        raise LeaseHeldError("another desk is put in the place of this one; wait until it stands", since)


def at_work(engine: Engine, *, now: datetime) -> list[str]:
    """Return the names of the leases that living runs hold."""
    living = select(LEASES.c.name, LEASES.c.holder).where(LEASES.c.expires_at > now).order_by(LEASES.c.name)
    with reading(engine) as connection:
        return [name for name, holder in connection.execute(living) if not _is_dead(holder)]


def refuse_if_at_work(engine: Engine, *, now: datetime, besides: str = "") -> None:
    """Make sure that no run is at work on a desk.

    Args:
        engine: the desk.
        now: aware.
        besides: our own lease.

    Raises:
        DeskRefusedError: one is.
    """
    others = [name for name in at_work(engine, now=now) if name != besides]
    if others:
        raise DeskRefusedError(f"a run is at work on this desk ({others[0]}): wait until it has ended")


def _clear_if_over(connection: Connection, name: str, now: datetime) -> None:
    held = connection.execute(select(LEASES).where(LEASES.c.name == name)).one_or_none()
    if held and (held.expires_at <= now or _is_dead(held.holder)):
        connection.execute(delete(LEASES).where(LEASES.c.name == name, LEASES.c.holder == held.holder))


def renew(engine: Engine, name: str, holder: str, *, now: datetime) -> bool:
    """Prolong a lease; False if it is no longer ours."""
    ours = (LEASES.c.name == name) & (LEASES.c.holder == holder)
    with writing(engine) as connection:
        return connection.execute(update(LEASES).where(ours).values(expires_at=now + TERM)).rowcount == 1


def release(engine: Engine, name: str, holder: str) -> None:
    """Give a lease back. Safe to repeat."""
    with writing(engine) as connection:
        connection.execute(delete(LEASES).where(LEASES.c.name == name, LEASES.c.holder == holder))


def _place() -> str:
    """Return what tells this machine and its process numbers from others; empty where that is not known."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()
        namespace = Path("/proc/self/ns/pid").readlink()
    except OSError:
        return ""
    return f"{socket.gethostname()}/{boot}/{namespace}"


def _is_dead(holder: str) -> bool:
    """Tell a holder of this machine whose process is gone: no need to wait for the minute to pass.

    A process that has ended but that its parent has not waited for is dead too: where the first process
    of a container does not wait for orphans, they stay in the process list for ever.
    """
    place, _, rest = holder.partition("|")
    if not place or place != _place():
        return False
    number = rest.partition("|")[0]
    if not number.isdecimal():
        return False
    try:
        state = Path(f"/proc/{number}/stat").read_text("ascii", "replace").rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return True
    except OSError:
        return False
    return state in {"Z", "X"}
