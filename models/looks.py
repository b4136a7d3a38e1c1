"""The last look: what podOS says of orders just before they are handed over."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple, Protocol

from models.handovers import Due
from models.tables.outbox import OutboxState


class HeldBack(StrEnum):
    """Under what a run of sending counts an order that it did not hand over."""

    REFUNDED = "refunded"
    FROZEN = "frozen"
    GONE = "gone"
    SHIPPED = "shipped"
    STATUS = "status"
    CHANGED = "changed"
    UNREADABLE = "unreadable"
    AWAY = "podos_away"


class Stop(NamedTuple):
    """Why an order is not handed over now.

    Attributes:
        kind: what it counts as.
        reason: a sentence for the operator, in this program's own words.
        state: WAITING: it is looked at again, without an attempt being counted; FAILED: a person must act.
        retry_after_seconds: how long it waits; None: what holds it says for how long.
    """

    kind: HeldBack
    reason: str
    state: OutboxState = OutboxState.WAITING
    retry_after_seconds: float | None = None


@dataclass
class Looked:
    """What a look came to.

    Attributes:
        count: how many orders podOS was asked about, and answered.
        stops: the orders that must not go, by desk id.
        unseen: the orders that go without a look, by desk id, and why.
    """

    count: int = 0
    stops: dict[int, Stop] = field(default_factory=dict)
    unseen: dict[int, str] = field(default_factory=dict)


class LastLook(Protocol):
    """Asks podOS about orders that are about to be handed over."""

    async def __call__(self, due: Sequence[Due], run_id: int | None) -> Looked:
        """Return what must not go, with its consequences written; without a run nothing is written."""
