"""Write the outcomes of deliveries in groups as they arrive; the same for every outbox."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from threading import Lock
from types import TracebackType
from typing import Generic, Protocol, Self, TypeVar

from sqlalchemy import Connection, Engine

from tasks.desk.engine import writing

WRITE_EVERY_SECONDS = 0.2
"""Outcomes of this period are written together. The next run recovers those that a power cut loses."""


class HasId(Protocol):
    """A row of an outbox."""

    @property
    def id(self) -> int:
        """The row's id."""


Row = TypeVar("Row", bound=HasId)
Outcome = TypeVar("Outcome")


class OutcomeWriter(Generic[Row, Outcome]):
    """Takes outcomes and writes them as they come; use it with ``async with``.

    At the end all is written that was noted, whatever ended the sending.

    Args:
        engine: the desk.
        write: writes outcomes in the transaction that it is given.
    """

    def __init__(
        self, engine: Engine, write: Callable[[Connection, Sequence[tuple[Row, Outcome]]], None]
    ) -> None:
        self._engine = engine
        self._write_rows = write
        self._outcomes: dict[int, tuple[Row, Outcome]] = {}
        self._something = asyncio.Event()
        self._lock = Lock()
        self._writer: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        """Begin to write."""
        self._writer = asyncio.create_task(self._write_as_they_come())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Write the rest."""
        if self._writer:
            self._writer.cancel()
            with suppress(asyncio.CancelledError, Exception):  # written again just below
                await self._writer
        self._write()

    def note(self, row: Row, outcome: Outcome) -> None:
        """Take an outcome.

        Raises:
            DeskError: earlier ones could not be written; nothing more is to be sent.
        """
        self._outcomes[row.id] = (row, outcome)
        self._something.set()
        if self._writer and self._writer.done():
            self._writer.result()

    async def _write_as_they_come(self) -> None:
        while True:
            await self._something.wait()
            await asyncio.sleep(WRITE_EVERY_SECONDS)
            self._something.clear()
            await asyncio.to_thread(self._write)

    def _write(self) -> None:
        with self._lock:
            outcomes = dict(self._outcomes)
            if not outcomes:
                return
            with writing(self._engine) as connection:
                self._write_rows(connection, list(outcomes.values()))
            for id_ in outcomes:
                del self._outcomes[id_]
