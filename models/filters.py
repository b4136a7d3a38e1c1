"""What the work needs of an integration's settings: no secret, no Prefect, safe to pass and to store."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from datetime import date, datetime, time
from enum import StrEnum
from typing import Any
from zoneinfo import ZoneInfo


class CountryMode(StrEnum):
    """How the Country Filter's list is read."""

    STANDARD = "Standard"
    INVERTED = "Inverted"


@dataclass(frozen=True)
class ImportSettings:
    """One integration's settings, as design words them; ``statuses`` and ``countries`` are case-blind.

    ``canceled_folder`` is If Canceled, Move To; ``shipped_folder`` After Shipment, Move To; empty: they stay.
    """

    integration: str
    project: str
    base_url: str
    folder: str
    statuses: tuple[str, ...]
    order_prefix: str
    country_mode: CountryMode
    countries: tuple[str, ...]
    first_import_date: date | None
    time_zone: str
    sync_tracking: bool
    canceled_folder: str = "Canceled"
    shipped_folder: str = "Closed"

    @property
    def first_import_at(self) -> datetime | None:
        """The instant from which orders count: 00:00 of First Import Date in the integration's time zone."""
        if self.first_import_date is None:
            return None
        return datetime.combine(self.first_import_date, time.min, tzinfo=ZoneInfo(self.time_zone))

    def filter_fingerprint(self) -> str:
        """Return the filters that the watermark is valid for; other filters make the next check a full scan.

        Holds every setting that decides whether an order is imported, and where it comes from.
        """
        first = self.first_import_at
        decisive = {
            "project": self.project,
            "base_url": self.base_url,
            "statuses": sorted({status.casefold() for status in self.statuses}),
            "country_mode": self.country_mode.value if self.countries else None,
            "countries": sorted({country.casefold() for country in self.countries}),
            **({"country_rule": COUNTRY_RULE} if self.countries else {}),
            "first_import_at": first.isoformat() if first else None,
            "frozen_rule": FROZEN_RULE,
        }
        return json.dumps(decisive, sort_keys=True)

    def snapshot(self) -> dict[str, Any]:
        """Return the settings as JSON-safe values, for the run history."""
        return json.loads(json.dumps(asdict(self), default=str))  # type: ignore[no-any-return]


COUNTRY_RULE = "names and codes are the same, a word that is none is let in"
FROZEN_RULE = "frozen fulfillments are held"
