"""Find orders by what a person types: the desk id, the source id or the order number."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from sqlalchemy import ColumnElement, Connection, Select, Table, select, union

from models.desk import ImportRun, Order
from tasks.desk.errors import DeskRefusedError

ORDERS: Table = Order.__table__  # type: ignore[attr-defined]
RUNS: Table = ImportRun.__table__  # type: ignore[attr-defined]
_CHUNK = 500
_MAX_NAMED = 5
_MAX_HINTS = 20
_MAX_ID_DIGITS = 18


class Match(NamedTuple):
    """An order under all its names."""

    id: int
    source_id: str
    order_number: str


def resolve(connection: Connection, references: Sequence[str]) -> list[int]:
    """Return the desk ids of orders, in the sequence given, each once.

    Args:
        connection: reading or writing.
        references: each a desk id, a source id or an order number.

    Raises:
        DeskRefusedError: one is unknown or means several orders; the text names the orders it could mean.
    """
    wanted = list(dict.fromkeys(reference.strip() for reference in references))
    matches = _lookup(connection, wanted)
    problems = [
        _problem(connection, reference, matches[reference])
        for reference in wanted
        if len(matches[reference]) != 1
    ]
    if problems:
        more = f"; and {len(problems) - _MAX_NAMED} more" if len(problems) > _MAX_NAMED else ""
        raise DeskRefusedError("; ".join(problems[:_MAX_NAMED]) + more)
    return list(dict.fromkeys(match.id for reference in wanted for match in matches[reference]))


def find_each(connection: Connection, references: Sequence[str]) -> dict[str, int | str]:
    """Return for each reference the desk id of its order, or the sentence why it names none or several.

    Args:
        connection: reading or writing.
        references: each a desk id, a source id or an order number, trimmed.
    """
    matches = _lookup(connection, references)
    found: dict[str, int | str] = {}
    hints = _MAX_HINTS
    for reference in dict.fromkeys(references):
        if len(matches[reference]) == 1:
            found[reference] = next(iter(matches[reference])).id
            continue
        # Looking for similar ones reads the whole table: not for each row of a wrong file.
        found[reference] = _problem(connection, reference, matches[reference], similar=hints > 0)
        hints -= 1
    return found


def _lookup(connection: Connection, wanted: Sequence[str]) -> dict[str, set[Match]]:
    matches: dict[str, set[Match]] = defaultdict(set)
    lookups = [reference for reference in wanted if reference and reference.isprintable()]
    for start in range(0, len(lookups), _CHUNK):
        chunk = lookups[start : start + _CHUNK]
        for match in _matches(connection, chunk):
            for name in {str(match.id), match.source_id, match.order_number}:
                matches[name].add(match)
    return matches


def _matches(connection: Connection, references: Sequence[str]) -> Iterable[Match]:
    ids = [int(reference) for reference in references if _is_id(reference)]
    # The index on source ids begins with the project; the runs know all projects and are few.
    projects = select(RUNS.c.project).distinct()
    query = union(
        _select(ORDERS.c.id.in_(ids)),
        _select(ORDERS.c.project.in_(projects), ORDERS.c.source_id.in_(references)),
        _select(ORDERS.c.order_number.in_(references)),
    )
    return (Match(*row) for row in connection.execute(query))


def _is_id(reference: str) -> bool:
    is_number = reference.isascii() and reference.isdecimal() and len(reference) <= _MAX_ID_DIGITS
    return is_number and not reference.startswith("0")  # 0042 is an order number, not order 42


def _select(*conditions: ColumnElement[bool]) -> Select[tuple[int, str, str]]:
    return select(ORDERS.c.id, ORDERS.c.source_id, ORDERS.c.order_number).where(*conditions)


def _problem(connection: Connection, reference: str, matches: set[Match], *, similar: bool = True) -> str:
    if matches:
        return (
            f"{reference!r} means {len(matches)} orders, {_named(matches)}: give an id or source id instead"
        )
    alike: set[Match] = set()
    if similar and reference and reference.isprintable():
        begins = ORDERS.c.order_number.startswith(reference, autoescape=True) | ORDERS.c.source_id.startswith(
            reference, autoescape=True
        )
        query = _select(begins).order_by(ORDERS.c.id).limit(_MAX_NAMED)
        alike = {Match(*row) for row in connection.execute(query)}
    hint = f", but {_named(alike)}" if alike else ""
    return f"the desk has no order {reference!r}{hint}"


def _named(matches: Iterable[Match]) -> str:
    ordered = sorted(matches)
    names = [
        f"id {match.id} (order number {match.order_number}, source id {match.source_id})"
        for match in ordered[:_MAX_NAMED]
    ]
    more = f" and {len(ordered) - _MAX_NAMED} more" if len(ordered) > _MAX_NAMED else ""
    return ", ".join(names) + more
