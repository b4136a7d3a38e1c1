"""Find the orders that people, files and other programs name.

A person may type a desk id, and ``desk:4`` says that 4 is one. A file or another program names an order by
its number, by one of podOS's references or by its podOS id: there 4 is a number, never a desk id.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Connection, Select, TextClause, func, select, text, union

from models.tables.orders import BY_FULFILLER_REFERENCE, BY_MERCHANT_REFERENCE
from tasks.desk.errors import DeskRefusedError
from tasks.desk.sql import chunks, texts_in
from tasks.desk.tables import ORDERS, RUNS
from tasks.visible_text import visible

_CHUNK = 2000
_MAX_NAMED = 5
_MAX_HINTS = 20
_MAX_ID_DIGITS = 18
_MAX_LOST_ZEROS = 8
_SHORT_ID = 8
_DESK_ID = re.compile(rf"(?:desk:)?([1-9][0-9]{{0,{_MAX_ID_DIGITS - 1}}})", re.IGNORECASE)
_COLUMNS = ("id", "order_number", "source_id", "ship_country", "fulfiller_reference", "merchant_reference")


class Match(NamedTuple):
    """An order with all that it can be called; ``country`` is the buyer's."""

    id: int
    order_number: str
    source_id: str
    country: str | None
    fulfiller_reference: str | None
    merchant_reference: str | None

    @property
    def names(self) -> set[str]:
        """What a file may call the order: number, references, both with and without the prefix, podOS id."""
        references = {name for name in (self.fulfiller_reference, self.merchant_reference) if name}
        counted = self.fulfiller_reference or self.merchant_reference or self.source_id[:_SHORT_ID]
        prefix = self.order_number.removesuffix(counted) if self.order_number.endswith(counted) else ""
        without_prefix = self.order_number.removeprefix(prefix)
        with_prefix = {prefix + reference for reference in references}
        return {self.order_number, self.source_id, without_prefix, *references, *with_prefix}

    @property
    def desk_ids(self) -> set[str]:
        """What a person may type beside these."""
        return {str(self.id), desk_reference(self.id)}

    def shown(self) -> str:
        """Return the order as messages name it: without anything personal but the country."""
        known = f"id {self.id} (order number {self.order_number}, source id {self.source_id})"
        return f"{known} to {self.country or 'an unknown country'}"


def desk_reference(order_id: int) -> str:
    """Return how a desk id is written where a number alone could be an order number as well."""
    return f"desk:{order_id}"


def desk_id_of(reference: str) -> int | None:
    """Return the desk id that a text may be, with or without ``desk:`` before it; 0042 is none."""
    found = _DESK_ID.fullmatch(reference)
    return int(found[1]) if found else None


def resolve(connection: Connection, references: Sequence[str]) -> list[int]:
    """Return the desk ids of the orders that a person names, in the sequence given, each once.

    Args:
        connection: reading or writing.
        references: each a desk id, order number, reference or podOS id.

    Raises:
        DeskRefusedError: one is unknown or means several orders; the text names the orders it could mean.
    """
    found = find_each(connection, references)
    problems = [problem for problem in found.values() if isinstance(problem, str)]
    if problems:
        more = f"; and {len(problems) - _MAX_NAMED} more" if len(problems) > _MAX_NAMED else ""
        raise DeskRefusedError("; ".join(problems[:_MAX_NAMED]) + more)
    return list(dict.fromkeys(match.id for match in found.values() if isinstance(match, Match)))


def find_each(connection: Connection, references: Sequence[str]) -> dict[str, Match | str]:
    """Return for each reference that a person typed its order, or the sentence why it names none or several.

    Args:
        connection: reading or writing.
        references: each a desk id, order number, reference or podOS id.

    Returns:
        By the reference as it was given.
    """
    found = candidates(connection, references)
    hints = _Hints(connection)
    return {
        reference: _the_only(reference, matches, hints, "write {ids} to say which")
        for reference, matches in found.items()
    }


def candidates(connection: Connection, references: Sequence[str]) -> dict[str, list[Match]]:
    """Return for each reference that a person typed all orders that it could mean, by desk id.

    Upper and lower case are the same where no order is called exactly so.

    Args:
        connection: reading or writing.
        references: as for ``find_each``.
    """
    wanted = {reference: _typed(reference) for reference in references}
    by_name = _by_name(connection, wanted.values(), with_desk_ids=True)
    by_name |= _in_any_case(connection, [name for name in wanted.values() if name and name not in by_name])
    return {reference: _meant(name, by_name.get(name, ())) for reference, name in wanted.items()}


def find_by_number(connection: Connection, numbers: Sequence[str]) -> dict[str, Match | str]:
    """Return for each number that a file holds its order, or the sentence why it names none or several.

    It is never a desk id. Digits are refused also where another order has the same with zeros before them:
    spreadsheets take those away.

    Args:
        connection: reading or writing.
        numbers: each an order number, a reference (both with or without the prefix) or a podOS id.

    Returns:
        By the number as it was given.
    """
    wanted = {number: visible(number) for number in numbers}
    padded = {name: _with_lost_zeros(name) for name in wanted.values()}
    by_name = _by_name(connection, [*padded, *(name for names in padded.values() for name in names)])
    hints = _Hints(connection)
    judged: dict[str, Match | str] = {}
    for number, name in wanted.items():
        exact = by_name.get(name, set())
        alike = {match for other in padded[name] for match in by_name.get(other, ())}
        matches = sorted(exact | alike) if exact else []
        found = _the_only(number, matches, hints, "write a source id, or the id into a column desk_id", alike)
        is_no_desk_id = not matches and desk_id_of(name) is not None
        judged[number] = f"{found}; a desk id goes into a column desk_id" if is_no_desk_id else found
    return judged


def find_by_desk_id(connection: Connection, ids: Collection[int]) -> dict[int, Match]:
    """Return the orders that the desk has of these ids."""
    found: dict[int, Match] = {}
    wanted = sorted(ids)
    for part in chunks(wanted, _CHUNK):
        query = _select(ORDERS.c.id.in_(part))
        found |= {row[0]: Match(*row) for row in connection.execute(query)}
    return found


def _typed(reference: str) -> str:
    """Return a reference as it is looked for; scanners write DESK:4 too."""
    shown = visible(reference)
    return shown.lower() if _DESK_ID.fullmatch(shown) else shown


def _meant(name: str, matches: Iterable[Match]) -> list[Match]:
    """Return the orders that a name can mean: ``desk:4`` is a desk id whatever orders are called."""
    is_desk_id = desk_id_of(name) is not None and not name.isdecimal()
    return sorted(match for match in matches if name in match.desk_ids or not is_desk_id)


def _with_lost_zeros(number: str) -> list[str]:
    is_number = number.isascii() and number.isdecimal() and len(number) <= _MAX_ID_DIGITS
    return ["0" * zeros + number for zeros in range(1, _MAX_LOST_ZEROS + 1)] if is_number else []


def _by_name(
    connection: Connection, names: Iterable[str], *, with_desk_ids: bool = False
) -> dict[str, set[Match]]:
    """Return the orders that have each name."""
    found: dict[str, set[Match]] = defaultdict(set)
    wanted = [name for name in dict.fromkeys(names) if name and name.isprintable()]
    if not wanted:
        return found
    projects, prefixes = _projects_and_prefixes(connection)
    for part in chunks(wanted, _CHUNK):
        chunk = part
        ids = [desk_id for name in chunk if (desk_id := desk_id_of(name))] if with_desk_ids else []
        for match in _matches(connection, chunk, ids, projects, prefixes):
            typed = match.desk_ids if with_desk_ids else set()
            for name in match.names | typed:
                found[name].add(match)
    return found


def _in_any_case(connection: Connection, names: Sequence[str]) -> dict[str, set[Match]]:
    """Return the orders that have these names in another case. It reads the whole table: for people only."""
    found: dict[str, set[Match]] = defaultdict(set)
    by_key: dict[str, list[str]] = defaultdict(list)
    for name in names[:_MAX_HINTS]:
        if name.isprintable() and name.lower() != name.upper():
            by_key[name.lower()].append(name)
    if not by_key:
        return found
    numbers, references = _keys_with_prefixes(connection, by_key)
    query = _select(
        func.lower(ORDERS.c.order_number).in_(numbers)
        | func.lower(ORDERS.c.source_id).in_(list(by_key))
        | func.lower(ORDERS.c.fulfiller_reference).in_(references)
        | func.lower(ORDERS.c.merchant_reference).in_(references)
    )
    # Without a limit: an order that is cut off would make the name of another look unique.
    for match in (Match(*row) for row in connection.execute(query)):
        for key in {name.lower() for name in match.names} & by_key.keys():
            for name in by_key[key]:
                found[name].add(match)
    return found


def _keys_with_prefixes(connection: Connection, keys: Collection[str]) -> tuple[list[str], list[str]]:
    """Return lower-case names with the prefixes of imports before them, and without."""
    prefixes = [prefix.lower() for prefix in _projects_and_prefixes(connection)[1]]
    longer = [prefix + key for prefix in prefixes for key in keys]
    shorter = [key.removeprefix(prefix) for prefix in prefixes for key in keys]
    return [*keys, *longer], [*keys, *shorter]


def _projects_and_prefixes(connection: Connection) -> tuple[list[str], list[str]]:
    """Return all that the runs know, who are few beside the orders.

    Settings are read here: the database would fail at one row whose settings are no JSON.
    """
    rows = connection.execute(select(RUNS.c.project, RUNS.c.settings).distinct()).all()
    prefixes = (settings.get("order_prefix") for _, settings in rows)
    return sorted({row[0] for row in rows}), sorted(
        {name for name in prefixes if name and isinstance(name, str)}
    )


def _matches(
    connection: Connection,
    names: Sequence[str],
    ids: Sequence[int],
    projects: Sequence[str],
    prefixes: Sequence[str],
) -> Iterable[Match]:
    """Return the orders that may have one of these names, each part of the query by an index."""
    short = [prefix + name for prefix in prefixes for name in names if len(name) <= _SHORT_ID]
    bare = [name.removeprefix(prefix) for prefix in prefixes for name in names if name.startswith(prefix)]
    named, numbers, references = (texts_in(connection, name) for name in ("names", "numbers", "refs"))
    query = union(
        _select(ORDERS.c.id.in_(ids)),
        # The index on source ids begins with the project.
        _select(ORDERS.c.project.in_(projects), ORDERS.c.source_id.in_(named)),
        _select(ORDERS.c.order_number.in_(numbers)),
        _select(text(BY_FULFILLER_REFERENCE), ORDERS.c.fulfiller_reference.in_(references)),
        _select(text(BY_MERCHANT_REFERENCE), ORDERS.c.merchant_reference.in_(references)),
    )
    texts = {"names": names, "numbers": [*names, *short], "refs": [*names, *bare]}
    values = {name: json.dumps(list(wanted)) for name, wanted in texts.items()}
    return (Match(*row) for row in connection.execute(query, values))


def _select(*conditions: ColumnElement[bool] | TextClause) -> Select[Any]:
    return select(*(ORDERS.c[name] for name in _COLUMNS)).where(*conditions)


class _Hints:
    """Looks for orders whose names begin like an unknown one: a few times only, it reads the whole table."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._left = _MAX_HINTS

    def find(self, reference: str) -> list[Match]:
        """Return a few such orders."""
        if not self._left or not reference or not reference.isprintable():
            return []
        self._left -= 1
        begins = ORDERS.c.order_number.startswith(reference, autoescape=True) | ORDERS.c.source_id.startswith(
            reference, autoescape=True
        )
        query = _select(begins).order_by(ORDERS.c.id).limit(_MAX_NAMED)
        return [Match(*row) for row in self._connection.execute(query)]


def _the_only(
    reference: str, matches: Sequence[Match], hints: _Hints, remedy: str, alike: Collection[Match] = ()
) -> Match | str:
    """Return the order of a reference, or the sentence why there is not exactly one."""
    if len(matches) == 1:
        return matches[0]
    shown = visible(reference)
    if not matches:
        similar = sorted(alike) or hints.find(shown)
        hint = f", but {_named(similar)}" if similar else ""
        return f"the desk has no order {shown!r}{hint}"
    lost = " if zeros before it were lost" if any(match in alike for match in matches) else ""
    ids = " or ".join(desk_reference(match.id) for match in matches[:_MAX_NAMED])
    return f"{shown!r} means {len(matches)} orders{lost}, {_named(matches)}: {remedy.format(ids=ids)}"


def _named(matches: Sequence[Match]) -> str:
    more = f" and {len(matches) - _MAX_NAMED} more" if len(matches) > _MAX_NAMED else ""
    return ", ".join(match.shown() for match in matches[:_MAX_NAMED]) + more
