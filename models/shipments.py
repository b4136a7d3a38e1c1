"""Shipments on their way to podOS: what the command line takes, what the sync carries, what it reports."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, ClassVar, NamedTuple

from models.deliveries import DeliveryReport
from models.production import ProductionReport
from models.tables.outbox import OutboxState

SHIPMENT_COLUMNS = frozenset({"order", "courier", "code", "url", "shipped_at", "desk_id"})
MAX_COURIER_LENGTH = 100
MAX_CODE_LENGTH = 200
MAX_URL_LENGTH = 2000


@dataclass(frozen=True)
class ShipmentReading:
    """How files of shipments are read: headers of its own for columns, a form of dates besides ISO 8601."""

    columns: dict[str, str] = field(default_factory=dict, hash=False)
    date_format: str = ""


DEFAULT_READING = ShipmentReading()


def shipment_columns(text: str) -> dict[str, str]:
    """Return the headers that a text names, by column: ``order=Ref;code=Track``.

    Raises:
        ValueError: a part is not of that form, or a column is unknown or named twice.
    """
    found: dict[str, str] = {}
    for part in filter(None, map(str.strip, text.split(";"))):
        column, _, header = (word.strip() for word in part.partition("="))
        if column not in SHIPMENT_COLUMNS or not header or column in found:
            known = ", ".join(sorted(SHIPMENT_COLUMNS))
            raise ValueError(f"write COLUMN=HEADER;COLUMN=HEADER, each column once, of: {known}")
        found[column] = header
    return found


@dataclass(frozen=True)
class SyncSettings:
    """One integration's settings, as far as the tracking sync needs them; no secret.

    ``couriers`` maps a carrier code, case-folded, to the name podOS shows; ``move_to`` empty: orders stay.
    """

    integration: str
    project: str
    is_on: bool = True
    read_only: bool = False
    couriers: dict[str, str] = field(default_factory=dict, hash=False)
    move_to: str = "Closed"
    connections: int = 8


class NewShipment(NamedTuple):
    """Tracking of one parcel, cleaned, for the order with this desk id; ``shipped_at`` is aware."""

    order_id: int
    courier: str
    code: str
    url: str | None = None
    shipped_at: datetime | None = None
    overwrite: bool = False


class Parcel(NamedTuple):
    """A waiting shipment, as the sync carries it; ``project`` is the one its order came from."""

    id: int
    order_id: int
    source_id: str
    order_number: str
    project: str
    courier: str
    code: str
    url: str | None
    overwrite: bool
    attempts: int
    first_attempt_at: datetime | None


class Sibling(NamedTuple):
    """A shipment of an order, as far as it counts for the order's one place in podOS."""

    id: int
    order_id: int
    code: str
    state: str
    overwrite: bool


class Tracking(NamedTuple):
    """Tracking as it goes to podOS."""

    courier: str
    code: str
    url: str | None


@dataclass
class SyncReport(DeliveryReport):
    """What one sync of tracking did, and what it told podOS of production, where it is told."""

    OUTCOMES: ClassVar[tuple[OutboxState, ...]] = (*DeliveryReport.OUTCOMES, OutboxState.SUPERSEDED)
    OWNER: ClassVar[str] = "integration"

    is_off: bool = False
    production: ProductionReport | None = None

    @property
    def is_idle(self) -> bool:
        """Whether there was nothing to do: neither tracking nor production."""
        return not self.pending and not (self.production and self.production.pending)

    def as_dict(self) -> dict[str, Any]:
        """Return the published form (``desk sync --json``)."""
        shown = super().as_dict()
        return {**shown, "production": self.production.as_dict()} if self.production else shown

    def one_line(self) -> str:
        """Return the report as the state message of a run."""
        off = f"Sync Tracking Numbers is off: {self.pending} waiting"
        told = self.production.one_line() if self.production else ""
        return (off if self.is_off else super().one_line()) + (f"; production: {told}" if told else "")
