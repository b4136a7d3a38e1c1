"""Requests that added a shipment, so that the same request again gets the same answer and does nothing."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import NamedTuple

from sqlalchemy import ColumnElement, Connection, delete, select, update

from tasks.desk.errors import DeskRefusedError, RetriableDeskError
from tasks.desk.sql import insert_for
from tasks.desk.tables import SHIPMENT_REQUESTS

KEPT_FOR = timedelta(days=7)


class KeyReusedError(DeskRefusedError):
    """The key of a request names another request."""


class ShipmentRequestKey(NamedTuple):
    """A request: whose it is, its key and what it asks for, both as digests."""

    token_id: int
    key_digest: str
    body_digest: str


class Done(NamedTuple):
    """What came of a request: the shipment, and whether it was new."""

    shipment_id: int
    added: bool


def claim(connection: Connection, request: ShipmentRequestKey, *, now: datetime) -> Done | None:
    """Take a request for the caller's transaction; if it was done already, return what came of it.

    A second one with the same key waits until the first one's transaction has ended.

    Args:
        connection: in a writing transaction.
        request: what is asked.
        now: aware.

    Raises:
        KeyReusedError: the key was used for something else.
    """
    rows = SHIPMENT_REQUESTS
    connection.execute(delete(rows).where(rows.c.created_at < now - KEPT_FOR))
    row = {**request._asdict(), "created_at": now}
    statement = insert_for(connection)(rows).values(row).on_conflict_do_nothing()
    if connection.execute(statement.returning(rows.c.token_id)).first() is not None:
        return None
    query = select(rows.c.body_digest, rows.c.shipment_id, rows.c.added).where(*_mine(request))
    known = connection.execute(query).one_or_none()
    if known is None or known.shipment_id is None:
        raise RetriableDeskError("this request is being answered already: try again in a moment")
    if known.body_digest != request.body_digest:
        raise KeyReusedError("this Idempotency-Key was used for another request: take a new key")
    return Done(known.shipment_id, bool(known.added))


def finish(connection: Connection, request: ShipmentRequestKey, done: Done) -> None:
    """Keep what came of a request that the caller's transaction has claimed."""
    statement = update(SHIPMENT_REQUESTS).where(*_mine(request))
    connection.execute(statement.values(shipment_id=done.shipment_id, added=done.added))


def _mine(request: ShipmentRequestKey) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    columns = SHIPMENT_REQUESTS.c
    return (columns.token_id == request.token_id, columns.key_digest == request.key_digest)
