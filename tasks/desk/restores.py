"""Time of the last restore. Work done after the backup is unknown to the desk."""

from __future__ import annotations

from datetime import UTC, datetime

from sqlalchemy import Connection, delete, insert, select

from tasks.desk.tables import LEASES

RESTORED = "restored"
"""The row of table ``leases`` that keeps the moment; nobody holds it."""
_LONG_OVER = datetime(1970, 1, 1, tzinfo=UTC)


def restored_at(connection: Connection) -> datetime | None:
    """Return when the desk was last restored (aware UTC), None if it never was."""
    moment: datetime | None = connection.execute(
        select(LEASES.c.acquired_at).where(LEASES.c.name == RESTORED)
    ).scalar()
    return moment


def note_restore(connection: Connection, moment: datetime) -> None:
    """Note that the desk was restored at a moment (aware). Safe to repeat."""
    connection.execute(delete(LEASES).where(LEASES.c.name == RESTORED))
    row = {"name": RESTORED, "holder": "nobody", "acquired_at": moment, "expires_at": _LONG_OVER}
    connection.execute(insert(LEASES).values(row))
