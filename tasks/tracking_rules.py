"""What becomes of a shipment: is it fit to send, has it the order's place, what does podOS hold. Pure."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from datetime import UTC, datetime
from typing import NamedTuple
from urllib.parse import urlsplit

from models.desk import OutboxState
from models.podos import HeldTracking
from models.shipments import (
    MAX_CODE_LENGTH,
    MAX_COURIER_LENGTH,
    MAX_URL_LENGTH,
    Parcel,
    Sibling,
    Tracking,
)
from tasks.couriers import shown_name, tracking_address
from tasks.outbox_rules import Verdict

HOLDS_PLACE = frozenset({OutboxState.SENT.value, OutboxState.ALREADY_THERE.value})
_MANGLED_NUMBER = re.compile(r"\d([.,]\d+)?[eE]\+\d+")


class UnfitShipmentError(ValueError):
    """A shipment can't be sent as it was given; the text says what is wrong, without the value."""


class Decision(NamedTuple):
    """What to do with a shipment: send this tracking, or settle it without sending."""

    send: Tracking | None = None
    verdict: Verdict | None = None


def clean_courier(text: str | None) -> str:
    """Return a courier's name trimmed.

    Raises:
        UnfitShipmentError: it is empty, too long or has control characters.
    """
    return _one_line(text, "courier", MAX_COURIER_LENGTH)


def clean_code(text: str | None) -> str:
    """Return a tracking code trimmed.

    Raises:
        UnfitShipmentError: it is empty, too long, has control characters, or was ruined by a spreadsheet.
    """
    code = _one_line(text, "code", MAX_CODE_LENGTH)
    if _MANGLED_NUMBER.fullmatch(code):
        raise UnfitShipmentError(
            "a spreadsheet turned the code into a rounded number: make its column text, and enter it again"
        )
    return code


def clean_url(text: str | None) -> str | None:
    """Return a tracking address trimmed, None for an empty one.

    Raises:
        UnfitShipmentError: it is no web address.
    """
    if text is None or not text.strip():
        return None
    url = _one_line(text, "url", MAX_URL_LENGTH)
    try:
        parts = urlsplit(url)
    except ValueError:
        parts = urlsplit("")
    if parts.scheme.lower() not in {"http", "https"} or not parts.netloc or " " in url:
        raise UnfitShipmentError("the url is no web address: it begins with https:// and has no spaces")
    return url


def shipped_moment(text: str | None) -> datetime | None:
    """Return when a parcel left, aware; a day is its beginning, and what names no zone is UTC.

    Raises:
        UnfitShipmentError: it is no date.
    """
    if text is None or not text.strip():
        return None
    try:
        moment = datetime.fromisoformat(text.strip())
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError):
        raise UnfitShipmentError("shipped_at is no date: write 2026-11-23 or 2026-11-23T09:30") from None


def _one_line(text: str | None, what: str, longest: int) -> str:
    cleaned = (text or "").strip()
    if not cleaned:
        raise UnfitShipmentError(f"the {what} is empty")
    if not cleaned.isprintable():
        raise UnfitShipmentError(f"the {what} has control characters")
    if len(cleaned) > longest:
        raise UnfitShipmentError(f"the {what} has more than {longest} characters")
    return cleaned


def outgoing(parcel: Parcel, names: Mapping[str, str]) -> Tracking:
    """Return a shipment's tracking as podOS is to show it: courier's name, and an address if one is known.

    Raises:
        UnfitShipmentError: it can't be sent as it is.
    """
    courier = shown_name(clean_courier(parcel.courier), names)
    code = clean_code(parcel.code)
    return Tracking(courier, code, clean_url(parcel.url) or tracking_address(courier, code))


def holder_of_place(parcel: Parcel, siblings: Iterable[Sibling]) -> int | None:
    """Return the shipment that has the order's one place in podOS, None if it is this one's.

    A place goes to what was sent, else to the oldest that waits; one that may overwrite goes before all,
    the newest of them first.
    """
    others = [one for one in siblings if one.id != parcel.id]
    waiting = [one for one in others if one.state == OutboxState.WAITING.value]
    stronger = [one.id for one in waiting if one.overwrite and (not parcel.overwrite or one.id > parcel.id)]
    if stronger:
        return max(stronger)
    if parcel.overwrite:
        return None
    taken = [one.id for one in others if one.state in HOLDS_PLACE]
    if taken:
        return max(taken)
    older = [one.id for one in waiting if one.id < parcel.id]
    return min(older) if older else None


def before_asking(parcel: Parcel, project: str, siblings: Iterable[Sibling]) -> Verdict | None:
    """Return what settles a shipment before podOS is asked, None if nothing does.

    Args:
        parcel: the shipment.
        project: the integration's podOS project.
        siblings: all shipments of its order.
    """
    if parcel.project != project:
        reason = f"its order is of project {parcel.project}: connect an integration for that project"
        return Verdict(OutboxState.WAITING, reason)
    holder = holder_of_place(parcel, siblings)
    if holder is not None:
        reason = f"podOS has room for one tracking, and shipment {holder} has it: void that one to send this"
        return Verdict(OutboxState.SUPERSEDED, reason)
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
        return Decision(verdict=Verdict(OutboxState.ALREADY_THERE))
    if (held.status or "").strip().casefold() == "refunded":
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
    if (held.status or "").strip().casefold() != "complete" or code_key(held.code) != code_key(tracking.code):
        return False
    same_url = (held.url or None) == tracking.url
    return not exactly or (same_url and (held.courier or "").strip() == tracking.courier)


def code_key(code: str | None) -> str:
    """Return what tells tracking codes apart: capitals and white space do not count."""
    return "".join((code or "").split()).casefold()


def _failed(reason: str) -> Decision:
    return Decision(verdict=Verdict(OutboxState.FAILED, reason))
