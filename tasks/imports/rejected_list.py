"""List rejected orders. The payload is never shown: it holds personal data."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Engine, select

from tasks.desk.engine import reading
from tasks.desk.export import iso
from tasks.desk.tables import REJECTED


@dataclass(frozen=True)
class RejectedSummary:
    """An order that could not be read, and why; times are aware UTC."""

    id: int
    integration: str
    project: str
    source_id: str | None
    reason: str
    first_seen_at: datetime
    last_seen_at: datetime
    attempts: int
    run_id: int

    def as_dict(self) -> dict[str, Any]:
        """Return it ready for JSON."""
        return vars(self) | {
            "first_seen_at": iso(self.first_seen_at),
            "last_seen_at": iso(self.last_seen_at),
        }


def list_rejected(engine: Engine, *, integration: str | None = None) -> list[RejectedSummary]:
    """Return the rejected orders, newest first.

    Args:
        engine: the desk.
        integration: only those of this integration; None is all.
    """
    columns = [REJECTED.c[name] for name in RejectedSummary.__dataclass_fields__]
    query = select(*columns).order_by(REJECTED.c.last_seen_at.desc(), REJECTED.c.id.desc())
    if integration is not None:
        query = query.where(REJECTED.c.integration == integration)
    with reading(engine) as connection:
        return [RejectedSummary(*row) for row in connection.execute(query)]
