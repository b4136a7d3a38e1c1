"""Orders on their way to fulfillers: what the sending carries, and what it reports."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256
from typing import Any, ClassVar, NamedTuple

from models.deliveries import DeliveryReport

FORM_VERSION = 1
"""Of the form in which an order is handed over; docs/order.schema.json describes it."""


@dataclass(frozen=True)
class SendSettings:
    """A fulfiller's settings as far as every kind has them; no secret. ``move_to`` empty: orders stay."""

    fulfiller: str
    kind: str
    read_only: bool = False
    move_to: str = "Prepared"
    connections: int = 1


class Due(NamedTuple):
    """A waiting handover; ``reference`` and ``first_attempt_at`` tell that an earlier attempt had begun."""

    id: int
    order_id: int
    project: str
    source_id: str
    order_number: str
    podos_status: str
    reference: str | None
    first_attempt_at: datetime | None
    integration: str = ""


class Outgoing(NamedTuple):
    """A handover that may go: its order in the form that goes out, and the key that never changes.

    ``unseen`` says why podOS was not asked about it just before, where it was not.
    """

    due: Due
    key: str
    document: dict[str, Any]
    body: bytes
    notes: tuple[str, ...] = ()
    unseen: str = ""

    @property
    def id(self) -> int:
        """The handover's id."""
        return self.due.id


def idempotency_key(fulfiller: str, project: str, source_id: str) -> str:
    """Return the key of an order at a fulfiller: the same for ever, on every desk."""
    return sha256("\n".join((project, source_id, fulfiller)).encode()).hexdigest()[:40]


@dataclass
class SendReport(DeliveryReport):
    """What one run of sending did.

    Attributes:
        shipments: how many came back.
        paused: why it ended early, where it did.
        looked: how many orders podOS was asked about just before, and answered.
        held_back: how many of those due the look kept back, by reason.
        unseen: how many went on without a look.
    """

    OWNER: ClassVar[str] = "fulfiller"

    shipments: int = 0
    paused: str | None = None
    looked: int = 0
    held_back: dict[str, int] = field(default_factory=dict)
    unseen: int = 0

    @property
    def is_idle(self) -> bool:
        """Whether there was nothing to do: neither to send, nor to bring back."""
        return not self.pending and not self.shipments

    def as_dict(self) -> dict[str, Any]:
        """Return the published form (``desk send --json``)."""
        look = {"looked": self.looked, "held_back": self.held_back, "not_looked": self.unseen}
        return {**super().as_dict(), "shipments": self.shipments, **look}

    def one_line(self) -> str:
        """Return the report as the state message of a run."""
        why = ", ".join(f"{count} {kind.replace('_', ' ')}" for kind, count in self.held_back.items())
        kept = f"; held back by the last look at podOS: {why}" if why else ""
        if self.would_send is not None and self.pending:
            return super().one_line() + kept
        back = f"; {self.shipments} shipments came back" if self.shipments else ""
        paused = f"; ended early: {self.paused}" if self.paused and self.pending else ""
        return super().one_line() + kept + back + paused
