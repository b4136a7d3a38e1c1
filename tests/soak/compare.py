"""Compare podOS and a desk order by order, by an own reading of both: nothing of the importer is used.

The desk is read by SQL; podOS by what the sandbox recorded.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, create_engine, text

_ALIVE_FOREVER = float("inf")
_PRINT_KEYS = {"design": "print_url", "placement": "print_location", "technology": "print_technology"}
_IN_PODOS = {"sent", "already_there"}


@dataclass
class AttemptOutcome:
    """What was found about one desk; each list holds ids of podOS.

    Attributes:
        orders: how many the desk holds.
        due: how many it had to hold.
        shipments: how many it was told of.
        missed: due, and not there.
        never_due: there, though they never matched the filter.
        doubled: there more than once.
        changed: there with other items or print keys than podOS had.
        tracking_lost: shipments that podOS does not show as they were told, without a reason that holds.
        tracking_twice: changes of podOS by more than one effective PATCH.
        explained: shipments that failed because podOS shows the order as refunded.
        repeats: PATCHes without effect: podOS had it, but its answer or our process was lost.
        rejected: they can't be read.
    """

    orders: int = 0
    due: int = 0
    shipments: int = 0
    rejected: int = 0
    repeats: int = 0
    explained: int = 0
    missed: list[str] = field(default_factory=list)
    never_due: list[str] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)
    changed: list[str] = field(default_factory=list)
    tracking_lost: list[str] = field(default_factory=list)
    tracking_twice: list[str] = field(default_factory=list)

    @property
    def losses(self) -> dict[str, list[str]]:
        """What must be empty."""
        names = ("missed", "never_due", "doubled", "changed", "tracking_lost", "tracking_twice")
        return {name: getattr(self, name) for name in names}


def compare(known: Mapping[str, Any], url: str, project: str, told: Mapping[str, str]) -> AttemptOutcome:
    """Compare a sandbox's record with a desk.

    Args:
        known: what the sandbox recorded of this project.
        url: of the desk.
        project: its podOS project.
        told: tracking code by podOS id, of the shipments that the desk took.
    """
    engine = create_engine(url)
    try:
        with engine.connect() as connection:
            return _compare(known, connection, project, told)
    finally:
        engine.dispose()


def _compare(
    known: Mapping[str, Any], connection: Connection, project: str, told: Mapping[str, str]
) -> AttemptOutcome:
    podos = {order["id"]: order for order in known["orders"] if isinstance(order.get("id"), str)}
    spans = spans_of_matching(known["changes"])
    here = Counter(_column(connection, "SELECT source_id FROM orders WHERE project = :project", project))
    checks = _checks(connection, project)
    due = {id_ for id_, order in podos.items() if is_readable(order) and was_due(spans.get(id_, []), checks)}
    verdict = AttemptOutcome(orders=here.total(), due=len(due), shipments=len(told))
    verdict.missed = sorted(due - set(here))
    verdict.never_due = sorted(id_ for id_ in here if not spans.get(id_))
    verdict.doubled = sorted(id_ for id_, count in here.items() if count > 1)
    verdict.changed = sorted(_changed(connection, podos, project))
    verdict.rejected = len(
        _column(connection, "SELECT key FROM rejected_orders WHERE project = :project", project)
    )
    _compare_tracking(verdict, known, podos, _shipments(connection, project), told)
    return verdict


def spans_of_matching(
    changes: Iterable[tuple[str, str, bool, float]],
) -> dict[str, list[tuple[float, float]]]:
    """Return from when until when each order was paid and not frozen, by the record of its changes."""
    spans: dict[str, list[tuple[float, float]]] = defaultdict(list)
    since: dict[str, float] = {}
    for id_, status, frozen, at in changes:
        matches = status == "paid" and not frozen
        if matches:
            since.setdefault(id_, at)
        elif id_ in since:
            spans[id_].append((since.pop(id_), at))
    for id_, at in since.items():
        spans[id_].append((at, _ALIVE_FOREVER))
    return spans


def was_due(spans: Iterable[tuple[float, float]], checks: Iterable[tuple[float, float]]) -> bool:
    """Return whether an order had to be imported: it matched during the whole of a complete check."""
    return any(begin <= began and ended <= end for begin, end in spans for began, ended in checks)


def is_readable(order: Mapping[str, Any]) -> bool:
    """Return whether an order has the shape that podOS documents."""
    items = order.get("items")
    return (
        isinstance(items, list)
        and isinstance(order.get("shippingAddress"), dict)
        and all(isinstance(item.get("quantity"), int) for item in items)
    )


def expected_items(order: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return what the desk must say of an order's items: quantity, and the prints that are not withdrawn."""
    return [{"quantity": item["quantity"], **_prints_of(item)} for item in order["items"]]


def _prints_of(item: Mapping[str, Any]) -> dict[str, str]:
    prints = [print_ for print_ in item.get("applications") or [] if not print_.get("deletedAt")]
    return {
        f"{key}_{number}": print_[field_].strip()
        for number, print_ in enumerate(prints, 1)
        for field_, key in _PRINT_KEYS.items()
        if (print_.get(field_) or "").strip()
    }


def _changed(connection: Connection, podos: Mapping[str, Mapping[str, Any]], project: str) -> Iterable[str]:
    rows = connection.execute(
        text(
            "SELECT o.source_id, i.quantity, i.metadata FROM orders o LEFT JOIN order_items i "
            "ON i.order_id = o.id WHERE o.project = :project ORDER BY o.id, i.position"
        ),
        {"project": project},
    )
    items: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for source_id, quantity, metadata in rows:
        found = items[source_id]
        if quantity is not None:
            keys = json.loads(metadata) if isinstance(metadata, str) else metadata or {}
            wanted = tuple(f"{name}_" for name in _PRINT_KEYS.values())
            found.append({"quantity": quantity} | {k: v for k, v in keys.items() if k.startswith(wanted)})
    for source_id, found in items.items():
        if source_id not in podos or found != expected_items(podos[source_id]):
            yield source_id


def _compare_tracking(
    verdict: AttemptOutcome,
    known: Mapping[str, Any],
    podos: Mapping[str, Mapping[str, Any]],
    shipments: Mapping[str, list[tuple[str, str]]],
    told: Mapping[str, str],
) -> None:
    for id_, code in told.items():
        order = podos[id_]
        states = [state for its_code, state in shipments.get(id_, []) if its_code == code]
        is_there = order["status"] == "complete" and (order.get("tracking") or {}).get("code") == code
        if is_there and len(states) == 1 and states[0] in _IN_PODOS:
            continue
        if order["status"] == "refunded" and states == ["failed"]:
            verdict.explained += 1
        else:
            verdict.tracking_lost.append(id_)
    effects: dict[str, list[str]] = defaultdict(list)
    for id_, body in known["patches"]:
        said = json.dumps(body, sort_keys=True)
        if effects[id_][-1:] == [said]:
            verdict.repeats += 1
        else:
            effects[id_].append(said)
    verdict.tracking_twice = sorted(id_ for id_, said in effects.items() if len(said) > 1)


def _checks(connection: Connection, project: str) -> list[tuple[float, float]]:
    rows = connection.execute(
        text(
            "SELECT started_at, finished_at FROM import_runs "
            "WHERE project = :project AND kind = 'check' AND state = 'completed'"
        ),
        {"project": project},
    )
    return [(_seconds(began), _seconds(ended)) for began, ended in rows]


def _shipments(connection: Connection, project: str) -> dict[str, list[tuple[str, str]]]:
    rows = connection.execute(
        text(
            "SELECT o.source_id, s.code, s.state FROM shipments s "
            "JOIN orders o ON o.id = s.order_id WHERE o.project = :project"
        ),
        {"project": project},
    )
    found: dict[str, list[tuple[str, str]]] = defaultdict(list)
    for source_id, code, state in rows:
        found[source_id].append((code, state))
    return found


def _seconds(moment: str | datetime) -> float:
    at = datetime.fromisoformat(moment) if isinstance(moment, str) else moment
    return (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp()


def _column(connection: Connection, query: str, project: str) -> list[Any]:
    return list(connection.execute(text(query), {"project": project}).scalars())
