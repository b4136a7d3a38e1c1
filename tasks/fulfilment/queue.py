"""Take due handovers of a fulfiller and write the outcomes of sending them."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import (
    ColumnElement,
    Connection,
    Engine,
    Select,
    bindparam,
    case,
    exists,
    func,
    literal,
    or_,
    select,
    update,
)

from models.handovers import Due, SendSettings
from models.production import ProductionStatus
from models.shipments import NewShipment
from models.tables.orders import NEEDS_ATTENTION
from models.tables.outbox import OutboxState
from models.types import UtcDateTime
from models.upstream import ChangeKind
from tasks.delivery import store as outbox
from tasks.delivery.retry_policy import AttemptOutcome, RetryDecision
from tasks.desk.engine import reading, writing
from tasks.desk.folders import place_orders
from tasks.desk.history import add_history
from tasks.desk.open_changes import IS_OPEN
from tasks.desk.restores import restored_at
from tasks.desk.sql import chunks
from tasks.desk.tables import CHANGES, EVENTS, HANDOVERS, ORDERS, SHIPMENTS
from tasks.production.store import queue_statuses
from tasks.tracking.queue import NO_ORDER
from tasks.tracking.store import add_shipments

HANDED_OVER = (OutboxState.SENT, OutboxState.ALREADY_THERE)
PARCELS_FOR = timedelta(days=30)
CLOCKS_DIFFER = timedelta(hours=1)
_NOBODY: Mapping[int, int] = {}
_MUST_BE_SETTLED = (ChangeKind.ADDRESS.value, ChangeKind.ARTWORK.value)


class Result(NamedTuple):
    """What an attempt came to, or why there was none.

    Attributes:
        unfit: the order itself must be looked at by a person.
        stopped: the last look at podOS kept it back; if it waits, no attempt is counted.
        unseen: why podOS was not asked just before.
    """

    verdict: AttemptOutcome
    reference: str | None = None
    notes: tuple[str, ...] = ()
    unfit: bool = False
    stopped: bool = False
    unseen: str = ""


def take_due(
    engine: Engine,
    fulfiller: str,
    *,
    now: datetime,
    limit: int,
    after_id: int = 0,
    order_ids: Collection[int] | None = None,
) -> list[Due]:
    """Return waiting handovers whose time has come and whose order may go, oldest first.

    An order may not go while it is held, while rules have still to look at it (they may hold it), or while
    an address or artwork that podOS changed waits for a person.

    Of an order that podOS had before the desk was restored from a backup, it is not known whether an
    attempt had begun: it counts as begun.

    Args:
        engine: the desk.
        fulfiller: whose.
        now: aware.
        limit: at most so many.
        after_id: only those with a greater id.
        order_ids: only these orders'; None: all.
    """
    with reading(engine) as connection:
        query = _due(fulfiller, restored_at(connection), now=now, limit=limit, after_id=after_id)
        if order_ids is not None:
            query = query.where(HANDOVERS.c.order_id.in_(order_ids))
        return [Due(*row) for row in connection.execute(query)]


def _due(
    fulfiller: str, restored: datetime | None, *, now: datetime, limit: int, after_id: int
) -> Select[Any]:
    """Return the query of ``take_due``; ``restored`` is when the desk was restored from a backup, if ever."""
    begun: ColumnElement[datetime | None] = HANDOVERS.c.first_attempt_at
    if restored:
        # What the desk did between the backup and the restore, it does not know any more.
        is_older = ORDERS.c.podos_created_at < restored + CLOCKS_DIFFER
        begun = func.coalesce(begun, case((is_older, literal(restored, UtcDateTime))))
    columns = (ORDERS.c[name] for name in ("project", "source_id", "order_number", "podos_status"))
    return (
        select(
            HANDOVERS.c.id, HANDOVERS.c.order_id, *columns, HANDOVERS.c.reference, begun, ORDERS.c.integration
        )
        .join(ORDERS, ORDERS.c.id == HANDOVERS.c.order_id)
        .where(_due_of(fulfiller, now), _may_go(), HANDOVERS.c.id > after_id)
        .order_by(HANDOVERS.c.id)
        .limit(limit)
    )


def _may_go() -> ColumnElement[bool]:
    """Return the condition for orders that are not held, and that no rule or person has still to look at."""
    is_unsettled = exists().where(
        CHANGES.c.order_id == ORDERS.c.id, IS_OPEN, CHANGES.c.kind.in_(_MUST_BE_SETTLED)
    )
    return ORDERS.c.hold_reason.is_(None) & ORDERS.c.id.not_in(select(EVENTS.c.order_id)) & ~is_unsettled


def _due_of(fulfiller: str, now: datetime) -> ColumnElement[bool]:
    return outbox.is_due(HANDOVERS, now) & (HANDOVERS.c.fulfiller == fulfiller)


def fail_orphans(engine: Engine) -> int:
    """Fail waiting handovers that no run would ever find; only SQLite lets them in. Return how many."""
    no_order = ~exists().where(ORDERS.c.id == HANDOVERS.c.order_id)
    return outbox.fail_waiting(engine, HANDOVERS, no_order, NO_ORDER) + outbox.fail_waiting(
        engine, HANDOVERS, outbox.is_no_text(engine, HANDOVERS.c.fulfiller), "the fulfiller can't be read"
    )


def count_waiting(engine: Engine, fulfiller: str) -> int:
    """Return how many handovers to a fulfiller wait, due or not, held or not."""
    waits = (HANDOVERS.c.state == OutboxState.WAITING.value) & (HANDOVERS.c.fulfiller == fulfiller)
    with reading(engine) as connection:
        return connection.execute(select(func.count()).select_from(HANDOVERS).where(waits)).scalar_one()


def begin_attempts(
    engine: Engine, ids: Collection[int], *, now: datetime, reported: Mapping[int, int] = _NOBODY
) -> set[int]:
    """Note that attempts begin: whatever interrupts them, the next run knows that they were under way.

    Args:
        engine: the desk.
        ids: the handovers.
        now: aware.
        reported: the order by the handover, of those whose beginning is sent to podOS.

    Returns:
        Those that may go: one that was voided, or whose order was held, since it was read, must not.
    """
    still = HANDOVERS.c.state == OutboxState.WAITING.value
    free = select(ORDERS.c.id).where(ORDERS.c.id == HANDOVERS.c.order_id, _may_go())
    may_go: set[int] = set()
    wanted = sorted(ids)
    with writing(engine) as connection:
        for part in chunks(wanted):
            chunk = HANDOVERS.c.id.in_(part)
            query = select(HANDOVERS.c.id).where(chunk, still).order_by(HANDOVERS.c.id)
            connection.execute(
                query.with_for_update()
            ).all()  # what cancels an order holds these rows as well
            going = set(connection.execute(query.where(free.exists())).scalars())
            new = HANDOVERS.c.id.in_(going) & HANDOVERS.c.first_attempt_at.is_(None)
            connection.execute(update(HANDOVERS).where(new).values(first_attempt_at=now))
            may_go |= going
        queue_statuses(
            connection,
            [reported[id_] for id_ in may_go & reported.keys()],
            ProductionStatus.PROCESSING,
            now=now,
        )
    return may_go


def promise_references(engine: Engine, references: Mapping[int, str]) -> None:
    """Note under which names handovers are about to become visible."""
    if references:
        with writing(engine) as connection:
            _write_references(connection, references)


def _write_references(connection: Connection, references: Mapping[int, str]) -> None:
    statement = update(HANDOVERS).where(HANDOVERS.c.id == bindparam("row_id"))
    connection.execute(
        statement.values(reference=bindparam("new_reference")),
        [{"row_id": id_, "new_reference": text} for id_, text in references.items()],
    )


def write_results(
    connection: Connection,
    results: Sequence[tuple[Due, Result]],
    settings: SendSettings,
    *,
    now: datetime,
    reporting: Collection[str] = (),
) -> dict[int, RetryDecision]:
    """Write what became of handovers, with their orders' history and folder, in one transaction.

    Args:
        connection: in a writing transaction.
        results: by handover.
        settings: the fulfiller's.
        now: aware; the moment of the attempts.
        reporting: the integrations of which the beginning of production is sent to podOS.

    Returns:
        What the handovers say now. Safe to repeat: a handover is settled once.
    """
    waits = {due.id: result.verdict for due, result in results if _only_waits(result)}
    verdicts = {due.id: result.verdict for due, result in results if due.id not in waits}
    settled = outbox.record(connection, HANDOVERS, verdicts, now=now)
    settled |= outbox.keep_waiting(connection, HANDOVERS, waits, now=now)
    changed = [(due, result) for due, result in results if due.id in settled]
    references = {due.id: result.reference for due, result in changed if result.reference}
    if references:
        _write_references(connection, references)
    history = [
        line for due, result in changed for line in _history(settings.fulfiller, due, result, settled[due.id])
    ]
    add_history(connection, history, at=now)
    handed = {due.order_id for due, _ in changed if settled[due.id].state in HANDED_OVER}
    began = {
        due.order_id
        for due, _ in changed
        if due.integration in reporting and settled[due.id].state in HANDED_OVER
    }
    queue_statuses(connection, began, ProductionStatus.PROCESSING, now=now)
    if handed and settings.move_to:
        place_orders(connection, handed, settings.move_to, by=f"handed over to {settings.fulfiller}")
    if unfit := {due.order_id for due, result in changed if result.unfit}:
        place_orders(connection, unfit, NEEDS_ATTENTION, by=f"not fit for {settings.fulfiller}")
    failed = OutboxState.FAILED
    if kept := {
        due.order_id for due, result in changed if result.stopped and settled[due.id].state is failed
    }:
        place_orders(connection, kept, NEEDS_ATTENTION, by="the last look at podOS")
    return settled


def _only_waits(result: Result) -> bool:
    return result.stopped and result.verdict.state is OutboxState.WAITING


def _history(fulfiller: str, due: Due, result: Result, now_says: RetryDecision) -> list[tuple[int, str, str]]:
    if now_says.state is OutboxState.WAITING:
        return []
    lines = [(due.order_id, "mapped", f"for {fulfiller}: {note}") for note in result.notes]
    called = f" as {result.reference}" if result.reference else ""
    called += f", without a last look at podOS: {result.unseen}" if result.unseen else ""
    words = {
        OutboxState.SENT: f"handed over to {fulfiller}{called}",
        OutboxState.ALREADY_THERE: f"{fulfiller} has it already{called}",
    }
    text = words.get(now_says.state, f"not handed over to {fulfiller}: {now_says.whole_reason}")
    return [*lines, (due.order_id, "handed over" if now_says.state in HANDED_OVER else "not sent", text)]


def postpone_due(engine: Engine, fulfiller: str, *, until: datetime, now: datetime) -> int:
    """Let all due handovers to a fulfiller wait until a moment (aware); no attempt is counted."""
    with writing(engine) as connection:
        return outbox.postpone(connection, HANDOVERS, _due_of(fulfiller, now), until)


class HandedOver(NamedTuple):
    """An order that a fulfiller has and whose shipments are to be looked for; ``at``: when it was queued."""

    id: int
    order_id: int
    reference: str
    at: datetime
    has_shipped: bool


def due_for_a_look(engine: Engine, fulfiller: str, *, now: datetime, limit: int) -> list[HandedOver]:
    """Return orders whose shipments are to be looked for now (aware), those that waited longest first.

    An order that has a shipment is looked at for another parcel until ``PARCELS_FOR`` after it was queued.
    """
    shipped = select(SHIPMENTS.c.id).where(SHIPMENTS.c.order_id == HANDOVERS.c.order_id).exists()
    next_look = HANDOVERS.c.next_attempt_at
    query = (
        select(
            *(HANDOVERS.c[name] for name in ("id", "order_id", "reference", "created_at")),
            shipped.label("has_shipped"),
        )
        .where(
            HANDOVERS.c.fulfiller == fulfiller,
            HANDOVERS.c.state.in_([state.value for state in HANDED_OVER]),
            HANDOVERS.c.reference.is_not(None),
            outbox.has_come(next_look, now),
            or_(~shipped, HANDOVERS.c.created_at > now - PARCELS_FOR),
        )
        .order_by(next_look.is_not(None), next_look, HANDOVERS.c.id)
        .limit(limit)
    )
    with reading(engine) as connection:
        return [HandedOver(*row) for row in connection.execute(query)]


def look_again_at(engine: Engine, moments: Mapping[int, datetime]) -> None:
    """Note when the shipments of handovers are looked for again (aware); the column is free once sent."""
    if not moments:
        return
    statement = update(HANDOVERS).where(HANDOVERS.c.id == bindparam("row_id"))
    with writing(engine) as connection:
        connection.execute(
            statement.values(next_attempt_at=bindparam("next_look")),
            [{"row_id": id_, "next_look": moment} for id_, moment in moments.items()],
        )


def pass_over(engine: Engine, handover_id: int, reason: str, *, until: datetime) -> None:
    """Note why the shipments of a handover can't be looked for, and when to see again (aware)."""
    with writing(engine) as connection:
        mine = update(HANDOVERS).where(HANDOVERS.c.id == handover_id)
        connection.execute(mine.values(next_attempt_at=until, reason=reason))


def take_shipments(engine: Engine, shipments: Sequence[NewShipment], *, now: datetime) -> int:
    """Let shipments that came back wait for podOS; return how many are new. Safe to repeat."""
    with writing(engine) as connection:
        return len(add_shipments(connection, shipments, now=now).new)
