"""Hand orders over to a fulfiller: read, map, check and serialize ahead; send with bounded concurrency.

A handover is marked as begun before it is sent. What a crash leaves without an outcome is sent again under
the same idempotency key, or looked for, as its way does.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple, Unpack

import msgspec
from sqlalchemy import Connection, Engine

from models.handovers import (
    FORM_VERSION,
    Due,
    Outgoing,
    SendReport,
    SendSettings,
    idempotency_key,
)
from models.looks import HeldBack, LastLook, Looked
from models.production import TellProduction
from models.tables.outbox import OutboxState
from models.unreadable import problems_in
from models.upstream import is_refunded
from tasks.delivery.engine import (
    CircuitBreaker,
    DeliveryRun,
    RunOptions,
    is_too_long,
    pause_seconds,
    resume_at,
)
from tasks.delivery.outcomes import OutcomeWriter
from tasks.delivery.retry_policy import AttemptOutcome
from tasks.desk.browse import orders_by_id
from tasks.desk.runs import record_counts
from tasks.fulfilment.channels.interface import Answer, Channel
from tasks.fulfilment.queue import (
    Result,
    begin_attempts,
    postpone_due,
    take_due,
    write_results,
)
from tasks.prefect_api.step import step
from tasks.rules.maps import Problem

logger = logging.getLogger(__name__)

BATCH_SIZE = 500
LOOK_SIZE = 100
"""So many orders podOS is asked about at once; the next are looked at while these are sent."""
ROUNDS = 4
"""How often an order is sent in one run before it waits for a later one."""
NOBODY: Mapping[str, TellProduction] = {}
_DECIDING = ("project", "source_id", "reference")
"""What tells a fulfiller's order from others: without it an order could go out twice."""


class Prepared(NamedTuple):
    """An order in the fulfiller's own words, what was changed, and all that speaks against sending it."""

    document: dict[str, Any]
    notes: list[str]
    problems: list[Problem]


Prepare = Callable[[dict[str, Any]], Prepared]


class SendRun(DeliveryRun[SendReport]):
    """What one run of sending shares.

    Attributes:
        settings: the fulfiller's, without its secret.
        look: asks podOS about orders before anything leaves.
        reporting: when the beginning of production is sent to podOS, by integration.
        breaker: open when the fulfiller must be down.
        halted: why the fulfiller is to be left alone for now, None if it is not.
        error: what ended the run, None if nothing did; what is under way comes to its end.
    """

    def __init__(
        self,
        engine: Engine,
        settings: SendSettings,
        report: SendReport,
        prepare: Prepare,
        look: LastLook,
        *,
        order_ids: Collection[int] | None = None,
        reporting: Mapping[str, TellProduction] = NOBODY,
        **options: Unpack[RunOptions],
    ) -> None:
        super().__init__(engine, report, **options)
        self.settings = settings
        self.prepare = prepare
        self.look = look
        self.order_ids = order_ids
        self.reporting = {
            name: moment for name, moment in reporting.items() if moment is not TellProduction.OFF
        }
        self.breaker = CircuitBreaker()
        self.halted: AttemptOutcome | None = None
        self.error: Exception | None = None
        self._held_back: dict[int, HeldBack] = {}

    @property
    def is_over(self) -> bool:
        """Whether nothing more is to be begun."""
        return self.halted is not None or self.error is not None

    def note_look(self, looked: Looked) -> None:
        """Count what a look came to; an order that is kept back twice counts once."""
        self._held_back |= {order_id: stop.kind for order_id, stop in looked.stops.items()}
        self.report.looked += looked.count
        self.report.unseen += len(looked.unseen)
        self.report.held_back = {kind.value: n for kind, n in Counter(self._held_back.values()).items()}

    def write(self, connection: Connection, outcomes: Sequence[tuple[Due, Result]]) -> None:
        """Write outcomes and counts in the caller's transaction; one that failed is written again."""
        settled = write_results(
            connection, outcomes, self.settings, now=self.clock(), reporting=self.reporting.keys()
        )
        for due, _ in outcomes:
            if due.id in settled:
                self.count(due, settled[due.id])
        record_counts(connection, self.report.run_id, self.report.counts)


Book = OutcomeWriter[Due, Result]
Queue = asyncio.Queue[list[Outgoing] | None]


async def send_all(channel: Channel, run: SendRun) -> None:
    """Send all that is due, with a producer that works ahead of the lanes.

    Raises:
        RefusedError: the fulfiller does not let us in; what was not sent still waits.
        FulfillerError: it can't be used as it is set up.
        DeskError: the desk was busy, or another run took over.

    Safe to repeat, also with the same run: a new pass over what is still due.
    """
    run.error = None
    # Short: what lies in it has been looked at, and podOS may change it meanwhile.
    queue: Queue = asyncio.Queue(maxsize=max(1, LOOK_SIZE // channel.group_size))
    async with OutcomeWriter[Due, Result](run.engine, run.write) as book:
        workers = [
            asyncio.create_task(_produce(channel, run, queue, book)),
            *(asyncio.create_task(_lane(channel, run, queue, book)) for _ in range(channel.lanes)),
        ]
        try:
            await asyncio.gather(*workers)
        finally:
            for worker in workers:
                worker.cancel()
            await asyncio.gather(*workers, return_exceptions=True)
    if run.error:
        raise run.error
    _postpone_rest(run)


async def _produce(channel: Channel, run: SendRun, queue: Queue, book: Book) -> None:
    """Fill the queue batch by batch; the next is made ready while the lanes send the one before."""
    after_id = 0
    try:
        while not run.is_over and (batch := await asyncio.to_thread(_next_batch, run, after_id)):
            after_id, ready, unfit = batch
            for due, result in unfit:
                book.note(due, result)
            size = max(LOOK_SIZE, channel.group_size)
            for start in range(0, len(ready), size):
                await _look_and_queue(channel, run, queue, book, ready[start : start + size])
    except Exception as error:  # noqa: BLE001 - raised when the lanes have ended
        run.error = run.error or error
    for _ in range(channel.lanes):
        await queue.put(None)


async def _look_and_queue(
    channel: Channel, run: SendRun, queue: Queue, book: Book, ready: Sequence[Outgoing]
) -> None:
    """Ask podOS about orders, and queue those that may go; the others keep the reason."""
    if run.is_over:
        return
    looked = await run.look([outgoing_order.due for outgoing_order in ready], run.report.run_id)
    run.note_look(looked)
    for outgoing_order in ready:
        if stop := looked.stops.get(outgoing_order.due.order_id):
            verdict = AttemptOutcome(stop.state, stop.reason, stop.retry_after_seconds)
            book.note(outgoing_order.due, Result(verdict, stopped=True))
    going = [
        outgoing_order._replace(unseen=looked.unseen.get(outgoing_order.due.order_id, ""))
        for outgoing_order in ready
        if outgoing_order.due.order_id not in looked.stops
    ]
    ids = [outgoing_order.id for outgoing_order in going]
    reported = {
        outgoing_order.id: outgoing_order.due.order_id
        for outgoing_order in going
        if run.reporting.get(outgoing_order.due.integration) is TellProduction.HANDOVER
    }
    begin = partial(begin_attempts, run.engine, ids, now=run.clock(), reported=reported)
    may_go = await asyncio.to_thread(begin) if ids else set()
    going = [outgoing_order for outgoing_order in going if outgoing_order.id in may_go]
    for start in range(0, len(going), channel.group_size):
        await queue.put(going[start : start + channel.group_size])


Batch = tuple[int, list[Outgoing], list[tuple[Due, Result]]]


def _next_batch(run: SendRun, after_id: int) -> Batch | None:
    run.check_lease()
    due = _due(run, after_id)
    if not due:
        return None
    return due[-1].id, *prepare_batch(run, due)


def _due(run: SendRun, after_id: int) -> list[Due]:
    name, now = run.settings.fulfiller, run.clock()
    return take_due(run.engine, name, now=now, limit=BATCH_SIZE, after_id=after_id, order_ids=run.order_ids)


def prepare_batch(run: SendRun, due: Sequence[Due]) -> tuple[list[Outgoing], list[tuple[Due, Result]]]:
    """Return what may go, ready to be sent, and what may not, with all reasons."""
    documents = orders_by_id(run.engine, [due_row.order_id for due_row in due])
    outgoing: list[Outgoing] = []
    unfit: list[tuple[Due, Result]] = []
    for due_row in due:
        if is_refunded(due_row.podos_status):
            refunded = AttemptOutcome(OutboxState.FAILED, "the order was refunded in podOS")
            unfit.append((due_row, Result(refunded)))
            continue
        ready = _made_ready(run, due_row, documents[due_row.order_id])
        if isinstance(ready, Outgoing):
            outgoing.append(ready)
        else:
            unfit.append((due_row, ready))
    return outgoing, unfit


def _made_ready(run: SendRun, due: Due, document: dict[str, Any]) -> Outgoing | Result:
    """Return an order ready to be sent, or why it can't be."""
    if problems := problems_in({name: getattr(due, name) for name in _DECIDING}):
        remedy = f"correct the row, then: desk outbox resend {due.id}"
        return Result(AttemptOutcome(OutboxState.FAILED, "; ".join([*problems, remedy])), unfit=True)
    try:
        prepared = run.prepare(document)
        if not prepared.problems:
            return _outgoing(run.settings.fulfiller, due, prepared)
    except Exception as error:  # noqa: BLE001 - one odd order keeps no other from being sent
        reason = f"it can't be made ready for {run.settings.fulfiller} (unexpected {type(error).__name__})"
        logger.error("order %s: %s", due.order_id, reason)  # noqa: TRY400 - a traceback may quote its values
        return Result(AttemptOutcome(OutboxState.FAILED, reason), unfit=True)
    return Result(_unfit(prepared.problems), notes=tuple(prepared.notes), unfit=True)


def _unfit(problems: Sequence[Problem]) -> AttemptOutcome:
    told = "; ".join(problem.told for problem in problems)
    return AttemptOutcome(OutboxState.FAILED, told, kept="; ".join(problem.text for problem in problems))


def _outgoing(fulfiller: str, due: Due, prepared: Prepared) -> Outgoing:
    key = idempotency_key(fulfiller, due.project, due.source_id)
    form = {"version": FORM_VERSION, "idempotency_key": key, "fulfiller": fulfiller}
    body = msgspec.json.encode({**form, "order": prepared.document})
    return Outgoing(due, key, prepared.document, body, tuple(prepared.notes))


async def _lane(channel: Channel, run: SendRun, queue: Queue, book: Book) -> None:
    while (group := await queue.get()) is not None:
        if run.is_over:
            continue  # the queue is emptied, so that the producer comes to its end
        try:
            run.check_lease()
            answers = await _send_group(channel, run, group)
            for outgoing_order in group:
                if answer := answers.get(outgoing_order.id):
                    book.note(outgoing_order.due, _result_of(answer, outgoing_order))
        except Exception as error:  # noqa: BLE001 - raised when the other lanes have ended
            run.error = run.error or error


def _result_of(answer: Answer, outgoing_order: Outgoing) -> Result:
    notes, unseen = outgoing_order.notes, outgoing_order.unseen
    return Result(answer.verdict, answer.reference, notes, unseen=unseen)


async def _send_group(channel: Channel, run: SendRun, group: Sequence[Outgoing]) -> dict[int, Answer]:
    """Send a group, again after a short pause where it got no clear answer."""
    answers: dict[int, Answer] = {}
    left = list(group)
    for number in range(ROUNDS):
        await run.gate.wait()
        if run.is_over:
            return answers
        answers |= await channel.send(left)
        left = [
            outgoing_order
            for outgoing_order in left
            if answers[outgoing_order.id].verdict.state is OutboxState.WAITING
        ]
        if not left:
            run.breaker.succeeded()
            return answers
        left = [
            outgoing_order._replace(due=outgoing_order.due._replace(first_attempt_at=run.clock()))
            for outgoing_order in left
        ]
        await _wait_or_halt(run, answers[left[0].id].verdict, number)
    return answers


async def _wait_or_halt(run: SendRun, verdict: AttemptOutcome, number: int) -> None:
    run.breaker.failed()
    asked = verdict.retry_after_seconds
    if run.breaker.is_open or is_too_long(asked):
        run.halted = run.halted or verdict
    elif number < ROUNDS - 1 and not asked:
        await run.sleep(pause_seconds(number, None))
    elif number < ROUNDS - 1 and run.gate.is_open:
        await run.gate.pause(pause_seconds(number, asked))


def _postpone_rest(run: SendRun) -> None:
    """After the fulfiller asked for a pause or was down: let all that is due wait, without an attempt."""
    if run.halted:
        run.report.paused = run.halted.reason
        now = run.clock()
        postpone_due(run.engine, run.settings.fulfiller, until=resume_at(run.halted, now), now=now)


async def count_sendable(run: SendRun) -> int:
    """Return how many a read-only run would send; podOS is asked, nothing is written."""
    after_id, count = 0, 0
    while due := await asyncio.to_thread(_due, run, after_id):
        ready, _ = await asyncio.to_thread(prepare_batch, run, due)
        looked = await run.look([outgoing_order.due for outgoing_order in ready], None)
        run.note_look(looked)
        count += len(ready) - len(looked.stops)
        after_id = due[-1].id
    return count


@step("hand orders over", run_name="hand orders over")
async def hand_over(channel: Channel, run: SendRun) -> None:
    """Send all that is due (see ``send_all``). Repeating is a new pass over what is still due."""
    await send_all(channel, run)
