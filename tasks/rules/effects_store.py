"""Write the effects of rules on orders."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import Connection, bindparam, select, update

from models.tables.orders import NEEDS_ATTENTION
from tasks.delivery.handovers import queue_orders
from tasks.desk.folders import place_orders
from tasks.desk.history import add_history
from tasks.desk.tables import ITEMS, ORDERS

MAX_REASON = 500


class Effect(NamedTuple):
    """What rules made of one order.

    Attributes:
        before, after: the exported order.
        history: (rule, what it did in words).
        send_to: the fulfillers to queue it for.
        mover: the rule that moved it, None if none did.
    """

    before: dict[str, Any]
    after: dict[str, Any]
    history: Sequence[tuple[str, str]]
    send_to: Sequence[str]
    mover: str | None


def write_effects(connection: Connection, effects: Sequence[Effect], *, now: datetime) -> int:
    """Write what rules did, in the caller's transaction, which holds the orders and took their events.

    Returns:
        How many orders now wait for a fulfiller that did not before, counted for each fulfiller.

    Not safe to repeat: the history gets its rows again.
    """
    lines = [
        (effect.after["id"], "rule", f"{rule}: {words}")
        for effect in effects
        for rule, words in effect.history
    ]
    add_history(connection, lines, at=now)
    moves: dict[tuple[str, str], list[int]] = defaultdict(list)
    for effect in effects:
        if effect.mover:
            moves[effect.after["folder"], effect.mover].append(effect.after["id"])
    for (folder, rule), ids in moves.items():
        place_orders(connection, ids, folder, by=f"rule {rule}", is_event=False)
    _write_orders(connection, effects)
    _write_items(
        connection, [effect for effect in effects if effect.before["items"] is not effect.after["items"]]
    )
    pairs = [(effect.after["id"], name) for effect in effects for name in effect.send_to]
    return queue_orders(connection, pairs, now=now)


def hold_unlooked(connection: Connection, reasons: Mapping[int, str], *, now: datetime) -> None:
    """Hold orders that the rules could not look at: what the rules would have done about them is not known.

    Args:
        connection: in a writing transaction, which holds the orders and took their events.
        reasons: by order.
        now: aware.

    A hold that is there already stays. Safe to repeat but for the history.
    """
    texts = {id_: f"the rules could not look at it: {reason}"[:MAX_REASON] for id_, reason in reasons.items()}
    if not texts:
        return
    free = (ORDERS.c.id == bindparam("the_id")) & ORDERS.c.hold_reason.is_(None)
    rows = [{"the_id": id_, "why": text} for id_, text in texts.items()]
    connection.execute(update(ORDERS).where(free).values(hold_reason=bindparam("why")), rows)
    add_history(connection, [(id_, "held", f"held: {text}") for id_, text in texts.items()], at=now)
    place_orders(
        connection, list(texts), NEEDS_ATTENTION, by="the rules could not look at it", is_event=False
    )


def _write_orders(connection: Connection, effects: Sequence[Effect]) -> None:
    for key, column in (("hold_reason", ORDERS.c.hold_reason), ("metadata", ORDERS.c.metadata)):
        rows = [
            {"the_id": effect.after["id"], "value": effect.after[key]}
            for effect in effects
            if effect.before[key] != effect.after[key]
        ]
        if rows:
            mine = ORDERS.c.id == bindparam("the_id")
            connection.execute(
                update(ORDERS).where(mine).values({column: bindparam("value", type_=column.type)}), rows
            )
    methods = [
        {
            "the_id": effect.after["id"],
            **{f"the_{part}": text for part, text in effect.after["shipping_method"].items()},
        }
        for effect in effects
        if effect.before["shipping_method"] != effect.after["shipping_method"]
    ]
    if methods:
        values: dict[str, Any] = {
            "shipping_code": bindparam("the_code"),
            "shipping_name": bindparam("the_name"),
        }
        connection.execute(update(ORDERS).where(ORDERS.c.id == bindparam("the_id")).values(values), methods)


def _write_items(connection: Connection, effects: Sequence[Effect]) -> None:
    rows = []
    for effect in effects:
        mine = ITEMS.c.order_id == effect.after["id"]
        positions = connection.execute(
            select(ITEMS.c.position).where(mine).order_by(ITEMS.c.position)
        ).scalars()
        rows += [
            {"the_id": effect.after["id"], "place": position, "value": item["metadata"]}
            for position, item in zip(positions, effect.after["items"], strict=True)
        ]
    if rows:
        this = (ITEMS.c.order_id == bindparam("the_id")) & (ITEMS.c.position == bindparam("place"))
        column = ITEMS.c.metadata
        connection.execute(
            update(ITEMS).where(this).values({column: bindparam("value", type_=column.type)}), rows
        )
