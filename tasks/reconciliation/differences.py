"""Compare an order of the desk with podOS's current version. Pure: no SQL, network or clock."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime

from models.orders import NewItem, NewOrder
from models.podos import Fulfillment
from models.reconciling import DeskOrder, DeskShipment, Difference, Finding
from models.reports import Outcome
from models.tables.outbox import OutboxState
from models.upstream import ChangeKind
from tasks.imports.changes import ADDRESS, address_digest, artwork_digest
from tasks.tracking.values import code_key

MAX_FIELDS_NAMED = 10
_ON_ITS_WAY = (OutboxState.SENT, OutboxState.ALREADY_THERE, OutboxState.WAITING, OutboxState.FAILED)
_IN_PODOS = (OutboxState.SENT, OutboxState.ALREADY_THERE)


def why_not_here(
    outcome: Outcome | None, updated_at: datetime | None, mark: datetime | None, *, was_rejected: bool
) -> tuple[Difference, str | None]:
    """Return why the desk does not have an order that podOS shows, and what more there is to say.

    Args:
        outcome: under which reason an import would skip it; None: it would import it.
        updated_at: podOS's date of its last change; None counts as long ago.
        mark: up to where the checks had read before podOS was asked; None: there is no watermark.
        was_rejected: whether an earlier run could not read it.

    What changed at or after the mark is the next check's to read; only what lies before it was missed.
    """
    if outcome is not None:
        return Difference(outcome.value), None
    if was_rejected:
        return Difference.REJECTED, "podOS sends it readable now: desk rejected replay"
    if mark is None or (updated_at is not None and updated_at >= mark):
        return Difference.NOT_CHECKED_YET, None
    return Difference.MISSED, None


def compare(row: Fulfillment, order: DeskOrder, theirs: NewOrder, *, canceled_folder: str) -> list[Finding]:
    """Return every difference between an order of the desk and podOS's fulfillment.

    Args:
        row: as podOS sends it now.
        order: as the desk has it.
        theirs: what an import would make of the row.
        canceled_folder: an order in this folder is known to be refunded.
    """
    status = (row.status or "").strip().casefold()
    found = [*_changed_there(row, status, order, canceled_folder), *_differs(row, order, theirs)]
    if tracking := compare_tracking(row, order):
        found.append(tracking)
    return [
        Finding(difference, order.source_id, order.id, order.order_number, detail)
        for difference, detail in found
    ]


def _changed_there(
    row: Fulfillment, status: str, order: DeskOrder, canceled_folder: str
) -> Iterator[tuple[Difference, str | None]]:
    is_known = order.podos_status.casefold() == "refunded" or (
        order.folder.casefold() == canceled_folder.casefold()
    )
    if status == "refunded" and not is_known:
        yield Difference.REFUNDED_THERE, f"it is in the folder {order.folder}"
    is_shipped = status == "complete" or any(shipment.state in _IN_PODOS for shipment in order.shipments)
    if row.frozen and status != "refunded" and not order.is_held and not is_shipped:
        yield Difference.FROZEN_THERE, f"it is in the folder {order.folder} and not held"


def _differs(row: Fulfillment, order: DeskOrder, theirs: NewOrder) -> Iterator[tuple[Difference, str | None]]:
    if order.address is not None:
        names = [name for name in ADDRESS if getattr(theirs, name) != order.address[name]]
        if names:
            who = _who(row, order, ChangeKind.ADDRESS, order.address_digest, address_digest(theirs))
            yield Difference.ADDRESS_DIFFERS, f"{', '.join(names)}; {who}"
    if names := _other_prints(order.prints, theirs.items):
        more = f" and {len(names) - MAX_FIELDS_NAMED} more" if len(names) > MAX_FIELDS_NAMED else ""
        who = _who(row, order, ChangeKind.ARTWORK, order.artwork_digest, artwork_digest(theirs.items))
        yield Difference.ARTWORK_DIFFERS, f"{', '.join(names[:MAX_FIELDS_NAMED])}{more}; {who}"


def _who(row: Fulfillment, order: DeskOrder, kind: ChangeKind, said: str | None, says: str) -> str:
    """Return who changed an address or artwork, as far as the desk knows."""
    if kind in order.flagged:
        return "changed in podOS, and flagged: see desk changes"
    if said is not None:
        return f"{'not ' if said == says else ''}changed in podOS since the desk looked last"
    is_same_age = row.updated_at is not None and row.updated_at == order.podos_updated_at
    return f"{'not ' if is_same_age else ''}changed in podOS since its import"


def _other_prints(here: Sequence[Mapping[str, str]], there: Sequence[NewItem]) -> list[str]:
    if len(here) != len(there):
        return [f"{len(here)} items here, {len(there)} in podOS"]
    names = []
    for position, (ours, item) in enumerate(zip(here, there, strict=True), 1):
        mine = {key: value for key, value in ours.items() if key.startswith("print_")}
        keys = sorted(key for key in mine.keys() | item.metadata if mine.get(key) != item.metadata.get(key))
        names += [f"item {position} {key}" for key in keys]
    return names


def compare_tracking(row: Fulfillment, order: DeskOrder) -> tuple[Difference, str | None] | None:
    """Return how podOS's tracking differs from the shipments of an order, None if it does not."""
    status = (row.status or "").strip().casefold()
    if status == "refunded":
        return None
    parcels = [shipment for shipment in order.shipments if shipment.state in _ON_ITS_WAY]
    if not parcels:
        imported = order.imported_status or order.podos_status
        is_news = status == "complete" and imported.casefold() != "complete"
        return (Difference.COMPLETE_THERE_ONLY, None) if is_news else None
    if order.address is None:  # erased, and the tracking codes with it
        return None
    there = code_key(row.tracking.code) if row.tracking else ""
    if there and there not in {code_key(shipment.code) for shipment in order.shipments}:
        return Difference.OTHER_TRACKING_THERE, _named(parcels)
    if status == "complete" and there in {code_key(parcel.code) for parcel in parcels}:
        return None
    return _not_there(parcels)


def _not_there(parcels: Sequence[DeskShipment]) -> tuple[Difference, str]:
    for states, difference in (
        ((OutboxState.WAITING,), Difference.TRACKING_WAITING),
        (_IN_PODOS, Difference.TRACKING_LOST),
    ):
        if some := [parcel for parcel in parcels if parcel.state in states]:
            return difference, _named(some)
    return Difference.TRACKING_FAILED, _named(parcels)


def to_resend(row: Fulfillment, order: DeskOrder) -> list[int]:
    """Return the shipments of an order that can be sent again: podOS misses them and has room for them."""
    found = compare_tracking(row, order)
    if found is None or found[0] not in {Difference.TRACKING_LOST, Difference.TRACKING_FAILED}:
        return []
    states = _IN_PODOS if found[0] is Difference.TRACKING_LOST else (OutboxState.FAILED,)
    return [max(shipment.id for shipment in order.shipments if shipment.state in states)]


def _named(shipments: Sequence[DeskShipment]) -> str:
    return ", ".join(f"shipment {shipment.id} ({shipment.state.replace('_', ' ')})" for shipment in shipments)
