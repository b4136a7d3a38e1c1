"""What waits to leave the desk or could not: shipments for podOS, and handovers to fulfillers."""

from __future__ import annotations

from datetime import UTC, datetime

from starlette.responses import Response

from deployments.web.pages import Visit, number_of
from deployments.web.site import react, tell_queued, tell_shipments
from models.tables.outbox import OutboxState
from tasks.desk.engine import reading
from tasks.desk.errors import DeskRefusedError
from tasks.fulfilment.store import cancel_handovers, list_handovers, resend_handovers
from tasks.tracking.shipment_list import list_shipments
from tasks.tracking.store import integrations_of, resend_shipments, void_shipment

LISTED = 50


def show(visit: Visit) -> Response:
    """Show what failed and what waits, the newest first."""
    engine, failed, waiting = visit.site.engine, OutboxState.FAILED, OutboxState.WAITING
    return visit.page(
        "shipments.html",
        failed=list(list_shipments(engine, state=failed, limit=LISTED)),
        waiting=list(list_shipments(engine, state=waiting, limit=LISTED)),
        failed_handovers=list(list_handovers(engine, state=failed, limit=LISTED)),
        waiting_handovers=list(list_handovers(engine, state=waiting, limit=LISTED)),
        listed=LISTED,
    )


def resend(visit: Visit) -> Response:
    """Let shipments be tried again: those that are named, or all that failed."""
    ids = _ids(visit)
    overwrite = bool(visit.field("force")) and ids is not None
    again = resend_shipments(visit.site.engine, ids, overwrite=overwrite, now=datetime.now(UTC))
    with reading(visit.site.engine) as connection:
        names = integrations_of(connection, again)
    tell_shipments(names)
    return _back(visit, f"{_count(len(again), 'shipment')} to be sent")


def void(visit: Visit) -> Response:
    """Void a shipment: its label was replaced."""
    ids = _ids(visit) or []
    following = [void_shipment(visit.site.engine, id_, now=datetime.now(UTC)) for id_ in ids]
    with reading(visit.site.engine) as connection:
        names = integrations_of(connection, [id_ for id_ in following if id_])
    tell_shipments(names)
    return _back(visit, "voided", *(f"shipment {id_} waits in its place" for id_ in following if id_))


def resend_handover(visit: Visit) -> Response:
    """Let orders be handed over again; the fulfiller knows them by their key."""
    again, fulfillers = resend_handovers(visit.site.engine, _ids(visit), now=datetime.now(UTC))
    tell_queued(fulfillers)
    return _back(visit, f"{_count(len(again), 'order')} to be sent")


def cancel_handover(visit: Visit) -> Response:
    """Take orders out of the outbox."""
    canceled, begun = cancel_handovers(visit.site.engine, _ids(visit) or [], now=datetime.now(UTC))
    asked = (f"an attempt had begun: ask {name} whether an order arrived" for name in sorted(begun))
    return _back(visit, f"{len(canceled)} taken out of the outbox", *asked)


def _ids(visit: Visit) -> list[int] | None:
    """Return the ids that were sent; None: all that failed.

    Raises:
        DeskRefusedError: none is named, or one is no number.
    """
    given = visit.fields("id")
    if visit.field("all_failed"):
        return None
    ids = [number for text in given if (number := number_of(text)) is not None]
    if not ids or len(ids) < len(given):
        raise DeskRefusedError("that names nothing in the outbox: go back and choose again")
    return ids


def _back(visit: Visit, *said: str) -> Response:
    order_id = number_of(visit.field("back"))
    return visit.go(f"/orders/{order_id}" if order_id else "/shipments", *said, react(visit.site))


def _count(count: int, word: str) -> str:
    return f"{count} {word} waits" if count == 1 else f"{count} {word}s wait"
