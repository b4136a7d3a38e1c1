"""What a run says of itself."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, NamedTuple

from models.upstream import Noted


class Outcome(StrEnum):
    """What became of one order that a run fetched. Every order has exactly one."""

    IMPORTED = "imported"
    ALREADY_IMPORTED = "already_imported"
    STATUS = "status"
    COUNTRY = "country"
    BEFORE_FIRST_IMPORT_DATE = "before_first_import_date"
    FROZEN = "frozen"
    REJECTED = "rejected"


MAX_EXAMPLES = 20
"""Of each reason, so many orders are named in a report."""
SKIPPED = (Outcome.STATUS, Outcome.COUNTRY, Outcome.BEFORE_FIRST_IMPORT_DATE, Outcome.FROZEN)


@dataclass(frozen=True)
class Attention:
    """An order that a person must look at, with the reason. Holds no personal data."""

    source_id: str
    order_number: str
    reason: str


@dataclass(frozen=True)
class RuleCounts:
    """What rules did in a run: how often they fired, and how many orders they queued for fulfillers."""

    fired: int = 0
    queued: int = 0


@dataclass
class ImportReport:
    """Counts of one check or manual import, over distinct orders.

    ``fetched = imported + already_imported + all skipped + rejected`` at every moment; ``needs_attention``
    is a part of ``imported``. ``since`` and ``until`` bound the scan (aware UTC, half-open), None is open.
    ``rules`` is None where no rule is on. ``changed`` counts what podOS changed of orders that are here.
    """

    integration: str
    kind: str
    dry_run: bool
    run_id: int | None = None
    counts: dict[Outcome, int] = field(default_factory=lambda: dict.fromkeys(Outcome, 0))
    needs_attention: int = 0
    since: datetime | None = None
    until: datetime | None = None
    seconds: float = 0.0
    rules: RuleCounts | None = None
    changed: dict[Noted, int] = field(default_factory=lambda: dict.fromkeys(Noted, 0))
    attention: list[Attention] = field(default_factory=list)
    examples: dict[Outcome, list[str]] = field(default_factory=dict)

    @property
    def fetched(self) -> int:
        """The number of distinct orders that podOS gave."""
        return sum(self.counts.values())

    def as_dict(self) -> dict[str, Any]:
        """Return the published form (``desk check --json``); times are ISO 8601."""
        shown: dict[str, Any] = {
            "run_id": self.run_id,
            "integration": self.integration,
            "kind": self.kind,
            "dry_run": self.dry_run,
            "fetched": self.fetched,
            "imported": self.counts[Outcome.IMPORTED],
            "already_imported": self.counts[Outcome.ALREADY_IMPORTED],
            "skipped": {reason.value: self.counts[reason] for reason in SKIPPED},
            "needs_attention": self.needs_attention,
            "rejected": self.counts[Outcome.REJECTED],
            "changed_upstream": {kind.value: self.changed[kind] for kind in Noted},
            "window": {"since": _iso(self.since), "until": _iso(self.until)},
            "seconds": round(self.seconds, 3),
        }
        return shown if self.rules is None else {**shown, "rules": asdict(self.rules)}

    def one_line(self) -> str:
        """Return the report as the state message of a run."""
        done = "would import" if self.dry_run else "imported"
        skipped = {reason.value: self.counts[reason] for reason in SKIPPED if self.counts[reason]}
        parts = [f"{done} {self.counts[Outcome.IMPORTED]}"]
        if self.needs_attention:
            parts.append(f"{self.needs_attention} of them need attention")
        parts.append(f"{self.counts[Outcome.ALREADY_IMPORTED]} already imported")
        if skipped:
            reasons = ", ".join(f"{name.replace('_', ' ')} {count}" for name, count in skipped.items())
            parts.append(f"{sum(skipped.values())} skipped ({reasons})")
        if self.counts[Outcome.REJECTED]:
            parts.append(f"{self.counts[Outcome.REJECTED]} rejected")
        if any(self.changed.values()):
            parts.append(f"changed upstream: {self.changes()}")
        if self.rules:
            parts.append(f"rules fired {self.rules.fired} times and queued {self.rules.queued} orders")
        return f"fetched {self.fetched}: " + ", ".join(parts)

    def changes(self) -> str:
        """Return what podOS changed of orders that are here, in words."""
        return ", ".join(
            f"{kind.value.replace('_', ' ')} {count}" for kind, count in self.changed.items() if count
        )


def _iso(instant: datetime | None) -> str | None:
    return instant.isoformat() if instant else None


class PastCheck(NamedTuple):
    """A check of the past: when it began, from where it read (None: all), and whether it was completed."""

    began: datetime
    since: datetime | None
    is_complete: bool
