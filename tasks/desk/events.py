"""Events that wait for rules: inserted with the change, deleted with the rules' effects.

An event is a row, so a crash between the two loses none; taking it is a delete in the transaction of the
rules' work, so it fires once. Shipments are their own rows: any program may insert them.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Connection, Engine, Select, delete, exists, false, select, update

from models.rules import RuleEvent
from models.types import utc_text
from tasks.desk.engine import reading
from tasks.desk.sql import insert_new
from tasks.desk.tables import EVENTS, RULES, SHIPMENTS

IS_ON = RULES.c.enabled != false()


class Happened(NamedTuple):
    """An event of an order; ``event`` is None where another program wrote one that there is not."""

    order_id: int
    event: RuleEvent | None


def has_rules(connection: Connection, event: RuleEvent) -> bool:
    """Return whether a rule that is on waits for an event."""
    return connection.execute(select(RULES.c.id).where(waits_for(event)).limit(1)).first() is not None


def waits_for(event: RuleEvent) -> ColumnElement[bool]:
    """Return the condition for rules that are on and wait for an event.

    A rule whose event can't be read waits for all of them: what it might do must not be passed over.
    """
    is_odd = RULES.c.event.not_in([known.value for known in RuleEvent])
    return IS_ON & ((RULES.c.event == event.value) | is_odd)


def note_event(
    connection: Connection, order_ids: Collection[int], event: RuleEvent, *, now: datetime
) -> None:
    """Let the rules look at these orders, in the caller's transaction; nothing without a rule for the event.

    Not safe to repeat: every call is an event.
    """
    if order_ids and has_rules(connection, event):
        at = utc_text(now) if connection.dialect.name == "sqlite" else now
        rows = [(id_, event.value, at) for id_ in order_ids]
        insert_new(connection, EVENTS.name, ("order_id", "event", "created_at"), rows)


def events_wait(engine: Engine) -> bool:
    """Return whether rules have something to look at. Cheap."""
    with reading(engine) as connection:
        query = select(exists(select(EVENTS.c.id)) | exists(_new_shipments(1)))
        return bool(connection.execute(query).scalar())


def take_events(connection: Connection, limit: int) -> list[Happened]:
    """Take the oldest events for the caller's transaction, which must do what the rules say about them.

    Args:
        connection: in a writing transaction; if it is rolled back, the events wait again.
        limit: at most about so many.
    """
    oldest = select(EVENTS.c.id).order_by(EVENTS.c.id).limit(limit).with_for_update(skip_locked=True)
    taken = delete(EVENTS).where(EVENTS.c.id.in_(oldest))
    rows = connection.execute(taken.returning(EVENTS.c.id, EVENTS.c.order_id, EVENTS.c.event)).all()
    happened = [Happened(order_id, _event(name)) for _, order_id, name in sorted(map(tuple, rows), key=_id)]
    new = _new_shipments(limit).with_for_update(skip_locked=True)
    seen = update(SHIPMENTS).where(SHIPMENTS.c.id.in_(new)).values(rules_seen=True)
    shipped = connection.execute(seen.returning(SHIPMENTS.c.id, SHIPMENTS.c.order_id)).all()
    return happened + [
        Happened(order_id, RuleEvent.SHIPMENT_ADDED) for _, order_id in sorted(map(tuple, shipped), key=_id)
    ]


def _id(row: tuple[Any, ...]) -> int:
    return int(row[0])


def _event(name: str) -> RuleEvent | None:
    return RuleEvent(name) if name in set(RuleEvent) else None


def _new_shipments(limit: int) -> Select[tuple[int]]:
    """Return the query of shipments that no rule has seen; empty without a rule for them."""
    listening = exists(select(RULES.c.id).where(waits_for(RuleEvent.SHIPMENT_ADDED)))
    query = select(SHIPMENTS.c.id).where(SHIPMENTS.c.rules_seen == false(), listening)
    return query.order_by(SHIPMENTS.c.id).limit(limit)
