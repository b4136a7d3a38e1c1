"""Take due shipments of an integration and write the outcomes of sending them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime

from sqlalchemy import ColumnElement, Connection, Engine, bindparam, exists, func, select, update

from models.shipments import Parcel, Sibling, Tracking
from models.tables.outbox import OutboxState
from tasks.delivery import store as outbox
from tasks.delivery.retry_policy import AttemptOutcome, RetryDecision
from tasks.desk.engine import reading, writing
from tasks.desk.folders import place_orders
from tasks.desk.history import add_history
from tasks.desk.sql import chunks
from tasks.desk.tables import ORDERS, SHIPMENTS
from tasks.tracking.store import promote

IN_PODOS = (OutboxState.SENT, OutboxState.ALREADY_THERE)
NO_ORDER = "the desk has no order of this order_id"
_WORDS = {
    OutboxState.SENT: "sent to podOS",
    OutboxState.ALREADY_THERE: "is in podOS already",
    OutboxState.FAILED: "failed",
    OutboxState.SUPERSEDED: "is not sent",
}


def take_due(
    engine: Engine, integration: str, *, now: datetime, limit: int, after_id: int = 0
) -> list[Parcel]:
    """Return waiting shipments whose time has come, oldest first.

    Args:
        engine: the desk.
        integration: whose orders.
        now: aware.
        limit: at most so many.
        after_id: only those with a greater id.
    """
    query = (
        select(
            SHIPMENTS.c.id,
            SHIPMENTS.c.order_id,
            *(ORDERS.c[name] for name in ("source_id", "order_number", "project")),
            *(SHIPMENTS.c[name] for name in Parcel._fields[5:]),
        )
        .join(ORDERS, ORDERS.c.id == SHIPMENTS.c.order_id)
        .where(_due_of(integration, now), SHIPMENTS.c.id > after_id)
        .order_by(SHIPMENTS.c.id)
        .limit(limit)
    )
    with reading(engine) as connection:
        return [Parcel(*row) for row in connection.execute(query)]


def _of(integration: str) -> ColumnElement[bool]:
    mine = select(ORDERS.c.id).where(ORDERS.c.id == SHIPMENTS.c.order_id, ORDERS.c.integration == integration)
    return mine.correlate(SHIPMENTS).exists()


def _due_of(integration: str, now: datetime) -> ColumnElement[bool]:
    return outbox.is_due(SHIPMENTS, now) & _of(integration)


def count_waiting(engine: Engine, integration: str) -> int:
    """Return how many shipments of an integration wait, due or not."""
    waits = SHIPMENTS.c.state == OutboxState.WAITING.value
    query = select(func.count()).select_from(SHIPMENTS).where(waits, _of(integration))
    with reading(engine) as connection:
        return connection.execute(query).scalar_one()


def siblings_of(engine: Engine, order_ids: Collection[int]) -> dict[int, list[Sibling]]:
    """Return all shipments of these orders, by order."""
    found: dict[int, list[Sibling]] = defaultdict(list)
    ids = sorted(set(order_ids))
    columns = [SHIPMENTS.c[name] for name in Sibling._fields]
    with reading(engine) as connection:
        for part in chunks(ids):
            query = select(*columns).where(SHIPMENTS.c.order_id.in_(part))
            for row in connection.execute(query.order_by(SHIPMENTS.c.id)):
                found[row.order_id].append(Sibling(*row))
    return found


def normalize_tracking(engine: Engine, tidied: Mapping[Parcel, Tracking]) -> set[int]:
    """Write trimmed couriers and codes, and tracking addresses, into rows that other programs inserted.

    Args:
        engine: the desk.
        tidied: what the row is to say; ``courier`` here is the supplier's own name for it, trimmed.

    Returns:
        Shipments that are, trimmed, the same as another one; they are left as they are.
    """
    if not tidied:
        return set()
    statement = update(SHIPMENTS).where(SHIPMENTS.c.id == bindparam("row_id"))
    statement = statement.values({name: bindparam(f"new_{name}") for name in Tracking._fields})
    doubles: set[int] = set()
    with writing(engine) as connection:
        rows = []
        for parcel, tracking in tidied.items():
            is_renamed = (parcel.courier, parcel.code) != (tracking.courier, tracking.code)
            if is_renamed and _is_there_twice(connection, parcel, tracking):
                doubles.add(parcel.id)
            else:
                rows.append((parcel.id, tracking))
        new = [{f"new_{name}": value for name, value in shipment._asdict().items()} for _, shipment in rows]
        if new:
            ids = [{"row_id": id_} for id_, _ in rows]
            connection.execute(statement, [id_ | values for id_, values in zip(ids, new, strict=True)])
    return doubles


def _is_there_twice(connection: Connection, parcel: Parcel, tracking: Tracking) -> bool:
    same = select(SHIPMENTS.c.id).where(
        SHIPMENTS.c.order_id == parcel.order_id,
        SHIPMENTS.c.courier == tracking.courier,
        SHIPMENTS.c.code == tracking.code,
        SHIPMENTS.c.id != parcel.id,
    )
    return connection.execute(same).first() is not None


def fail_orphans(engine: Engine) -> int:
    """Fail waiting shipments that no sync would ever find; only SQLite lets them in. Return how many."""
    mine = ORDERS.c.id == SHIPMENTS.c.order_id
    return outbox.fail_waiting(engine, SHIPMENTS, ~exists().where(mine), NO_ORDER) + outbox.fail_waiting(
        engine,
        SHIPMENTS,
        exists().where(mine, outbox.is_no_text(engine, ORDERS.c.integration)),
        "the integration of its order can't be read",
    )


def write_outcomes(
    connection: Connection,
    parcels: Sequence[Parcel],
    verdicts: Mapping[int, AttemptOutcome],
    *,
    move_to: str,
    now: datetime,
) -> dict[int, RetryDecision]:
    """Write what became of shipments, with their orders' history and folder, in one transaction.

    Args:
        connection: in a writing transaction.
        parcels: the shipments.
        verdicts: by shipment.
        move_to: where orders go whose tracking podOS has; empty: they stay.
        now: aware; the moment of the attempts.

    Returns:
        What the shipments say now; one that was voided meanwhile is not among them.

    Safe to repeat: a shipment is settled once.
    """
    settled = outbox.record(connection, SHIPMENTS, verdicts, now=now)
    changed = [parcel for parcel in parcels if parcel.id in settled]
    add_history(connection, _history(changed, settled), at=now)
    in_podos = {shipment.order_id for shipment in changed if settled[shipment.id].state in IN_PODOS}
    if in_podos and move_to:
        place_orders(connection, in_podos, move_to, by="tracking is in podOS")
    _displace(
        connection,
        [shipment for shipment in changed if shipment.overwrite and settled[shipment.id].state in IN_PODOS],
    )
    promote(
        connection,
        {shipment.order_id for shipment in changed if settled[shipment.id].state is OutboxState.FAILED},
    )
    return settled


def _history(parcels: Sequence[Parcel], settled: Mapping[int, RetryDecision]) -> list[tuple[int, str, str]]:
    rows = []
    for parcel in parcels:
        state, reason = settled[parcel.id].state, settled[parcel.id].whole_reason
        if state in _WORDS:
            text = f"shipment {parcel.id} {_WORDS[state]}" + (f": {reason}" if reason else "")
            rows.append((parcel.order_id, "tracking", text))
    return rows


def _displace(connection: Connection, parcels: Sequence[Parcel]) -> None:
    """Mark what podOS showed of these orders before as superseded: it was sent over."""
    if not parcels:
        return
    there = SHIPMENTS.c.state.in_([state.value for state in IN_PODOS])
    statement = update(SHIPMENTS).where(
        SHIPMENTS.c.order_id == bindparam("order"), SHIPMENTS.c.id != bindparam("newer"), there
    )
    connection.execute(
        statement.values(state=OutboxState.SUPERSEDED.value, reason=bindparam("why")),
        [
            {"order": parcel.order_id, "newer": parcel.id, "why": f"shipment {parcel.id} was sent over it"}
            for parcel in parcels
        ],
    )


def postpone_due(engine: Engine, integration: str, *, until: datetime, now: datetime) -> int:
    """Let all due shipments of an integration wait until a moment (aware); no attempt is counted."""
    with writing(engine) as connection:
        return outbox.postpone(connection, SHIPMENTS, _due_of(integration, now), until)
