"""What a reconciliation finds: each difference between podOS and the desk, by its reason."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, NamedTuple

MAX_FINDINGS_SHOWN = 20
"""How many orders of each reason a report lists; an output file lists all."""


class Difference(StrEnum):
    """Why podOS and the desk differ in one order. An order can differ for several reasons."""

    MISSED = "missed"
    NOT_CHECKED_YET = "not_checked_yet"
    STATUS = "status"
    COUNTRY = "country"
    BEFORE_FIRST_IMPORT_DATE = "before_first_import_date"
    FROZEN = "frozen"
    REJECTED = "rejected"
    REFUNDED_THERE = "refunded_there"
    FROZEN_THERE = "frozen_there"
    ADDRESS_DIFFERS = "address_differs"
    ARTWORK_DIFFERS = "artwork_differs"
    UNREADABLE_THERE = "unreadable_there"
    COMPLETE_THERE_ONLY = "complete_there_only"
    TRACKING_LOST = "tracking_lost"
    TRACKING_FAILED = "tracking_failed"
    TRACKING_WAITING = "tracking_waiting"
    OTHER_TRACKING_THERE = "other_tracking_there"
    NOT_FOUND_THERE = "not_found_there"


WORDS: Mapping[Difference, str] = {
    Difference.MISSED: "should be here and is not: missed",
    Difference.NOT_CHECKED_YET: "not here yet: no check has read it under the filters as they are now",
    Difference.STATUS: "not here: status is not in the Order Status Filter",
    Difference.COUNTRY: "not here: country is outside the Country Filter",
    Difference.BEFORE_FIRST_IMPORT_DATE: "not here: created before the First Import Date",
    Difference.FROZEN: "not here: frozen in podOS",
    Difference.REJECTED: "not here: could not be read, rejected",
    Difference.REFUNDED_THERE: "here, but refunded in podOS",
    Difference.FROZEN_THERE: "here, but frozen in podOS",
    Difference.ADDRESS_DIFFERS: "here with another address than in podOS",
    Difference.ARTWORK_DIFFERS: "here with other items or artwork than in podOS",
    Difference.UNREADABLE_THERE: "here, but what podOS sends of it now can't be read",
    Difference.COMPLETE_THERE_ONLY: "complete in podOS, not shipped here",
    Difference.TRACKING_LOST: "tracking was sent from here, podOS does not show it as complete",
    Difference.TRACKING_FAILED: "shipped here, its tracking failed to reach podOS",
    Difference.TRACKING_WAITING: "shipped here, its tracking waits for the sync",
    Difference.OTHER_TRACKING_THERE: "podOS shows another tracking than was shipped here",
    Difference.NOT_FOUND_THERE: "here, but podOS does not know it",
}
ALARMING = (Difference.MISSED, Difference.TRACKING_LOST, Difference.TRACKING_FAILED)
"""What should never be, and what ``--fix`` mends."""


def title_of(difference: Difference) -> str:
    """Return the words of a difference as a heading: only the first letter changes, podOS stays podOS."""
    return WORDS[difference][0].upper() + WORDS[difference][1:]


class DeskShipment(NamedTuple):
    """A shipment of an order, as far as podOS can be compared with it."""

    id: int
    code: str
    state: str


class DeskOrder(NamedTuple):
    """An order as the desk has it; ``prints`` are the print keys of its items, in their sequence.

    ``address`` is None where there is nothing to compare: the personal data was erased. The digests stand for
    what podOS said last (None: nobody kept it), ``flagged`` names what a check saw changing,
    ``imported_status`` is the first status where it has changed.
    """

    id: int
    source_id: str
    order_number: str
    podos_status: str
    podos_updated_at: datetime | None
    folder: str
    is_held: bool
    address: Mapping[str, str | None] | None
    prints: Sequence[Mapping[str, str]]
    shipments: Sequence[DeskShipment]
    imported_status: str | None = None
    address_digest: str | None = None
    artwork_digest: str | None = None
    flagged: frozenset[str] = frozenset()


class Finding(NamedTuple):
    """One difference in one order; ``detail`` names fields and shipments, never a person's data.

    ``order_id`` and ``order_number`` are None where the desk does not have the order.
    """

    difference: Difference
    source_id: str
    order_id: int | None = None
    order_number: str | None = None
    detail: str | None = None

    def as_dict(self) -> dict[str, Any]:
        """Return it ready for JSON."""
        return {**self._asdict(), "difference": self.difference.value, "reason": WORDS[self.difference]}


@dataclass
class ReconcileReport:
    """What one reconciliation found and mended; ``since`` (aware UTC) is where it began, None: all.

    ``read`` counts the orders that podOS gave, ``here`` those of them that the desk has, ``differ`` the
    orders of the desk that differ. ``fixed`` counts what was mended of each difference, ``held`` the
    orders that are held from now on because podOS no longer lists them.
    """

    integration: str
    fix: bool = False
    run_id: int | None = None
    since: datetime | None = None
    read: int = 0
    here: int = 0
    counts: dict[Difference, int] = field(default_factory=lambda: dict.fromkeys(Difference, 0))
    fixed: dict[Difference, int] = field(default_factory=lambda: dict.fromkeys(ALARMING, 0))
    brought: int = 0
    resent: int = 0
    held: int = 0
    not_resent: str | None = None
    examples: dict[Difference, list[Finding]] = field(default_factory=dict)
    seconds: float = 0.0

    @property
    def alarming(self) -> int:
        """The number of differences that should never be and are still there."""
        return sum(self.counts[difference] - self.fixed[difference] for difference in ALARMING)

    def add(self, findings: Sequence[Finding]) -> None:
        """Count findings, and keep the first of each reason as examples."""
        for finding in findings:
            self.counts[finding.difference] += 1
            shown = self.examples.setdefault(finding.difference, [])
            if len(shown) < MAX_FINDINGS_SHOWN:
                shown.append(finding)

    def as_dict(self) -> dict[str, Any]:
        """Return the published form (``desk reconcile --json``); times are ISO 8601."""
        return {
            "run_id": self.run_id,
            "integration": self.integration,
            "fix": self.fix,
            "since": self.since.isoformat() if self.since else None,
            "read": self.read,
            "here": self.here,
            "differences": {difference.value: self.counts[difference] for difference in Difference},
            "fixed": {difference.value: count for difference, count in self.fixed.items()},
            "imported": self.brought,
            "tracking_resent": self.resent,
            "vanished_held": self.held,
            "alarming": self.alarming,
            "examples": {
                difference.value: [each.source_id for each in some]
                for difference, some in self.examples.items()
            },
            "seconds": round(self.seconds, 3),
        }

    def one_line(self) -> str:
        """Return the report as the state message of a run."""
        found = [
            f"{difference.value.replace('_', ' ')} {count}"
            for difference, count in self.counts.items()
            if count
        ]
        parts = [f"read {self.read}, {self.here} of them here"]
        parts += [f"differences: {', '.join(found)}" if found else "no differences"]
        if self.fix:
            held = f", held {self.held} that podOS no longer lists" if self.held else ""
            parts.append(f"imported {self.brought}, sent tracking again {self.resent}{held}")
        if self.not_resent:
            parts.append(self.not_resent)
        if self.alarming:
            parts.append(f"{self.alarming} need attention" + ("" if self.fix else ": desk reconcile --fix"))
        return "; ".join(parts)
