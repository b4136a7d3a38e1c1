"""The desk that the environment names, for commands."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sqlalchemy import Engine


@contextmanager
def open_the_desk() -> Iterator[Engine]:
    """Give the desk of DESK_DATABASE_URL, made or brought up to date if need be; it is closed at the end.

    Raises:
        DeskSettingsError: the address is wrong, the file can't be written, or the schema is newer than ours.
        RetriableDeskError: the database is locked or can't be reached.
    """
    from models.settings import Environment
    from tasks.desk.engine import opened_desk

    with opened_desk(Environment().database_url()) as engine:
        yield engine
