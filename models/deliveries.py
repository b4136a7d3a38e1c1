"""The report of what leaves the desk: tracking to podOS and orders to fulfillers alike."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar, NamedTuple

from models.tables.outbox import OutboxState


class DeliveryNote(NamedTuple):
    """A shipment or handover that a person may want to look at: by its ids and the reason, nothing else."""

    id: int
    order_number: str
    reason: str


@dataclass
class DeliveryReport:
    """What one run delivered, counted by where the rows stand when it ends.

    Attributes:
        name: the integration or fulfiller.
        run_id: None where nothing was due.
        counts: distinct rows by state; together they are ``pending``.
        would_send: in read-only mode, how many would have been sent; all of them keep waiting.
        notes: rows with a reason, by state.
        OUTCOMES: the states that a run can leave rows in, in the sequence in which they are shown.
        OWNER: what ``name`` is called in the published form.
    """

    OUTCOMES: ClassVar[tuple[OutboxState, ...]] = (
        OutboxState.SENT,
        OutboxState.ALREADY_THERE,
        OutboxState.WAITING,
        OutboxState.FAILED,
    )
    OWNER: ClassVar[str]

    name: str
    run_id: int | None = None
    counts: dict[OutboxState, int] = field(default_factory=dict)
    would_send: int | None = None
    seconds: float = 0.0
    notes: dict[OutboxState, list[DeliveryNote]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Begin every count at zero."""
        self.counts = {**dict.fromkeys(self.OUTCOMES, 0), **self.counts}

    @property
    def pending(self) -> int:
        """The number of rows that waited for this run."""
        return sum(self.counts.values())

    @property
    def is_idle(self) -> bool:
        """Whether there was nothing to do."""
        return not self.pending

    def as_dict(self) -> dict[str, Any]:
        """Return the published form (``--json``)."""
        shown: dict[str, Any] = {
            "run_id": self.run_id,
            self.OWNER: self.name,
            "pending": self.pending,
            **{state.value: self.counts[state] for state in self.OUTCOMES},
            "seconds": round(self.seconds, 3),
        }
        return shown if self.would_send is None else {**shown, "would_send": self.would_send}

    def one_line(self) -> str:
        """Return the report as the state message of a run."""
        if not self.pending:
            return "nothing waits to be sent"
        if self.would_send is not None:
            return f"read-only mode: {self.pending} pending, would send {self.would_send}"
        counts = ((state, self.counts[state]) for state in self.OUTCOMES)
        parts = [f"{count} {state.value.replace('_', ' ')}" for state, count in counts if count]
        return f"{self.pending} pending: " + ", ".join(parts)
