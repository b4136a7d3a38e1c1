"""Ask podOS about orders just before they are handed over, and judge its answer as a check does."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Self

from sqlalchemy import Engine

from models.blocks import Integration, WhenAway
from models.errors import AppError
from models.filters import ImportSettings
from models.handovers import Due
from models.looks import HeldBack, Looked, Stop
from models.podos import Fulfillment
from models.upstream import ChangePlan, RemoteOrder
from tasks.concurrency import for_each_concurrently, run_in_thread
from tasks.desk.engine import reading, writing
from tasks.desk.sql import chunks
from tasks.imports.load import events_of
from tasks.imports.policy import stop_of
from tasks.imports.remote_changes import note_changes, plan_changes
from tasks.imports.transform import remote_orders_of
from tasks.imports.vanished import note_vanished, plan_all_vanished
from tasks.podos.client import IDS_PER_REQUEST, PodosClient
from tasks.podos.errors import PodosError, RetriablePodosError
from tasks.podos.parsing import Row
from tasks.podos.scan import Batch
from tasks.prefect_api.integrations import (
    IntegrationError,
    UnknownIntegrationError,
    integration_names,
    load_integration,
)
from tasks.prefect_api.pacing import open_podos

logger = logging.getLogger(__name__)
PAUSE_SECONDS = 60.0
NOT_CONNECTED = "no integration is connected for its project"
_UNREADABLE = "podOS sends the order in a form that can't be read: see podOS"


@dataclass
class Source:
    """An integration that can be asked; ``away`` says why it can't be any more in this run."""

    settings: ImportSettings
    client: PodosClient
    waits: bool
    away: PodosError | None = None


@dataclass
class Answer:
    """What podOS says of a group of orders, asked after ``began_at``."""

    began_at: datetime
    there: dict[str, RemoteOrder]
    unreadable: set[str]
    missing: list[str]


class PodosLook:
    """Looks at orders of all integrations (see ``models.looks.LastLook``); use it with ``async with``.

    Args:
        engine: the desk.
        clock: returns the present, aware.

    Attributes:
        to_announce: events of changes that the desk has noted and nobody was told of yet.
        problem: why an integration could not be asked, where only a person can mend it.
    """

    def __init__(self, engine: Engine, *, clock: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._engine = engine
        self._clock = clock
        self._opened = AsyncExitStack()
        self._sources: dict[str, Source] | None = None
        self._unusable: dict[str, IntegrationError] = {}
        self.to_announce: list[dict[str, Any]] = []
        self.problem: AppError | None = None

    async def __aenter__(self) -> Self:
        """Return the look itself; integrations are opened when first needed."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the connections."""
        await self._opened.aclose()

    async def __call__(self, due: Sequence[Due], run_id: int | None) -> Looked:
        """Return what must not go, 100 orders a request; without a run nothing is written.

        Raises:
            DeskError: the desk was busy; look again.
        """
        if self._sources is None:
            self._sources = await self._open_all()
        looked = Looked()
        groups: dict[str, list[Due]] = defaultdict(list)
        for row in due:
            groups[self._name_for(self._sources, row)].append(row)
        for name, group in groups.items():
            if name in self._unusable:
                reason = str(self._unusable[name])
                stop = Stop(
                    HeldBack.AWAY, f"podOS can't be asked: {reason}", retry_after_seconds=PAUSE_SECONDS
                )
                looked.stops |= {row.order_id: stop for row in group}
            elif not name:
                looked.unseen |= {row.order_id: NOT_CONNECTED for row in group}
            else:
                await self._look_at(self._sources[name], group, run_id, looked)
        return looked

    async def _open_all(self) -> dict[str, Source]:
        sources: dict[str, Source] = {}
        for name in await integration_names():
            try:
                integration = await load_integration(name)
            except UnknownIntegrationError:
                continue  # removed just now
            except IntegrationError as error:
                self._unusable[name] = self.problem = error
                continue
            sources[name] = await self._open(name, integration)
        return sources

    async def _open(self, name: str, integration: Integration) -> Source:
        client = await self._opened.enter_async_context(open_podos(self._engine, name, integration))
        waits = integration.when_away is WhenAway.WAIT
        return Source(integration.import_settings(name), client, waits)

    def _name_for(self, sources: dict[str, Source], row: Due) -> str:
        """Return the integration that is asked about an order: its own, else another of its project."""
        own = sources.get(row.integration)
        if row.integration in self._unusable or (own and own.settings.project == row.project):
            return row.integration
        return next((name for name, its in sources.items() if its.settings.project == row.project), "")

    async def _look_at(
        self, source: Source, group: Sequence[Due], run_id: int | None, looked: Looked
    ) -> None:
        answer = await self._answer(source, group) if source.away is None else None
        if answer is None:
            _note_away(source, group, looked)
            return
        stops = await run_in_thread(self._judge, source, group, answer, run_id)
        looked.count += len(group)
        looked.stops |= stops

    async def _answer(self, source: Source, group: Sequence[Due]) -> Answer | None:
        began_at, rows = self._clock(), list[Row]()

        async def ask(ids: Sequence[str]) -> None:
            rows.extend(await source.client.get_by_ids(ids))

        ids = [row.source_id for row in group]
        try:
            await for_each_concurrently(
                list(chunks(ids, IDS_PER_REQUEST)), ask, lanes=source.client.connections
            )
            if left := sorted(set(ids) - {row.id for row in rows}):
                await ask(left)  # an empty answer could be a fault: that they are gone is said twice
        except PodosError as error:
            source.away = error
            if not isinstance(error, RetriablePodosError):
                self.problem = self.problem or error
            return None
        return _sorted_out(rows, ids, source.settings, began_at)

    def _judge(
        self, source: Source, group: Sequence[Due], answer: Answer, run_id: int | None
    ) -> dict[int, Stop]:
        """Do what a check does about changed orders, and return what must not go."""
        plans = self._plans(source.settings, answer, run_id)
        stops: dict[int, Stop] = {}
        for row in group:
            there, plan = answer.there.get(row.source_id), plans.get(row.order_id)
            if row.source_id in answer.unreadable:
                stop = _stop_unreadable(source)
            else:
                status = there.order.podos_status if there else None
                stop = stop_of(row.podos_status, status, plan, source.settings.statuses)
            if stop:
                stops[row.order_id] = stop
        return stops

    def _plans(self, settings: ImportSettings, answer: Answer, run_id: int | None) -> dict[int, ChangePlan]:
        again = list(answer.there.values())
        if run_id is None:
            with reading(self._engine) as connection:
                done = plan_changes(connection, again, settings, began_at=answer.began_at)
                done += plan_all_vanished(connection, answer.missing, settings)
            return {plan.order_id: plan for plan in done}
        now = self._clock()
        with writing(self._engine) as connection:
            done = note_changes(connection, again, settings, run_id=run_id, began_at=answer.began_at, now=now)
        self.to_announce += events_of(done, settings)
        if answer.missing:  # a transaction of its own: each takes its locks in the same sequence
            with writing(self._engine) as connection:
                gone = note_vanished(connection, answer.missing, settings, run_id=run_id, now=now)
            self.to_announce += events_of(gone, settings)
            done += gone
        return {plan.order_id: plan for plan in done}


def _sorted_out(
    rows: Sequence[Row], ids: Sequence[str], settings: ImportSettings, began_at: datetime
) -> Answer:
    batch = Batch(1, rows, None)
    batch.again = frozenset(ids)
    there = {remote.source_id: remote for remote in remote_orders_of(batch, settings)}
    unreadable = {row.id for row in rows if row.id and not isinstance(row, Fulfillment)}
    missing = [id_ for id_ in ids if id_ not in there and id_ not in unreadable]
    return Answer(began_at, there, unreadable - there.keys(), missing)


def _stop_unreadable(source: Source) -> Stop | None:
    if not source.waits:
        return None
    return Stop(HeldBack.UNREADABLE, _UNREADABLE, retry_after_seconds=PAUSE_SECONDS)


def _note_away(source: Source, group: Sequence[Due], looked: Looked) -> None:
    error = source.away
    if source.waits:
        asked = error.retry_after_seconds if isinstance(error, RetriablePodosError) else None
        wait = max(PAUSE_SECONDS, asked or 0.0)
        stop = Stop(HeldBack.AWAY, f"podOS could not be asked: {error}", retry_after_seconds=wait)
        looked.stops |= {row.order_id: stop for row in group}
    else:
        looked.unseen |= {row.order_id: f"podOS could not be asked: {error}" for row in group}
