"""Changes that podOS made to orders after their import: what is compared, what is kept, what is told."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple

from models.orders import NewOrder

REFUNDED = "refunded"
COMPLETE = "complete"
STEPS = ("paid", "processing", "printed", "consolidated")
"""The statuses of an order that is being made, in their sequence (podOS API, Fulfillment)."""
HELD_REFUNDED = "refunded in podOS"
HELD_FROZEN = "frozen in podOS"
"""The reasons of a hold that the desk sets, and lifts, by itself; any other is a person's or a rule's."""
HELD_GONE = "no longer listed in podOS"
"""The reason of a hold that the desk sets and a person lifts: it may be printed elsewhere."""


def status_key(status: str | None) -> str:
    """Return what statuses of podOS are compared by."""
    return (status or "").strip().casefold()


def is_refunded(status: str | None) -> bool:
    """Return whether a status means that the order was canceled.

    podOS says ``refunded`` and documents no other word; the words of other systems are taken as well.
    """
    return status_key(status) in {REFUNDED, "cancelled", "canceled"}


class ChangeKind(StrEnum):
    """What of an order changed in podOS."""

    STATUS = "status"
    FROZEN = "frozen"
    ADDRESS = "address"
    ARTWORK = "artwork"


class ChangeState(StrEnum):
    """What became of a change. An order with an open one is flagged."""

    OPEN = "open"
    SETTLED = "settled"
    TAKEN = "taken"
    KEPT = "kept"
    SUPERSEDED = "superseded"
    WITHDRAWN = "withdrawn"


class Noted(StrEnum):
    """Under what a run counts a change, and what its event says."""

    CANCELED = "canceled"
    PAID_AGAIN = "paid_again"
    HELD = "held"
    RELEASED = "released"
    GONE = "gone"
    ADDRESS = "address"
    ARTWORK = "artwork"
    AFTER_SHIPPING = "after_shipping"


Values = Mapping[str, str | None]
"""Fields by name; None is a field that has no value."""


class RemoteOrder(NamedTuple):
    """An order of the desk as podOS sends it now; ``order`` is what an import would make of it."""

    source_id: str
    is_frozen: bool
    frozen_reasons: tuple[str, ...]
    order: NewOrder


class DeskItem(NamedTuple):
    """A line of an order, as far as podOS is compared with it; ``metadata`` is all of it."""

    sku: str | None
    quantity: int
    metadata: Mapping[str, str]


class DeskHandover(NamedTuple):
    """A handover of an order; ``is_begun``: an attempt was made, so the fulfiller may have the order."""

    id: int
    fulfiller: str
    state: str
    is_begun: bool
    reason: str | None


class PastChange(NamedTuple):
    """A change that was noted before."""

    id: int
    kind: str
    state: str
    before: Values
    after: Values


class LocalOrder(NamedTuple):
    """An order as the desk has it, with what podOS said of it last.

    ``address`` is None where the personal data was erased; a digest is None where nobody kept one.
    ``changes`` are the ones noted before, oldest first.
    """

    id: int
    source_id: str
    folder: str
    podos_status: str
    is_frozen: bool
    podos_updated_at: datetime | None
    hold_reason: str | None
    address: Values | None
    address_digest: str | None
    artwork_digest: str | None
    is_shipped: bool
    items: Sequence[DeskItem] = ()
    handovers: Sequence[DeskHandover] = ()
    changes: Sequence[PastChange] = ()


class NewChange(NamedTuple):
    """A change to be kept: the desk's values beside podOS's."""

    kind: ChangeKind
    state: ChangeState
    before: Values
    after: Values


@dataclass
class ChangePlan:
    """What is to be done about one order that podOS changed.

    Attributes:
        hold_reason: what the order's hold says from now on, None for no hold.
        move_to: where the order goes, None if it stays; ``why`` is for the history.
        close: changes noted before, and what becomes of them.
        void, revive: handovers that must not go out, and those that may again.
    """

    order_id: int
    source_id: str
    hold_reason: str | None
    address_digest: str | None
    artwork_digest: str | None
    move_to: str | None = None
    why: str = ""
    history: list[str] = field(default_factory=list)
    changes: list[NewChange] = field(default_factory=list)
    close: dict[int, ChangeState] = field(default_factory=dict)
    void: list[int] = field(default_factory=list)
    revive: list[int] = field(default_factory=list)
    noted: list[Noted] = field(default_factory=list)
