"""Insert, void and resend shipments. The sync uses ``queue.py``."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import Connection, Engine, Select, exists, select, update

from models.shipments import NewShipment
from models.tables.outbox import OutboxState, erased_code
from models.unreadable import is_readable
from tasks.delivery import store as outbox
from tasks.desk.engine import writing
from tasks.desk.errors import DeskRefusedError
from tasks.desk.history import add_history
from tasks.desk.sql import chunks, insert_for
from tasks.desk.tables import ORDERS, SHIPMENTS

_HOLDING = (OutboxState.WAITING.value, OutboxState.SENT.value, OutboxState.ALREADY_THERE.value)


class Added(NamedTuple):
    """The shipments of what was given, in its sequence, and which of them are new."""

    ids: list[int]
    new: set[int]


def add_shipments(
    connection: Connection, shipments: Sequence[NewShipment], *, now: datetime, by: str = ""
) -> Added:
    """Write shipments; one that the desk has (same order, courier and code) is left as it is.

    Args:
        connection: in a writing transaction.
        shipments: cleaned.
        now: aware.
        by: who adds them, for the history; empty: a command or a file.

    Safe to repeat: nothing is added twice.
    """
    who = f" ({by})" if by else ""
    insert = insert_for(connection)
    new: list[tuple[int, int, str]] = []
    for part in chunks(shipments):
        rows = {shipment[:3]: {**shipment._asdict(), "created_at": now} for shipment in part}
        statement = insert(SHIPMENTS).values(list(rows.values())).on_conflict_do_nothing()
        returned = statement.returning(SHIPMENTS.c.id, SHIPMENTS.c.order_id, SHIPMENTS.c.courier)
        new += [tuple(row) for row in connection.execute(returned)]
    history = [
        (order_id, "shipped", f"shipment {id_} by {courier} waits for podOS{who}")
        for id_, order_id, courier in sorted(new)
    ]
    add_history(connection, history, at=now)
    return Added(_ids_of(connection, shipments), {id_ for id_, _, _ in new})


def _ids_of(connection: Connection, shipments: Sequence[NewShipment]) -> list[int]:
    known: dict[tuple[int, str, str], int] = {}
    order_ids = sorted({shipment.order_id for shipment in shipments})
    columns = (SHIPMENTS.c.order_id, SHIPMENTS.c.courier, SHIPMENTS.c.code, SHIPMENTS.c.id)
    for part in chunks(order_ids):
        query = select(*columns).where(SHIPMENTS.c.order_id.in_(part))
        known |= {(row[0], row[1], row[2]): row[3] for row in connection.execute(query)}
    return [known[shipment.order_id, shipment.courier, shipment.code] for shipment in shipments]


def integrations_of(connection: Connection, shipment_ids: Collection[int]) -> set[str]:
    """Return the names of the integrations whose orders these shipments are of."""
    names: set[str] = set()
    ids = sorted(shipment_ids)
    for part in chunks(ids):
        mine = SHIPMENTS.c.id.in_(part)
        query = select(ORDERS.c.integration).join(SHIPMENTS, SHIPMENTS.c.order_id == ORDERS.c.id)
        names |= set(filter(is_readable, connection.execute(query.where(mine).distinct()).scalars()))
    return names


def void_shipment(engine: Engine, shipment_id: int, *, now: datetime) -> int | None:
    """Void a shipment: its label was replaced. It is not sent any more, and the next one may replace it.

    Args:
        engine: the desk.
        shipment_id: the shipment.
        now: aware.

    Returns:
        The shipment that now has the order's place and waits, None if there is none.

    Raises:
        DeskRefusedError: there is no such shipment.

    Safe to repeat.
    """
    with writing(engine) as connection:
        query = _with_orders().where(SHIPMENTS.c.id == shipment_id)
        row = connection.execute(query.with_for_update(of=SHIPMENTS)).one_or_none()
        if row is None:
            raise DeskRefusedError(f"the desk has no shipment {shipment_id}; see: desk shipments")
        if row.state != OutboxState.VOIDED.value:
            voided = {"state": OutboxState.VOIDED.value, "next_attempt_at": None, "reason": None}
            connection.execute(update(SHIPMENTS).where(SHIPMENTS.c.id == shipment_id).values(voided))
            if row.order_id is not None:
                text = f"shipment {shipment_id} voided"
                add_history(connection, [(row.order_id, "voided", text)], at=now)
        return next(iter(promote(connection, [row.order_id] if row.order_id else [])), None)


def _with_orders() -> Select[Any]:
    """Return the query of shipments with their orders; ``order_id`` is None where the desk has no such order.

    On SQLite a program that does not switch on foreign keys can name any order.
    """
    columns = (SHIPMENTS.c.id, SHIPMENTS.c.state, SHIPMENTS.c.code)
    return select(*columns, ORDERS.c.id.label("order_id")).outerjoin(
        ORDERS, ORDERS.c.id == SHIPMENTS.c.order_id
    )


def promote(connection: Connection, order_ids: Collection[int]) -> list[int]:
    """Let the oldest superseded shipment of each order wait again, where nothing else has the place."""
    ids = sorted(order_ids)
    other = SHIPMENTS.alias()
    is_free = ~exists().where(other.c.order_id == SHIPMENTS.c.order_id, other.c.state.in_(_HOLDING))
    promoted: dict[int, int] = {}
    for part in chunks(ids):
        query = select(SHIPMENTS.c.order_id, SHIPMENTS.c.id).where(
            SHIPMENTS.c.order_id.in_(part),
            SHIPMENTS.c.state == OutboxState.SUPERSEDED.value,
            is_free,
        )
        for order_id, id_ in connection.execute(query.order_by(SHIPMENTS.c.id)):
            promoted.setdefault(order_id, id_)
    outbox.resend(connection, SHIPMENTS, promoted.values())
    return sorted(promoted.values())


def resend_shipments(
    engine: Engine, shipment_ids: Collection[int] | None, *, overwrite: bool, now: datetime
) -> list[int]:
    """Let shipments be tried again by the next sync, and return their ids.

    Args:
        engine: the desk.
        shipment_ids: which; None: all that failed.
        overwrite: let them replace another tracking that podOS shows.
        now: aware.

    Raises:
        DeskRefusedError: there is no such shipment, or its code was erased; then none is changed.

    Safe to repeat: what podOS has already is not sent twice.
    """
    with writing(engine) as connection:
        rows = _rows_to_resend(connection, shipment_ids)
        ids = [id_ for id_, _ in rows]
        outbox.resend(connection, SHIPMENTS, ids)
        if overwrite:
            for part in chunks(ids):
                chunk = SHIPMENTS.c.id.in_(part)
                connection.execute(update(SHIPMENTS).where(chunk).values(overwrite=True))
        history = [
            (order_id, "shipped", f"shipment {id_} is tried again") for id_, order_id in rows if order_id
        ]
        add_history(connection, history, at=now)
    return ids


def _rows_to_resend(connection: Connection, ids: Collection[int] | None) -> list[tuple[int, int | None]]:
    query = _with_orders().order_by(SHIPMENTS.c.id)
    if ids is None:
        failed = query.where(SHIPMENTS.c.state == OutboxState.FAILED.value)
        return [(row.id, row.order_id) for row in connection.execute(failed)]
    found = connection.execute(query.where(SHIPMENTS.c.id.in_(ids))).all()
    if erased := [row.id for row in found if row.code == erased_code(row.id)]:
        raise DeskRefusedError(
            f"the tracking code of shipment {erased[0]} was erased: it can't be sent again"
        )
    rows = [(row.id, row.order_id) for row in found]
    missing = sorted(set(ids) - {id_ for id_, _ in rows})
    if missing:
        named = ", ".join(str(id_) for id_ in missing[:5])
        raise DeskRefusedError(f"the desk has no shipment {named}; see: desk shipments")
    return rows
