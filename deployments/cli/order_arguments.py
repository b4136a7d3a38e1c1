"""The orders that a command is told. Where a number could be several orders, the person is asked which."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import typer

from deployments.cli.output import say

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from tasks.desk.references import Match

ORDER_HELP = (
    "An order by its number, a reference of it, its podOS id, or its desk id (4, or for certain desk:4)."
)
MAX_CHOICES = 9


class Named(NamedTuple):
    """An order that a person named: the reference to look it up by, and its name for the answer.

    ``desk_id`` is what the person typed, if that was a desk id.
    """

    reference: str
    shown: str
    desk_id: str | None = None


def the_order(engine: Engine, reference: str, *, as_json: bool = False) -> Named:
    """Return the order that a person named; see ``the_orders``."""
    (order,) = the_orders(engine, [reference], as_json=as_json)
    return order


def the_orders(engine: Engine, references: Sequence[str], *, as_json: bool = False) -> list[Named]:
    """Return the orders that a person named; where a reference means several, ask which.

    A reference that is unknown, or ambiguous where nobody can be asked (no terminal, or ``--json``), is
    returned as it is: looking it up is refused, with the candidates.

    Args:
        engine: the desk.
        references: each a desk id, order number, reference or podOS id.
        as_json: the command was called with ``--json``.
    """
    from tasks.desk.engine import reading
    from tasks.desk.references import candidates

    with reading(engine) as connection:
        found = candidates(connection, references)
    can_ask = sys.stdin.isatty() and sys.stderr.isatty() and not as_json
    orders = {reference: _named(reference, matches, can_ask=can_ask) for reference, matches in found.items()}
    return [orders[reference] for reference in references]


def tell_desk_ids(orders: Sequence[Named]) -> None:
    """Say on stderr which orders the desk ids are that a person typed."""
    for order in orders:
        if order.desk_id:
            say(f"{order.desk_id} is {order.shown}")


def _named(reference: str, matches: Sequence[Match], *, can_ask: bool) -> Named:
    from tasks.desk.references import desk_reference
    from tasks.visible_text import visible

    typed = reference.strip()
    if 1 < len(matches) <= MAX_CHOICES and can_ask:
        match = _ask(typed, matches)
    elif len(matches) == 1:
        match = matches[0]
    else:
        return Named(reference, f"order {typed}")
    is_desk_id = visible(typed).lower() in match.desk_ids
    return Named(desk_reference(match.id), _shown(match), typed if is_desk_id else None)


def _ask(typed: str, matches: Sequence[Match]) -> Match:
    say(f"{typed} could be {len(matches)} orders:")
    for number, match in enumerate(matches, 1):
        say(f"  {number}  {_shown(match)} (desk id {match.id}, podOS id {match.source_id})")
    while True:
        answer: int = typer.prompt("Which one", type=int, err=True)
        if 1 <= answer <= len(matches):
            return matches[answer - 1]
        say(f"give a number from 1 to {len(matches)}")


def _shown(match: Match) -> str:
    return f"order {match.order_number} to {match.country or 'an unknown country'}"
