"""Queue, list, resend and cancel handovers; hold and release orders."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Engine, Select, select, update

from models.tables.outbox import OutboxState
from models.unreadable import is_readable
from tasks.delivery import store as outbox
from tasks.delivery.handovers import queue_orders
from tasks.desk.engine import reading, writing
from tasks.desk.errors import DeskRefusedError
from tasks.desk.export import iso
from tasks.desk.folders import known_folder_id
from tasks.desk.history import add_history
from tasks.desk.leases import HeldLease
from tasks.desk.references import desk_reference, resolve
from tasks.desk.sql import chunks, newest_first
from tasks.desk.tables import HANDOVERS, ORDERS

MAX_REASON_LENGTH = 500
CANCELED = "taken out of the outbox by a person"


@dataclass(frozen=True)
class HandoverSummary:
    """One handover; ``order`` is the order number, times are aware UTC.

    ``order`` and ``source_id`` are None where another program named an order that the desk does not have.
    """

    id: int
    order: str | None
    source_id: str | None
    fulfiller: str
    reference: str | None
    state: str
    attempts: int
    next_attempt_at: datetime | None
    reason: str | None
    sent_at: datetime | None

    def as_dict(self) -> dict[str, Any]:
        """Return it ready for JSON."""
        times = ("next_attempt_at", "sent_at")
        return vars(self) | {name: iso(getattr(self, name)) for name in times}


def list_handovers(
    engine: Engine,
    *,
    state: OutboxState | None = None,
    limit: int | None = None,
    before_id: int | None = None,
) -> Iterator[HandoverSummary]:
    """Return handovers, the newest first, one by one; memory stays flat.

    Args:
        engine: the desk.
        state: only those in this state.
        limit: at most so many; None is all.
        before_id: only those with a smaller id: the last one of the page before.
    """
    query = _summaries()
    if state is not None:
        query = query.where(HANDOVERS.c.state == state.value)
    return newest_first(engine, query, HANDOVERS.c.id, HandoverSummary, limit=limit, before_id=before_id)


def handovers_of(engine: Engine, order_id: int) -> list[HandoverSummary]:
    """Return the handovers of an order, oldest first."""
    mine = _summaries().where(HANDOVERS.c.order_id == order_id).order_by(HANDOVERS.c.id)
    with reading(engine) as connection:
        return [HandoverSummary(*row) for row in connection.execute(mine)]


def _summaries() -> Select[Any]:
    own = ("fulfiller", "reference", "state", "attempts", "next_attempt_at", "reason", "sent_at")
    columns = (HANDOVERS.c[name] for name in own)
    return select(HANDOVERS.c.id, ORDERS.c.order_number, ORDERS.c.source_id, *columns).outerjoin(
        ORDERS, ORDERS.c.id == HANDOVERS.c.order_id
    )


def find_orders(engine: Engine, references: Sequence[str], folder: str | None) -> list[int]:
    """Return the desk ids of orders that a person names, or of all in a folder.

    Raises:
        DeskRefusedError: an order or the folder is unknown, or named ambiguously.
    """
    with reading(engine) as connection:
        if folder is None:
            return resolve(connection, references)
        place = known_folder_id(connection, folder)
        query = select(ORDERS.c.id).where(ORDERS.c.folder_id == place).order_by(ORDERS.c.id)
        return list(connection.execute(query).scalars())


def queue_by_hand(
    engine: Engine, order_ids: Sequence[int], fulfiller: str | None, *, now: datetime
) -> set[str]:
    """Queue orders for a fulfiller, or take those that they wait for; return the fulfillers' names.

    Raises:
        DeskRefusedError: without a fulfiller, one of the orders waits for none.
    """
    with writing(engine) as connection:
        if fulfiller is not None:
            queue_orders(connection, [(id_, fulfiller) for id_ in order_ids], now=now)
            return {fulfiller}
        waits = HANDOVERS.c.state == OutboxState.WAITING.value
        found: list[tuple[int, str]] = []
        for part in chunks(order_ids):
            mine = HANDOVERS.c.order_id.in_(part)
            query = select(HANDOVERS.c.order_id, HANDOVERS.c.fulfiller).where(mine, waits)
            found += [(row[0], row[1]) for row in connection.execute(query) if is_readable(row[1])]
        missing = sorted(set(order_ids) - {order_id for order_id, _ in found})
        if missing:
            named = desk_reference(missing[0])
            raise DeskRefusedError(f"order {named} waits for no fulfiller: say with --to F which one gets it")
        return {name for _, name in found}


def resend_handovers(
    engine: Engine, ids: Collection[int] | None, *, now: datetime
) -> tuple[list[int], set[str]]:
    """Let handovers be tried again as if for the first time.

    Args:
        engine: the desk.
        ids: which; None: all that failed.
        now: aware.

    Returns:
        Their ids, and the names of their fulfillers.

    Raises:
        DeskRefusedError: there is no such handover; then none is changed.

    Safe to repeat: the fulfiller knows an order again by its key.
    """
    with writing(engine) as connection:
        rows = _chosen(connection, ids)
        again = [row.id for row in rows]
        outbox.resend(connection, HANDOVERS, again)
        for part in chunks(again):
            chunk = HANDOVERS.c.id.in_(part)
            connection.execute(update(HANDOVERS).where(chunk).values(reference=None, sent_at=None))
        known = [row for row in rows if row.known_id is not None]
        history = [(row.known_id, "queued", f"is sent to {row.fulfiller} again") for row in known]
        add_history(connection, history, at=now)
    return again, {row.fulfiller for row in rows if is_readable(row.fulfiller)}


def cancel_handovers(engine: Engine, ids: Collection[int], *, now: datetime) -> tuple[list[int], set[str]]:
    """Take handovers that wait or failed out of the outbox; ``resend_handovers`` puts them back.

    The leases of their fulfillers are held meanwhile, so that none of them is under way.

    Args:
        engine: the desk.
        ids: which.
        now: aware.

    Returns:
        Their ids, and the names of the fulfillers at which an attempt had begun: they may have an order.

    Raises:
        DeskRefusedError: there is no such handover, or one has left; then none is changed.
        LeaseHeldError: orders are being sent to one of the fulfillers.

    Safe to repeat: what was taken out before stays as it is.
    """
    with reading(engine) as connection:
        names = {row.fulfiller for row in _chosen(connection, ids)}
    with ExitStack() as leases:
        for name in sorted(filter(is_readable, names)):
            leases.enter_context(HeldLease(engine, f"send:{name}"))
        with writing(engine) as connection:
            rows = _chosen(connection, ids)
            _refuse_what_left(rows)
            open_ = [row for row in rows if row.state in (OutboxState.WAITING, OutboxState.FAILED)]
            canceled = {"state": OutboxState.VOIDED.value, "reason": CANCELED, "next_attempt_at": None}
            for part in chunks([row.id for row in open_]):
                connection.execute(update(HANDOVERS).where(HANDOVERS.c.id.in_(part)).values(canceled))
            known = [row for row in open_ if row.known_id is not None]
            history = [(row.known_id, "not sent", f"{CANCELED}: {row.fulfiller}") for row in known]
            add_history(connection, history, at=now)
    begun = {
        row.fulfiller for row in open_ if row.first_attempt_at is not None and is_readable(row.fulfiller)
    }
    return [row.id for row in open_], begun


def _chosen(connection: Connection, ids: Collection[int] | None) -> list[Any]:
    """Return handovers by id, or all that failed; ``known_id`` is None where the desk has no such order.

    Raises:
        DeskRefusedError: one of the ids is none.
    """
    names = ("id", "fulfiller", "state", "first_attempt_at")
    columns = [*(HANDOVERS.c[name] for name in names), ORDERS.c.id.label("known_id")]
    both = HANDOVERS.outerjoin(ORDERS, ORDERS.c.id == HANDOVERS.c.order_id)
    query = select(*columns).select_from(both).order_by(HANDOVERS.c.id)
    if ids is None:
        return list(connection.execute(query.where(HANDOVERS.c.state == OutboxState.FAILED.value)))
    wanted = sorted(set(ids))
    rows = [
        row for part in chunks(wanted) for row in connection.execute(query.where(HANDOVERS.c.id.in_(part)))
    ]
    if missing := sorted(set(wanted) - {row.id for row in rows}):
        raise DeskRefusedError(f"the desk has no handover {missing[0]}; see: desk outbox")
    return rows


def _refuse_what_left(rows: Collection[Any]) -> None:
    for row in rows:
        if row.state in (OutboxState.SENT, OutboxState.ALREADY_THERE):
            whom = row.fulfiller if is_readable(row.fulfiller) else "the fulfiller"
            raise DeskRefusedError(f"handover {row.id} has left: {whom} has the order; ask there to stop it")


def hold_order(engine: Engine, reference: str, reason: str, *, now: datetime) -> None:
    """Keep an order from being sent until it is released. Safe to repeat.

    Raises:
        DeskRefusedError: the order is unknown or named ambiguously, or the reason says nothing.
    """
    text = reason.strip()
    if not text or len(text) > MAX_REASON_LENGTH or not text.isprintable():
        raise DeskRefusedError(f"a reason needs 1 to {MAX_REASON_LENGTH} printable characters on one line")
    _set_hold(engine, reference, text, ("held", f"held: {text}"), now)


def release_order(engine: Engine, reference: str, *, now: datetime) -> None:
    """Let a held order be sent again. Safe to repeat.

    Raises:
        DeskRefusedError: the order is unknown or named ambiguously.
    """
    _set_hold(engine, reference, None, ("released", "released"), now)


def _set_hold(
    engine: Engine, reference: str, reason: str | None, history: tuple[str, str], now: datetime
) -> None:
    with writing(engine) as connection:
        (id_,) = resolve(connection, [reference])
        before = connection.execute(select(ORDERS.c.hold_reason).where(ORDERS.c.id == id_)).scalar()
        if before != reason:
            connection.execute(update(ORDERS).where(ORDERS.c.id == id_).values(hold_reason=reason))
            add_history(connection, [(id_, *history)], at=now)
