"""Orders on their way to fulfillers: what the sending carries, and what it reports."""

from __future__ import annotations

from dataclasses import dataclass
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


class Outgoing(NamedTuple):
    """A handover that may go: its order in the form that goes out, and the key that never changes."""

    due: Due
    key: str
    document: dict[str, Any]
    body: bytes
    notes: tuple[str, ...] = ()

    @property
    def id(self) -> int:
        """The handover's id."""
        return self.due.id


def idempotency_key(fulfiller: str, project: str, source_id: str) -> str:
    """Return the key of an order at a fulfiller: the same for ever, on every desk."""
    return sha256("\n".join((project, source_id, fulfiller)).encode()).hexdigest()[:40]


@dataclass
class SendReport(DeliveryReport):
    """What one run of sending did. ``paused`` says why it ended early, where it did."""

    OWNER: ClassVar[str] = "fulfiller"

    shipments: int = 0
    paused: str | None = None

    def as_dict(self) -> dict[str, Any]:
        """Return the published form (``desk send --json``)."""
        return {**super().as_dict(), "shipments": self.shipments}

    def one_line(self) -> str:
        """Return the report as the state message of a run."""
        if self.would_send is not None and self.pending:
            return super().one_line()
        back = f"; {self.shipments} shipments came back" if self.shipments else ""
        paused = f"; ended early: {self.paused}" if self.paused and self.pending else ""
        return super().one_line() + back + paused
