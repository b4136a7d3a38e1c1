"""What podOS is told of an order's production: that it began, and that it is printed."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar, NamedTuple

from models.deliveries import DeliveryReport
from models.tables.outbox import OutboxState


class TellProduction(StrEnum):
    """When podOS is told that the production of an order begins."""

    OFF = "off"
    HANDOVER = "handover"
    ACCEPTED = "accepted"


class ProductionStatus(StrEnum):
    """A status that the desk writes to podOS before an order ships, in the sequence of production."""

    PROCESSING = "processing"
    PRINTED = "printed"


@dataclass(frozen=True)
class ProductionSettings:
    """One integration's settings, as far as production states need them; no secret."""

    integration: str
    project: str
    is_on: bool = False
    read_only: bool = False


class DueStatus(NamedTuple):
    """A status that waits to be told; ``project`` is the one that its order came from."""

    id: int
    order_id: int
    source_id: str
    order_number: str
    project: str
    status: str


@dataclass
class ProductionReport(DeliveryReport):
    """What one run told podOS of production.

    Attributes:
        refused: why it was switched off, where podOS refused the first.
    """

    OUTCOMES: ClassVar[tuple[OutboxState, ...]] = (*DeliveryReport.OUTCOMES, OutboxState.SUPERSEDED)
    OWNER: ClassVar[str] = "integration"

    refused: str | None = None

    def one_line(self) -> str:
        """Return the report as a part of the state message of a run."""
        return self.refused or super().one_line()
