"""Decide what to do with a shipment: validate, pick one per order, compare with podOS. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import NamedTuple

from models.podos import HeldTracking
from models.shipments import Parcel, Sibling, Tracking
from models.tables.outbox import OutboxState
from models.unreadable import problems_in
from models.upstream import COMPLETE, is_refunded, status_key
from tasks.delivery.retry_policy import AttemptOutcome
from tasks.tracking.carriers import shown_name, tracking_address
from tasks.tracking.values import clean_code, clean_courier, clean_url, code_key

_DECIDING = ("source_id", "project", "courier", "code", "url", "overwrite")
"""What is sent and where to; what the desk counts for itself begins afresh where it can't be read."""
HOLDS_PLACE = frozenset({OutboxState.SENT.value, OutboxState.ALREADY_THERE.value})


class Decision(NamedTuple):
    """What to do with a shipment: send this tracking, or settle it without sending."""

    send: Tracking | None = None
    verdict: AttemptOutcome | None = None


def outgoing(parcel: Parcel, names: Mapping[str, str]) -> Tracking:
    """Return a shipment's tracking as podOS is to show it: courier's name, and an address if one is known.

    Raises:
        UnfitShipmentError: it can't be sent as it is.
    """
    courier = shown_name(clean_courier(parcel.courier), names)
    code = clean_code(parcel.code)
    return Tracking(courier, code, clean_url(parcel.url) or tracking_address(courier, code))


class Place(NamedTuple):
    """Who stands for an order's one place in podOS: one shipment of each kind, None where there is none."""

    newest_overwriting: int | None
    newest_in_podos: int | None
    oldest_waiting: int | None


def place_of(siblings: Iterable[Sibling]) -> Place:
    """Return who stands for the place of an order, from all its shipments."""
    family = list(siblings)
    waiting = [sibling for sibling in family if sibling.state == OutboxState.WAITING.value]
    return Place(
        max((sibling.id for sibling in waiting if sibling.overwrite), default=None),
        max((sibling.id for sibling in family if sibling.state in HOLDS_PLACE), default=None),
        min((sibling.id for sibling in waiting), default=None),
    )


def holder_of_place(parcel: Parcel, place: Place) -> int | None:
    """Return the shipment that has the order's one place in podOS, None if it is this one's.

    A place goes to what was sent, else to the oldest that waits; one that may overwrite goes before all,
    the newest of them first.
    """
    if parcel.overwrite:
        newest = place.newest_overwriting
        return newest if newest is not None and newest > parcel.id else None
    if place.newest_overwriting is not None:
        return place.newest_overwriting
    if place.newest_in_podos is not None:
        return place.newest_in_podos
    oldest = place.oldest_waiting
    return oldest if oldest is not None and oldest < parcel.id else None


def before_asking(parcel: Parcel, project: str, place: Place) -> AttemptOutcome | None:
    """Return what settles a shipment before podOS is asked, None if nothing does.

    Args:
        parcel: the shipment.
        project: the integration's podOS project.
        place: who stands for its order's place.
    """
    if problems := problems_in({name: getattr(parcel, name) for name in _DECIDING}):
        remedy = f"correct the row, then: desk shipments resend {parcel.id}"
        return AttemptOutcome(OutboxState.FAILED, "; ".join([*problems, remedy]))
    if parcel.project != project:
        reason = f"its order is of project {parcel.project}: connect an integration for that project"
        return AttemptOutcome(OutboxState.WAITING, reason)
    holder = holder_of_place(parcel, place)
    if holder is not None:
        reason = f"podOS has room for one tracking, and shipment {holder} has it: void that one to send this"
        return AttemptOutcome(OutboxState.SUPERSEDED, reason)
    return None


def decide(
    parcel: Parcel, tracking: Tracking, held: HeldTracking | None, replaceable: Collection[str]
) -> Decision:
    """Return what to do with a shipment, by what podOS holds now.

    Args:
        parcel: the shipment, which has the order's place.
        tracking: what it would send.
        held: what podOS shows for the order, None if podOS does not know it.
        replaceable: codes of the order's voided shipments: podOS may still show one.
    """
    if held is None:
        return _failed("podOS does not know this order (HTTP 404)")
    if is_there(tracking, held, exactly=parcel.overwrite):
        return Decision(verdict=AttemptOutcome(OutboxState.ALREADY_THERE))
    if is_refunded(held.status):
        return _failed("podOS shows this order as refunded")
    other = code_key(held.code)
    may_replace = parcel.overwrite or other in {code_key(code) for code in replaceable}
    if other and other != code_key(tracking.code) and not may_replace:
        return _failed(
            "podOS shows this order with another tracking already; "
            f"to replace it: desk shipments resend {parcel.id} --force"
        )
    return Decision(send=tracking)


def is_there(tracking: Tracking, held: HeldTracking, *, exactly: bool = False) -> bool:
    """Return whether podOS shows an order as complete with this tracking.

    The code decides: podOS may write couriers and addresses its own way. ``exactly`` looks at them too.
    """
    if status_key(held.status) != COMPLETE or code_key(held.code) != code_key(tracking.code):
        return False
    same_url = (held.url or None) == tracking.url
    return not exactly or (same_url and (held.courier or "").strip() == tracking.courier)


def _failed(reason: str) -> Decision:
    return Decision(verdict=AttemptOutcome(OutboxState.FAILED, reason))
