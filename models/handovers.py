"""Orders on their way to fulfillers: what the sending carries, and what it reports."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256
from typing import Any, NamedTuple

from models.outbox import OutboxState

SEND_OUTCOMES = (OutboxState.SENT, OutboxState.ALREADY_THERE, OutboxState.WAITING, OutboxState.FAILED)
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


@dataclass(frozen=True)
class HandoverNote:
    """A handover that a person may want to look at: by its ids and the reason, nothing else."""

    id: int
    order_number: str
    reason: str


@dataclass
class SendReport:
    """What one run of sending did; ``waiting`` counts those that wait when it ends.

    ``paused`` says why the run ended early, where it did.
    """

    fulfiller: str
    run_id: int | None = None
    counts: dict[OutboxState, int] = field(default_factory=lambda: dict.fromkeys(SEND_OUTCOMES, 0))
    would_send: int | None = None
    shipments: int = 0
    paused: str | None = None
    seconds: float = 0.0
    notes: dict[OutboxState, list[HandoverNote]] = field(default_factory=dict)

    @property
    def pending(self) -> int:
        """The number of handovers that waited for this run."""
        return sum(self.counts.values())

    def as_dict(self) -> dict[str, Any]:
        """Return the published form (``desk send --json``)."""
        shown: dict[str, Any] = {
            "run_id": self.run_id,
            "fulfiller": self.fulfiller,
            "pending": self.pending,
            **{state.value: self.counts[state] for state in SEND_OUTCOMES},
            "shipments": self.shipments,
            "seconds": round(self.seconds, 3),
        }
        return shown if self.would_send is None else {**shown, "would_send": self.would_send}

    def one_line(self) -> str:
        """Return the report as the state message of a run."""
        back = f"; {self.shipments} shipments came back" if self.shipments else ""
        if not self.pending:
            return f"nothing waits to be sent{back}"
        if self.would_send is not None:
            return f"read-only mode: {self.pending} pending, would send {self.would_send}"
        told = ((state, self.counts[state]) for state in SEND_OUTCOMES)
        parts = [f"{count} {state.value.replace('_', ' ')}" for state, count in told if count]
        paused = f"; ended early: {self.paused}" if self.paused else ""
        return f"{self.pending} pending: " + ", ".join(parts) + back + paused
