"""Erase personal data. The order, its items and its import record stay."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import (
    ColumnElement,
    Connection,
    Engine,
    Table,
    Text,
    and_,
    case,
    cast,
    exists,
    func,
    literal,
    null,
    or_,
    select,
    update,
)

from models.carriers import TRACKING_ADDRESSES
from models.privacy import ErasureReport
from models.tables.outbox import OutboxState, erased_code
from models.upstream import ChangeKind, ChangeState
from tasks.desk.engine import reading, writing
from tasks.desk.history import add_history
from tasks.desk.tables import (
    CHANGES,
    EDITS,
    HANDOVERS,
    HISTORY,
    ITEMS,
    ORDERS,
    PRODUCTION,
    REJECTED,
    SHIPMENTS,
)
from tasks.upkeep.finished import is_finished

PERSONAL = (
    *("email", "phone", "ship_name", "ship_company", "ship_address1", "ship_address2"),
    *("ship_city", "ship_postal_code", "ship_state", "extras", "address_digest"),
)
"""Columns of table ``orders``; the country stays, for statistics."""
PLAIN_EVENTS = (
    *("moved", "queued", "handed over", "released", "shipped", "voided", "needs attention", "erased"),
    *("changed in podOS", "change settled", "printed"),
)
"""History in words of this program, with names of folders, rules and fulfillers and with ids only."""
WORDED = (("shipped", "% by %"), ("handed over", "% as %"), ("needs attention", "%(%"))
"""Texts of plain events that hold words of others: a courier, a fulfiller's reference, a print location."""
ERASED = "personal data erased"
ERASED_COURIER = "erased"
BATCH_SIZE = 500


class Selection(NamedTuple):
    """What is to be erased, as conditions on the tables of orders and rejected orders.

    ``passed_over`` are orders that would be, but are not finished.
    """

    orders: ColumnElement[bool]
    rejected: ColumnElement[bool]
    passed_over: ColumnElement[bool] | None = None


def older_than(cutoff: datetime) -> Selection:
    """Return finished orders imported, and rejected ones last seen, before a moment (aware)."""
    old = and_(ORDERS.c.imported_at < cutoff, _has_something_left())
    payload = and_(REJECTED.c.last_seen_at < cutoff, REJECTED.c.payload != "")
    return Selection(and_(old, is_finished()), payload, and_(old, ~is_finished()))


def only(order_ids: Sequence[int], rejected_ids: Sequence[int]) -> Selection:
    """Return these orders, finished or not, and these rejected ones."""
    mine = and_(ORDERS.c.id.in_(order_ids), _has_something_left())
    same = (
        exists()
        .where(
            ORDERS.c.id.in_(order_ids),
            ORDERS.c.project == REJECTED.c.project,
            ORDERS.c.source_id == REJECTED.c.source_id,
        )
        .correlate(REJECTED)
    )
    return Selection(mine, and_(or_(REJECTED.c.id.in_(rejected_ids), same), REJECTED.c.payload != ""))


def _has_something_left() -> ColumnElement[bool]:
    """Return the condition for orders never erased, or that got something personal again since."""
    return or_(
        ORDERS.c.erased_at.is_(None),
        *(_is_set(name) for name in PERSONAL),
        exists().where(SHIPMENTS.c.order_id == ORDERS.c.id, _leads_to_a_person()).correlate(ORDERS),
        exists()
        .where(HANDOVERS.c.order_id == ORDERS.c.id, HANDOVERS.c.reference.is_not(None))
        .correlate(ORDERS),
    )


def _is_set(name: str) -> ColumnElement[bool]:
    column = ORDERS.c[name]
    # A JSON column may hold JSON's own null beside the database's.
    return cast(column, Text) != "null" if name == "extras" else column.is_not(None)


def _leads_to_a_person() -> ColumnElement[bool]:
    """Return the condition for shipments whose code nobody needs any more and that still show it."""
    stands_for = literal(erased_code(0)[:-1]) + cast(SHIPMENTS.c.id, Text)
    return and_(SHIPMENTS.c.state != OutboxState.WAITING.value, SHIPMENTS.c.code != stands_for)


def count_erasable(engine: Engine, selection: Selection) -> ErasureReport:
    """Return what erasing would do. Nothing is written."""
    report = ErasureReport(dry_run=True)
    waiting = SHIPMENTS.c.state == OutboxState.WAITING.value
    with reading(engine) as connection:
        report.orders = _count(connection, ORDERS, selection.orders)
        report.rejected = _count(connection, REJECTED, selection.rejected)
        if selection.passed_over is not None:
            report.not_finished = _count(connection, ORDERS, selection.passed_over)
        both = SHIPMENTS.join(ORDERS, ORDERS.c.id == SHIPMENTS.c.order_id)
        kept = select(func.count()).select_from(both).where(waiting, selection.orders)
        report.tracking_kept = connection.execute(kept).scalar_one()
        copies = (
            select(HANDOVERS.c.fulfiller, func.count())
            .join(ORDERS, ORDERS.c.id == HANDOVERS.c.order_id)
            .where(HANDOVERS.c.first_attempt_at.is_not(None), selection.orders)
            .group_by(HANDOVERS.c.fulfiller)
            .order_by(HANDOVERS.c.fulfiller)
        )
        report.handed_over = {row[0]: row[1] for row in connection.execute(copies)}
    return report


def _count(connection: Connection, table: Table, which: ColumnElement[bool]) -> int:
    return connection.execute(select(func.count()).select_from(table).where(which)).scalar_one()


def erase(engine: Engine, selection: Selection, *, by: str, now: datetime) -> tuple[int, int]:
    """Blank the personal data of a selection, in batches; memory stays flat.

    Args:
        engine: the desk.
        selection: what.
        by: who does it, for the history.
        now: aware.

    Returns:
        How many orders, and how many rejected ones.

    Safe to repeat, also after a crash: each batch is written whole or not at all.
    """
    orders = rejected = last = 0
    while ids := _erase_orders(engine, selection.orders, after_id=last, by=by, now=now):
        orders, last = orders + len(ids), ids[-1]
    last = 0
    while ids := _erase_payloads(engine, selection.rejected, after_id=last):
        rejected, last = rejected + len(ids), ids[-1]
    return orders, rejected


def _erase_orders(
    engine: Engine, which: ColumnElement[bool], *, after_id: int, by: str, now: datetime
) -> Sequence[int]:
    with writing(engine) as connection:
        ids = _next_ids(connection, ORDERS, which, after_id)
        if ids:
            _blank_orders(connection, ids, now)
            _blank_outbox(connection, ids)
            _blank_history(connection, ids)
            add_history(connection, [(id_, "erased", f"{ERASED} by {by}") for id_ in ids], at=now)
    return ids


def _next_ids(
    connection: Connection, table: Table, which: ColumnElement[bool], after_id: int
) -> Sequence[int]:
    """Return the ids of the next batch, held by this transaction; what it frees is overwritten."""
    if connection.dialect.name == "sqlite":
        connection.exec_driver_sql("PRAGMA secure_delete=ON").close()
    query = select(table.c.id).where(table.c.id > after_id, which).order_by(table.c.id).limit(BATCH_SIZE)
    return connection.execute(query.with_for_update(of=table)).scalars().all()


def _blank_orders(connection: Connection, ids: Sequence[int], now: datetime) -> None:
    held = case((ORDERS.c.hold_reason.is_(None), null()), else_=ERASED)
    values: dict[str, Any] = dict.fromkeys(PERSONAL, null()) | {"hold_reason": held, "erased_at": now}
    connection.execute(update(ORDERS).where(ORDERS.c.id.in_(ids)).values(values))
    connection.execute(update(ITEMS).where(ITEMS.c.order_id.in_(ids)).values(notes=None))
    edits = update(EDITS).where(EDITS.c.order_id.in_(ids))
    connection.execute(edits.values(old_values={}, new_values={}))
    addresses = and_(CHANGES.c.order_id.in_(ids), CHANGES.c.kind == ChangeKind.ADDRESS.value)
    is_open = CHANGES.c.state == ChangeState.OPEN.value
    connection.execute(
        update(CHANGES)
        .where(addresses)
        .values(
            old_values={},
            new_values={},
            state=case((is_open, ChangeState.WITHDRAWN.value), else_=CHANGES.c.state),
        )
    )


def _blank_outbox(connection: Connection, ids: Sequence[int]) -> None:
    """Blank tracking that podOS has or never gets; end what waits to be handed over: it has no address.

    A courier's name stays where this program knows it: any other was worded by a fulfiller or by a person.
    """
    to_send = SHIPMENTS.c.state.in_([OutboxState.FAILED.value, OutboxState.SUPERSEDED.value])
    is_known = func.lower(SHIPMENTS.c.courier).in_([name.lower() for name in TRACKING_ADDRESSES])
    connection.execute(
        update(SHIPMENTS)
        .where(SHIPMENTS.c.order_id.in_(ids), _leads_to_a_person())
        .values(
            code=literal(erased_code(0)[:-1]) + cast(SHIPMENTS.c.id, Text),
            url=None,
            courier=case((is_known, SHIPMENTS.c.courier), else_=ERASED_COURIER),
            reason=case((to_send, ERASED), else_=null()),
            state=case((to_send, OutboxState.VOIDED.value), else_=SHIPMENTS.c.state),
        )
    )
    waits = HANDOVERS.c.state == OutboxState.WAITING.value
    told = or_(waits, HANDOVERS.c.reason.is_not(None))
    connection.execute(
        update(HANDOVERS)
        .where(HANDOVERS.c.order_id.in_(ids))
        .values(
            reason=case((told, ERASED), else_=null()),
            reference=None,
            state=case((waits, OutboxState.FAILED.value), else_=HANDOVERS.c.state),
        )
    )
    worded = and_(PRODUCTION.c.order_id.in_(ids), PRODUCTION.c.reason.is_not(None))
    connection.execute(update(PRODUCTION).where(worded).values(reason=ERASED))


def _blank_history(connection: Connection, ids: Sequence[int]) -> None:
    """Blank what people, rules, podOS and fulfillers worded: nobody knows what stands in it."""
    sent = and_(HISTORY.c.event.in_(("tracking", "production")), HISTORY.c.text.not_like("%: %"))
    free = and_(HISTORY.c.event.not_in(PLAIN_EVENTS), ~sent)
    worded = [and_(HISTORY.c.event == event, HISTORY.c.text.like(text)) for event, text in WORDED]
    wanted = and_(or_(free, *worded), HISTORY.c.text != ERASED)
    connection.execute(update(HISTORY).where(HISTORY.c.order_id.in_(ids), wanted).values(text=ERASED))


def _erase_payloads(engine: Engine, which: ColumnElement[bool], *, after_id: int) -> Sequence[int]:
    with writing(engine) as connection:
        ids = _next_ids(connection, REJECTED, which, after_id)
        if ids:
            connection.execute(update(REJECTED).where(REJECTED.c.id.in_(ids)).values(payload=""))
    return ids
