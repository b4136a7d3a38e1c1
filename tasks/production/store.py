"""Queue statuses of production, take those that are due, and write what became of them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Engine, Select, select, update

from models.production import DueStatus, ProductionStatus
from models.tables.outbox import OutboxState
from models.upstream import is_refunded
from tasks.delivery import store as outbox
from tasks.delivery.retry_policy import AttemptOutcome, RetryDecision
from tasks.desk.engine import reading, writing
from tasks.desk.errors import DeskRefusedError
from tasks.desk.export import iso
from tasks.desk.history import add_history
from tasks.desk.references import resolve
from tasks.desk.sql import chunks, insert_for, newest_first
from tasks.desk.tables import ORDERS, PRODUCTION
from tasks.production.policy import statuses_before

_WORDS = {
    OutboxState.SENT: "podOS was told {}",
    OutboxState.ALREADY_THERE: "podOS shows it as {} already",
    OutboxState.FAILED: "podOS was not told {}",
    OutboxState.SUPERSEDED: "podOS is not told {}",
}


@dataclass(frozen=True)
class ProductionSummary:
    """One status of production; ``order`` is the order number, times are aware UTC."""

    id: int
    order: str | None
    source_id: str | None
    status: str
    state: str
    attempts: int
    next_attempt_at: datetime | None
    reason: str | None
    sent_at: datetime | None

    def as_dict(self) -> dict[str, Any]:
        """Return it ready for JSON."""
        times = ("next_attempt_at", "sent_at")
        return vars(self) | {name: iso(getattr(self, name)) for name in times}


def queue_statuses(
    connection: Connection, order_ids: Collection[int], status: ProductionStatus, *, now: datetime
) -> list[int]:
    """Let podOS be told a status of orders; return the orders of which it is new. Safe to repeat.

    Args:
        connection: in a writing transaction.
        order_ids: of the desk.
        status: which.
        now: aware.
    """
    new: list[int] = []
    for part in chunks(sorted(order_ids)):
        rows = [{"order_id": order_id, "status": status.value, "created_at": now} for order_id in part]
        insert = insert_for(connection)(PRODUCTION).values(rows).on_conflict_do_nothing()
        new += connection.execute(insert.returning(PRODUCTION.c.order_id)).scalars()
    return new


def mark_printed(
    engine: Engine, references: Sequence[str], *, now: datetime, by: str = "desk printed"
) -> tuple[list[int], set[str]]:
    """Note that orders are printed, and let podOS be told. Safe to repeat.

    Args:
        engine: the desk.
        references: orders by desk id, source id or order number.
        now: aware.
        by: who says so, for the history.

    Returns:
        The desk ids of the orders that were not noted before, and the integrations of all.

    Raises:
        DeskRefusedError: an order is unknown or ambiguous, or was refunded; then none is noted.
    """
    with writing(engine) as connection:
        ids = resolve(connection, references)
        integrations: set[str] = set()
        for part in chunks(ids):
            columns = (ORDERS.c.order_number, ORDERS.c.podos_status, ORDERS.c.integration)
            for row in connection.execute(select(*columns).where(ORDERS.c.id.in_(part))):
                if is_refunded(row.podos_status):
                    raise DeskRefusedError(f"order {row.order_number} was refunded in podOS: keep it back")
                integrations.add(row.integration)
        new = queue_statuses(connection, ids, ProductionStatus.PRINTED, now=now)
        add_history(connection, [(order_id, "printed", f"noted ({by})") for order_id in new], at=now)
    return new, integrations


def take_due(
    engine: Engine, integration: str, *, now: datetime, limit: int, after_id: int = 0
) -> list[DueStatus]:
    """Return waiting statuses of an integration whose time has come, oldest first.

    Args:
        engine: the desk.
        integration: whose orders.
        now: aware.
        limit: at most so many.
        after_id: only those with a greater id.
    """
    query = (
        select(
            PRODUCTION.c.id,
            PRODUCTION.c.order_id,
            *(ORDERS.c[name] for name in ("source_id", "order_number", "project")),
            PRODUCTION.c.status,
        )
        .join(ORDERS, ORDERS.c.id == PRODUCTION.c.order_id)
        .where(outbox.is_due(PRODUCTION, now), _of(integration), PRODUCTION.c.id > after_id)
        .order_by(PRODUCTION.c.id)
        .limit(limit)
    )
    with reading(engine) as connection:
        return [DueStatus(*row) for row in connection.execute(query)]


def write_outcomes(
    connection: Connection, outcomes: Sequence[tuple[DueStatus, AttemptOutcome]], *, now: datetime
) -> dict[int, RetryDecision]:
    """Write what became of statuses, with their orders' history, in one transaction.

    What podOS was told is what the desk knows of the order then: the next check finds nothing new in it.

    Args:
        connection: in a writing transaction.
        outcomes: by status.
        now: aware; the moment of the attempts.

    Returns:
        What the statuses say now. Safe to repeat: each is settled once.
    """
    settled = outbox.record(connection, PRODUCTION, {due.id: verdict for due, verdict in outcomes}, now=now)
    changed = [due for due, _ in outcomes if due.id in settled]
    add_history(connection, _history(changed, settled), at=now)
    for status in ProductionStatus:
        told = [
            due.order_id
            for due in changed
            if due.status == status and settled[due.id].state is OutboxState.SENT
        ]
        for part in chunks(told):
            earlier = ORDERS.c.podos_status.in_(statuses_before(status))
            mine = update(ORDERS).where(ORDERS.c.id.in_(part), earlier)
            connection.execute(mine.values(podos_status=status.value))
    return settled


def _history(due: Iterable[DueStatus], settled: Mapping[int, RetryDecision]) -> list[tuple[int, str, str]]:
    rows = []
    for row in due:
        says = settled[row.id]
        if words := _WORDS.get(says.state):
            text = words.format(row.status) + (f": {says.whole_reason}" if says.whole_reason else "")
            rows.append((row.order_id, "production", text))
    return rows


def was_ever_taken(engine: Engine, integration: str) -> bool:
    """Return whether podOS ever took a status of production for an integration."""
    sent = PRODUCTION.c.state == OutboxState.SENT.value
    with reading(engine) as connection:
        return (
            connection.execute(select(PRODUCTION.c.id).where(sent, _of(integration)).limit(1)).first()
            is not None
        )


def void_waiting(engine: Engine, integration: str, reason: str) -> int:
    """Give up all waiting statuses of an integration; return how many. Safe to repeat."""
    waits = PRODUCTION.c.state == OutboxState.WAITING.value
    values = {"state": OutboxState.VOIDED.value, "reason": reason, "next_attempt_at": None}
    with writing(engine) as connection:
        return connection.execute(update(PRODUCTION).where(waits, _of(integration)).values(values)).rowcount


def resend_statuses(engine: Engine, ids: Collection[int] | None) -> tuple[int, set[str]]:
    """Let statuses be told again as if for the first time.

    Args:
        engine: the desk.
        ids: which; None: all that failed.

    Returns:
        How many, and their integrations.

    Raises:
        DeskRefusedError: there is no such status; then none is changed.
    """
    which = (
        PRODUCTION.c.state == OutboxState.FAILED.value if ids is None else PRODUCTION.c.id.in_(sorted(ids))
    )
    query = select(PRODUCTION.c.id, ORDERS.c.integration).join(ORDERS, ORDERS.c.id == PRODUCTION.c.order_id)
    with writing(engine) as connection:
        rows = connection.execute(query.where(which)).all()
        missing = sorted(set(ids or ()) - {row.id for row in rows})
        if missing:
            raise DeskRefusedError(f"there is no production status {missing[0]}; see: desk production")
        return outbox.resend(connection, PRODUCTION, [row.id for row in rows]), {
            row.integration for row in rows
        }


def list_statuses(
    engine: Engine,
    *,
    state: OutboxState | None = None,
    limit: int | None = None,
    before_id: int | None = None,
) -> Iterator[ProductionSummary]:
    """Return statuses, the newest first, one by one; memory stays flat.

    Args:
        engine: the desk.
        state: only those in this state.
        limit: at most so many; None is all.
        before_id: only those with a smaller id: the last one of the page before.
    """
    query = _summaries()
    if state is not None:
        query = query.where(PRODUCTION.c.state == state.value)
    return newest_first(engine, query, PRODUCTION.c.id, ProductionSummary, limit=limit, before_id=before_id)


def statuses_of(engine: Engine, order_id: int) -> list[ProductionSummary]:
    """Return the statuses of an order, oldest first."""
    mine = _summaries().where(PRODUCTION.c.order_id == order_id).order_by(PRODUCTION.c.id)
    with reading(engine) as connection:
        return [ProductionSummary(*row) for row in connection.execute(mine)]


def _summaries() -> Select[Any]:
    own = ("status", "state", "attempts", "next_attempt_at", "reason", "sent_at")
    columns = (PRODUCTION.c[name] for name in own)
    return select(PRODUCTION.c.id, ORDERS.c.order_number, ORDERS.c.source_id, *columns).outerjoin(
        ORDERS, ORDERS.c.id == PRODUCTION.c.order_id
    )


def _of(integration: str) -> ColumnElement[bool]:
    mine = select(ORDERS.c.id).where(
        ORDERS.c.id == PRODUCTION.c.order_id, ORDERS.c.integration == integration
    )
    return mine.correlate(PRODUCTION).exists()
