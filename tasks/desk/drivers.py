"""The database drivers, taught to hand over values that Python can't hold as ``models.unreadable`` has them.

By themselves they raise in the middle of a result: one row of another program would hide all rows behind it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from models.unreadable import UnreadableText, UnreadableTime

if TYPE_CHECKING:
    from psycopg import Connection


def text_of_sqlite(raw: bytes) -> str:
    """Return the text of an SQLite value, which need not be UTF-8."""
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return UnreadableText("it is not UTF-8 text")


def read_all_times(connection: Connection[Any]) -> None:
    """Let a PostgreSQL connection read times that Python has not, such as ``infinity``."""
    from psycopg import DataError, adapters, pq
    from psycopg.abc import AdaptContext
    from psycopg.adapt import Buffer, Loader

    type_id = adapters.types["timestamptz"].oid
    usual = cast("type[Loader]", adapters.get_loader(type_id, pq.Format.TEXT))

    class TimeLoader(Loader):
        def __init__(self, oid: int, context: AdaptContext | None = None) -> None:
            super().__init__(oid, context)
            self._usual = usual(oid, context)

        def load(self, data: Buffer) -> Any:
            try:
                return self._usual.load(data)
            except DataError:
                return UnreadableTime("it is not a time between the years 1 and 9999")

    connection.adapters.register_loader(type_id, TimeLoader)
