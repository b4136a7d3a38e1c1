"""What happened to orders after their import."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Connection

from tasks.desk.tables import HISTORY


def add_history(connection: Connection, rows: Sequence[tuple[int, str, str]], at: datetime) -> None:
    """Write history rows in the caller's transaction.

    Args:
        connection: in a writing transaction.
        rows: (order id, event, text), in the sequence in which they are to be read.
        at: aware; when it happened.

    Not safe to repeat: every call adds its rows.
    """
    if rows:
        connection.execute(
            HISTORY.insert(),
            [{"order_id": id_, "at": at, "event": event, "text": text} for id_, event, text in rows],
        )
