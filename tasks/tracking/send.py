"""Send tracking to podOS in batches: read the remote tracking, send what is missing, write the outcomes.

podOS is never asked to change an order without a look at it just before: after an answer that does not say
whether a change was made, and after a crash, the look finds it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from models.podos import HeldTracking
from models.shipments import Parcel, Sibling, Tracking
from models.tables.outbox import OutboxState
from tasks.concurrency import for_each_concurrently
from tasks.delivery.engine import CircuitBreaker, is_too_long, pause_seconds, resume_at
from tasks.delivery.outcomes import OutcomeWriter
from tasks.delivery.retry_policy import AttemptOutcome
from tasks.desk.sql import chunks
from tasks.podos.client import IDS_PER_REQUEST, PodosClient
from tasks.podos.errors import RefusedChangeError, RetriablePodosError
from tasks.podos.tracking import held_by_id, patch_fulfillment
from tasks.prefect_api.step import step
from tasks.tracking.policy import Decision, before_asking, decide, is_there, outgoing, place_of
from tasks.tracking.queue import normalize_tracking, postpone_due, siblings_of, take_due
from tasks.tracking.sync_run import SyncRun
from tasks.tracking.values import UnfitShipmentError, clean_code, clean_courier

BATCH_SIZE = 1000
ROUNDS = 5
"""How often a shipment is looked at and sent in one batch before it waits for a later run."""
_TOO_FAST = 429


class Outgoing(NamedTuple):
    """A shipment that has its order's place, what it would send, and which codes it may replace."""

    parcel: Parcel
    tracking: Tracking
    replaceable: tuple[str, ...]


async def send_batch(client: PodosClient, run: SyncRun) -> bool:
    """Send the next waiting shipments; False when none was due.

    Raises:
        RetriableDeskError: the desk was busy; what podOS has by then is found by the next look.
        FatalPodosError: podOS refused token or project; what was not sent still waits.
        LeaseLostError: another sync took over.

    Safe to repeat.
    """
    name = run.settings.integration
    parcels = take_due(run.engine, name, now=run.clock(), limit=BATCH_SIZE, after_id=run.after_id)
    if not parcels:
        return False
    if run.report.would_send is not None:
        run.after_id = parcels[-1].id
        run.report.would_send += len(await look(client, run, sift(run, parcels, _ignore), _ignore))
        return True
    async with OutcomeWriter(run.engine, run.write) as ledger:
        await send_in_rounds(client, run, sift(run, parcels, ledger.note), ledger.note)
    return True


Note = Callable[[Parcel, AttemptOutcome], None]


def _ignore(_parcel: Parcel, _verdict: AttemptOutcome) -> None:
    """Take an outcome of a read-only run, which writes none."""


def sift(run: SyncRun, parcels: Sequence[Parcel], note: Note) -> list[Outgoing]:
    """Return what is fit to send and has its order's place; the others are settled."""
    siblings = siblings_of(run.engine, [parcel.order_id for parcel in parcels])
    places = {order_id: place_of(family) for order_id, family in siblings.items()}
    fit: list[Outgoing] = []
    untidy: dict[Parcel, Tracking] = {}
    for parcel in parcels:
        place = places.get(parcel.order_id) or place_of(())
        verdict = before_asking(parcel, run.settings.project, place)
        if verdict:
            note(parcel, verdict)
            continue
        try:
            tracking = outgoing(parcel, run.settings.couriers)
        except UnfitShipmentError as error:
            note(parcel, AttemptOutcome(OutboxState.FAILED, str(error)))
            continue
        fit.append(Outgoing(parcel, tracking, _voided_codes(siblings[parcel.order_id])))
        tidied = Tracking(clean_courier(parcel.courier), clean_code(parcel.code), tracking.url)
        if tidied != (parcel.courier, parcel.code, parcel.url):
            untidy[parcel] = tidied
    return _without_doubles(run, fit, untidy, note)


def _voided_codes(family: Iterable[Sibling]) -> tuple[str, ...]:
    return tuple(sibling.code for sibling in family if sibling.state == OutboxState.VOIDED.value)


def _without_doubles(
    run: SyncRun, fit: list[Outgoing], untidy: dict[Parcel, Tracking], note: Note
) -> list[Outgoing]:
    if run.report.would_send is not None:
        return fit
    doubles = normalize_tracking(run.engine, untidy)
    for candidate in fit:
        if candidate.parcel.id in doubles:
            note(
                candidate.parcel,
                AttemptOutcome(OutboxState.FAILED, "it is the same as another shipment of its order"),
            )
    return [candidate for candidate in fit if candidate.parcel.id not in doubles]


async def send_in_rounds(client: PodosClient, run: SyncRun, todo: list[Outgoing], note: Note) -> None:
    """Look, send, and look again at what got no clear answer; what stays unclear waits for a later run."""
    for number in range(ROUNDS):
        to_send = await look(client, run, todo, note)
        sender = Sender(client, run, note)
        # The client lets only so many requests out; a few more stand ready, so that no connection idles.
        await for_each_concurrently(to_send, sender.send, lanes=client.connections + client.connections // 2)
        todo, error = sender.unclear, sender.error
        if run.halted or not todo or error is None:
            return
        if number < ROUNDS - 1:
            await run.sleep(pause_seconds(number, error.retry_after_seconds))
            continue
        run.halted = error if sender.breaker.is_open else None
        for candidate in todo:
            note(candidate.parcel, waiting(error))


def waiting(error: RetriablePodosError) -> AttemptOutcome:
    """Return the outcome of a shipment that podOS gave no clear answer to."""
    return AttemptOutcome(OutboxState.WAITING, str(error), error.retry_after_seconds)


async def look(client: PodosClient, run: SyncRun, todo: Sequence[Outgoing], note: Note) -> list[Outgoing]:
    """See what podOS holds, 100 orders a request, and return what is to be sent; the rest is settled."""
    to_send: list[Outgoing] = []

    async def look_at(chunk: Sequence[Outgoing]) -> None:
        if run.halted:
            return
        try:
            held = await held_by_id(client, [candidate.parcel.source_id for candidate in chunk])
        except RetriablePodosError as error:
            run.halted = error
            for candidate in chunk:
                note(candidate.parcel, waiting(error))
            return
        for candidate in chunk:
            decision = _decide(candidate, held.get(candidate.parcel.source_id))
            if decision.verdict:
                note(candidate.parcel, decision.verdict)
            else:
                to_send.append(candidate)

    await for_each_concurrently(list(chunks(todo, IDS_PER_REQUEST)), look_at, lanes=client.connections)
    return [] if run.halted else to_send


def _decide(outgoing: Outgoing, held: HeldTracking | None) -> Decision:
    return decide(outgoing.parcel, outgoing.tracking, held, outgoing.replaceable)


class Sender:
    """Sends one round of shipments.

    Attributes:
        unclear: what got no clear answer, or was not tried because podOS is in trouble.
        error: the newest of those answers.
        breaker: open when podOS must be down.
    """

    def __init__(self, client: PodosClient, run: SyncRun, note: Note) -> None:
        self.unclear: list[Outgoing] = []
        self.error: RetriablePodosError | None = None
        self._client = client
        self._run = run
        self._note = note
        self.breaker = CircuitBreaker()

    async def send(self, outgoing: Outgoing) -> None:
        """Send one shipment's tracking and note what came of it."""
        await self._run.gate.wait()
        if self._run.halted:
            return
        if self.breaker.is_open:
            self.unclear.append(outgoing)
            return
        self._run.check_lease()
        try:
            await self._patch(outgoing)
        except RefusedChangeError as error:
            self._note(outgoing.parcel, refusal(error))
        except RetriablePodosError as error:
            await self._got_no_answer(outgoing, error)

    async def _patch(self, outgoing: Outgoing) -> None:
        courier, code, url = outgoing.tracking
        held = await patch_fulfillment(
            self._client, outgoing.parcel.source_id, courier=courier, code=code, url=url
        )
        if not is_there(outgoing.tracking, held):
            raise RetriablePodosError(
                "podOS took the tracking but does not show it", project=self._client.project
            )
        self.breaker.succeeded()
        self._note(outgoing.parcel, AttemptOutcome(OutboxState.SENT))

    async def _got_no_answer(self, outgoing: Outgoing, error: RetriablePodosError) -> None:
        self.error = error
        self.breaker.failed()
        if is_too_long(error.retry_after_seconds):
            self._run.halted = error
            self._note(outgoing.parcel, waiting(error))
            return
        self.unclear.append(outgoing)
        if error.status == _TOO_FAST and self._run.gate.is_open:
            await self._run.gate.pause(pause_seconds(0, error.retry_after_seconds))


def refusal(error: RefusedChangeError) -> AttemptOutcome:
    """Return the outcome of a change that podOS did not take; its own words are for the desk alone."""
    if error.status == 404:
        return AttemptOutcome(OutboxState.FAILED, "podOS does not know this order (HTTP 404)")
    reason = f"podOS did not accept the tracking (HTTP {error.status})"
    if not error.words:
        return AttemptOutcome(OutboxState.FAILED, f"{reason} and does not say why")
    return AttemptOutcome(OutboxState.FAILED, reason, kept=f"{reason}: {error.words}")


def postpone_rest(run: SyncRun) -> None:
    """After podOS asked for a pause or could not be had: let all that is due wait, without an attempt."""
    if run.halted and run.report.would_send is None:
        now = run.clock()
        postpone_due(run.engine, run.settings.integration, until=resume_at(run.halted, now), now=now)


@step("send tracking", run_name="send {number}")
async def send_tracking(client: PodosClient, run: SyncRun, number: int) -> bool:  # noqa: ARG001 - names the task run
    """Send one batch (see ``send_batch``). Repeating begins with a new look at what podOS holds."""
    return await send_batch(client, run)
