"""Measure the rules: 1,000 orders under 50 rules, alone and with the desk; and an import's cost without any.

python -m tests.benchmarks.rules
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import Engine

from models.rules import RuleEvent, RuleForm
from tasks.desk.browse import export_orders
from tasks.desk.engine import open_desk, writing
from tasks.desk.events import events_wait, note_event
from tasks.rules.apply import apply_rules
from tasks.rules.engine import compile_rule, run_event
from tasks.rules.store import save_rules
from tests.support import example_desk

ORDERS, RULES, ROUNDS = 1000, 50, 5
CONDITIONS = (
    "shipping.country in [GB, IE, FR, DE]",
    "any item.quantity >= 10",
    "any item.metadata.print_technology_1 = embroidery",
    "merchant_reference matches ^SHOP-\\d+7$",
    "declared_value > 40",
    "all items.sku starts with TEE",
)


def rules() -> list[RuleForm]:
    """Return rules of two conditions each; about one in eight fires."""
    return [
        RuleForm.model_validate(
            {
                "name": f"rule {number}",
                "event": "order imported",
                "all": [CONDITIONS[number % 6], CONDITIONS[(number * 5 + 1) % 6]],
                "actions": [{"set_metadata": {f"key_{number}": number}}],
            }
        )
        for number in range(RULES)
    ]


def best(measure: Callable[[], Any]) -> float:
    """Return the seconds of the quickest of some rounds."""
    seconds = []
    for _ in range(ROUNDS):
        started = time.perf_counter()
        measure()
        seconds.append(time.perf_counter() - started)
    return min(seconds)


def main() -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory() as place:
        engine = open_desk(f"sqlite:///{Path(place) / 'desk.db'}")
        example_desk.fill(engine)
        documents = list(export_orders(engine))
        orders = (documents * (ORDERS // len(documents) + 1))[:ORDERS]
        compiled = [compile_rule(rule) for rule in rules()]
        pure = best(lambda: [run_event(order, compiled, RuleEvent.IMPORTED) for order in orders])
        firings = sum(len(run_event(order, compiled, RuleEvent.IMPORTED).firings) for order in orders)
        print(f"{ORDERS} orders x {RULES} rules, rules alone: {pure:.3f} s, {firings} firings")
        quiet = best(lambda: [events_wait(engine) for _ in range(100)]) / 100
        print(f"looking whether anything waits, no rules: {quiet * 1e6:.0f} us a batch")
        with_desk(engine, [order["id"] for order in documents])
        engine.dispose()


def with_desk(engine: Engine, ids: list[int]) -> None:
    """Measure the rules with reading and writing the desk."""
    save_rules(engine, rules())
    now = datetime.now(UTC)
    with writing(engine) as connection:
        note_event(connection, ids, RuleEvent.IMPORTED, now=now)
    started = time.perf_counter()
    result = apply_rules(engine, now=now)
    seconds = time.perf_counter() - started
    print(f"{result.orders} orders x {RULES} rules with the desk: {seconds:.3f} s, {result.fired} firings")


if __name__ == "__main__":
    main()
