"""Select finished orders, whose address and tracking nobody needs any more, and those a person names."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import ColumnElement, Connection, Engine, and_, exists, func, or_, select

from models.tables.outbox import OutboxState
from tasks.desk.engine import reading
from tasks.desk.errors import DeskRefusedError
from tasks.desk.references import find_each
from tasks.desk.tables import FOLDERS, HANDOVERS, ORDERS, REJECTED, SHIPMENTS

END_FOLDERS = ("closed", "canceled")
END_STATUSES = ("complete", "refunded")
_IN_PODOS = (OutboxState.SENT.value, OutboxState.ALREADY_THERE.value)
_OPEN = (OutboxState.WAITING.value, OutboxState.FAILED.value)
_MAX_NAMED = 5


def is_finished() -> ColumnElement[bool]:
    """Return the condition for orders that are shipped, canceled or closed, with nothing left to send."""
    return and_(_is_at_its_end(), ~_tracking_in(_OPEN), ~_waits_for_a_fulfiller())


def _is_at_its_end() -> ColumnElement[bool]:
    ends = select(FOLDERS.c.id).where(FOLDERS.c.name_key.in_(END_FOLDERS))
    return or_(
        ORDERS.c.folder_id.in_(ends),
        func.lower(ORDERS.c.podos_status).in_(END_STATUSES),
        _tracking_in(_IN_PODOS),
    )


def _tracking_in(states: Sequence[str]) -> ColumnElement[bool]:
    mine = (SHIPMENTS.c.order_id == ORDERS.c.id) & SHIPMENTS.c.state.in_(states)
    return exists().where(mine).correlate(ORDERS)


def _waits_for_a_fulfiller() -> ColumnElement[bool]:
    waiting = HANDOVERS.c.state == OutboxState.WAITING.value
    return exists().where(HANDOVERS.c.order_id == ORDERS.c.id, waiting).correlate(ORDERS)


def find_orders(engine: Engine, references: Sequence[str]) -> tuple[list[int], list[int]]:
    """Return the desk ids of orders that a person names, and the ids of rejected ones, named by podOS id.

    Raises:
        DeskRefusedError: one is unknown, or means several orders.
    """
    wanted = [reference.strip() for reference in references]
    order_ids: list[int] = []
    rejected_ids: list[int] = []
    with reading(engine) as connection:
        for reference, found in find_each(connection, wanted).items():
            if not isinstance(found, str):
                order_ids.append(found.id)
                continue
            named = select(REJECTED.c.id).where(REJECTED.c.source_id == reference)
            rejected = connection.execute(named).scalars().all()
            if not rejected:
                raise DeskRefusedError(found)
            rejected_ids += rejected
    return list(dict.fromkeys(order_ids)), rejected_ids


def refuse_unfinished(engine: Engine, order_ids: Sequence[int]) -> None:
    """Refuse orders whose address or tracking is still needed.

    Raises:
        DeskRefusedError: there are such; the text names them, and what is open.
    """
    with reading(engine) as connection:
        found = _unfinished(connection, order_ids)
    if not found:
        return
    more = f"; and {len(found) - _MAX_NAMED} more" if len(found) > _MAX_NAMED else ""
    raise DeskRefusedError(
        "; ".join(found[:_MAX_NAMED])
        + more
        + ". Without its address an order can't be sent to anybody: finish it first, or add --force"
    )


def _unfinished(connection: Connection, order_ids: Sequence[int]) -> list[str]:
    columns = (ORDERS.c.id, ORDERS.c.order_number, _tracking_in(_OPEN), _waits_for_a_fulfiller())
    mine = and_(ORDERS.c.id.in_(order_ids), ORDERS.c.erased_at.is_(None), ~is_finished())
    sentences = []
    for id_, number, has_tracking, is_queued in connection.execute(select(*columns).where(mine)):
        why = "is not shipped, canceled or closed"
        if has_tracking:
            why = "has tracking that podOS does not have yet (see: desk shipments)"
        elif is_queued:
            why = "waits to be handed over (see: desk outbox)"
        sentences.append(f"order {id_} ({number}) {why}")
    return sentences
