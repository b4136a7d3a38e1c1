"""Send statuses of production to podOS: look what it shows, change what is behind, write the outcomes.

podOS is never asked to change an order without a look at it just before: after an answer that does not say
whether a change was made, and after a crash, the look finds it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Unpack

from sqlalchemy import Engine

from models.production import DueStatus, ProductionReport, ProductionSettings
from models.tables.outbox import OutboxState
from tasks.concurrency import for_each_concurrently
from tasks.delivery.engine import CircuitBreaker, DeliveryRun, RunOptions
from tasks.delivery.retry_policy import AttemptOutcome
from tasks.desk.engine import writing
from tasks.podos.client import IDS_PER_REQUEST, PodosClient
from tasks.podos.errors import (
    FatalPodosError,
    RefusedChangeError,
    RetriablePodosError,
    TokenRefusedError,
)
from tasks.podos.tracking import held_by_id, patch_status
from tasks.prefect_api.step import step
from tasks.production.policy import is_as_far, newest_of_each, outcome_without_sending
from tasks.production.store import take_due, void_waiting, was_ever_taken, write_outcomes

REFUSES_ALL = frozenset({400, 401, 403})
"""What podOS says to the first status where it takes none of this project or token."""
Note = Callable[[DueStatus, AttemptOutcome], None]


class ProductionRefusedError(Exception):
    """podOS takes no status of production; raised inside this module only."""


class ProductionRun(DeliveryRun[ProductionReport]):
    """What one run of sending shares.

    Attributes:
        settings: the integration's, without its secret.
        breaker: open when podOS must be down.
        is_taken: podOS took a status in this run.
        halted: why podOS is to be left alone for now, None if it is not.
    """

    def __init__(
        self,
        engine: Engine,
        settings: ProductionSettings,
        report: ProductionReport,
        **options: Unpack[RunOptions],
    ) -> None:
        super().__init__(engine, report, **options)
        self.settings = settings
        self.breaker = CircuitBreaker()
        self.is_taken = False
        self.halted: RetriablePodosError | None = None


async def send_statuses(client: PodosClient, run: ProductionRun) -> None:
    """Send all statuses that are due.

    Raises:
        FatalPodosError: podOS refused token or project, and had taken statuses before.
        RetriableDeskError: the desk was busy; what podOS has by then is found by the next look.
        LeaseLostError: another run took over.

    Safe to repeat.
    """
    name, after_id = run.settings.integration, 0
    try:
        while not run.halted:
            due = take_due(run.engine, name, now=run.clock(), limit=IDS_PER_REQUEST, after_id=after_id)
            if not due:
                return
            after_id = due[-1].id
            if run.report.would_send is None:
                await _send_batch(client, run, due)
            else:
                run.report.would_send += len(due)
                run.report.counts[OutboxState.WAITING] += len(due)
    except ProductionRefusedError as refusal:
        run.report.refused = str(refusal)
        void_waiting(run.engine, name, str(refusal))


async def _send_batch(client: PodosClient, run: ProductionRun, due: Sequence[DueStatus]) -> None:
    """Send one batch; whatever ends it, the outcomes that are known by then are written."""
    outcomes: dict[int, tuple[DueStatus, AttemptOutcome]] = {}

    def note(row: DueStatus, outcome: AttemptOutcome) -> None:
        outcomes[row.id] = (row, outcome)

    try:
        await _look_and_change(client, run, due, note)
    finally:
        with writing(run.engine) as connection:
            settled = write_outcomes(connection, list(outcomes.values()), now=run.clock())
        for row, _ in outcomes.values():
            if row.id in settled:
                run.count(row, settled[row.id])


async def _look_and_change(
    client: PodosClient, run: ProductionRun, due: Sequence[DueStatus], note: Note
) -> None:
    last, earlier = newest_of_each(due)
    for row in due:
        if row.id in earlier:
            note(row, earlier[row.id])
    try:
        held = await held_by_id(client, [row.source_id for row in last])
    except RetriablePodosError as error:
        run.halted = error
        for row in last:
            note(row, AttemptOutcome(OutboxState.WAITING, str(error), error.retry_after_seconds))
        return
    behind = []
    for row in last:
        if settled := outcome_without_sending(row, run.settings.project, held.get(row.source_id)):
            note(row, settled)
        else:
            behind.append(row)
    while behind and not _is_known_to_work(run):
        # One by one until podOS takes one: if it refuses all of them, one request is enough to know.
        await _change(client, run, behind.pop(0), note)

    async def change(row: DueStatus) -> None:
        await _change(client, run, row, note)

    await for_each_concurrently(behind, change, lanes=client.connections)


async def _change(client: PodosClient, run: ProductionRun, row: DueStatus, note: Note) -> None:
    if run.halted:
        return
    run.check_lease()
    try:
        held = await patch_status(client, row.source_id, row.status)
        if not is_as_far(row.status, held):
            message = "podOS took the status but does not show it"
            raise RetriablePodosError(message, project=client.project)  # noqa: TRY301 - handled as any other
    except (RefusedChangeError, TokenRefusedError) as error:
        _refused(run, row, error, note)
    except RetriablePodosError as error:
        run.breaker.failed()
        run.halted = error if run.breaker.is_open else run.halted
        note(row, AttemptOutcome(OutboxState.WAITING, str(error), error.retry_after_seconds))
    else:
        run.breaker.succeeded()
        run.is_taken = True
        note(row, AttemptOutcome(OutboxState.SENT))


def _refused(run: ProductionRun, row: DueStatus, error: FatalPodosError, note: Note) -> None:
    if error.status in REFUSES_ALL and not _is_known_to_work(run):
        raise ProductionRefusedError(
            f"podOS takes no production status for this token (HTTP {error.status}): "
            "Tell podOS When Production Begins was switched off"
        ) from None
    if isinstance(error, TokenRefusedError):
        raise error
    reason = f"podOS did not accept the status (HTTP {error.status})"
    kept = f"{reason}: {error.words}" if error.words else None
    note(row, AttemptOutcome(OutboxState.FAILED, reason, kept=kept))


def _is_known_to_work(run: ProductionRun) -> bool:
    return run.is_taken or was_ever_taken(run.engine, run.settings.integration)


@step("send production states", run_name="send production states")
async def send_production(client: PodosClient, run: ProductionRun) -> None:
    """Send all that is due (see ``send_statuses``). Repeating begins with a new look at what podOS shows."""
    await send_statuses(client, run)
