"""Let the rules look at what happened: their work, its history and the events taken are one transaction."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from prefect import task
from prefect.cache_policies import NO_CACHE
from prefect.tasks import exponential_backoff
from sqlalchemy import Connection, Engine

from models.rules import RuleEvent
from tasks.announcing import announce_order_events, announce_queued
from tasks.beside import beside
from tasks.desk.browse import documents_of
from tasks.desk.engine import writing
from tasks.desk.errors import RetriableDeskError
from tasks.desk.rule_effects import Effect, write_effects
from tasks.desk.rule_events import events_wait, take_events
from tasks.desk.rules import find_rule, read_rules
from tasks.retrying import only_after
from tasks.rules.engine import CompiledRule, Verdict, compile_rule, run_event, run_rule

logger = logging.getLogger(__name__)

EVENTS_AT_ONCE = 1000


@dataclass
class RulesResult:
    """What rules did. Holds no personal data.

    Attributes:
        orders: how many orders they looked at.
        fired: how often a rule fired.
        waiting: how many orders they queued, counted for each fulfiller.
        queued: fulfillers that orders were queued for.
        events: Prefect events to emit: name, rule, desk id, source id, integration.
    """

    orders: int = 0
    fired: int = 0
    waiting: int = 0
    queued: set[str] = field(default_factory=set)
    events: list[dict[str, Any]] = field(default_factory=list)

    def add(self, other: RulesResult) -> None:
        """Count another result in."""
        self.orders += other.orders
        self.fired += other.fired
        self.waiting += other.waiting
        self.queued |= other.queued
        self.events += other.events

    def one_line(self) -> str:
        """Return the result in words."""
        return f"rules looked at {self.orders} orders and fired {self.fired} times"


def apply_rules(engine: Engine, *, now: datetime) -> RulesResult:
    """Let the rules look at all that waits for them, a transaction for each thousand events.

    Raises:
        RetriableDeskError: the database was busy; what was not finished waits.

    Safe to repeat, and when several processes do it at once: every event is taken by one of them.
    """
    result = RulesResult()
    while True:
        with writing(engine) as connection:
            part = _apply_some(connection, now)
        if part is None:
            return result
        result.add(part)


def apply_by_hand(engine: Engine, name: str, order_ids: Sequence[int], *, now: datetime) -> RulesResult:
    """Let one rule, on or off and whatever its event, look at these orders.

    Raises:
        DeskRefusedError: there is no such rule.

    Not safe to repeat where the rule would fire again: each run is an event.
    """
    chosen = compile_rule(find_rule(engine, name).form)
    result = RulesResult()
    for start in range(0, len(order_ids), EVENTS_AT_ONCE):
        with writing(engine) as connection:
            followers = _compiled(connection)
            documents = documents_of(connection, order_ids[start : start + EVENTS_AT_ONCE])
            verdicts = [(one, run_rule(one, chosen, followers)) for one in documents.values()]
            result.add(_write(connection, verdicts, now))
    return result


def _apply_some(connection: Connection, now: datetime) -> RulesResult | None:
    happened = take_events(connection, EVENTS_AT_ONCE)
    if not happened:
        return None
    rules = _compiled(connection)
    before = documents_of(connection, sorted({one.order_id for one in happened}))
    events: dict[int, list[RuleEvent]] = {}
    for one in happened:
        events.setdefault(one.order_id, []).append(one.event)
    verdicts = [(before[id_], _run_all(before[id_], rules, mine)) for id_, mine in events.items()]
    return _write(connection, verdicts, now)


def _run_all(document: dict[str, Any], rules: list[CompiledRule], events: list[RuleEvent]) -> Verdict:
    """Let the rules look at one order for each of its events, in the sequence in which they happened."""
    whole = Verdict(document)
    for event in events:
        verdict = run_event(whole.document, rules, event)
        whole.document, whole.mover = verdict.document, verdict.mover or whole.mover
        whole.firings += verdict.firings
        whole.send_to += verdict.send_to
        whole.events += verdict.events
    return whole


def _write(
    connection: Connection, verdicts: Sequence[tuple[dict[str, Any], Verdict]], now: datetime
) -> RulesResult:
    effects, result = [], RulesResult(orders=len(verdicts))
    for before, verdict in verdicts:
        if not verdict.firings:
            continue
        history = [(rule, "; ".join(words)) for rule, words in verdict.firings]
        effects.append(Effect(before, verdict.document, history, verdict.send_to, verdict.mover))
        result.fired += len(history)
        result.queued |= set(verdict.send_to)
        result.events += [_event(before, name, rule) for name, rule in verdict.events]
    result.waiting = write_effects(connection, effects, now=now)
    return result


def _event(order: dict[str, Any], name: str, rule: str) -> dict[str, Any]:
    known = {key: order[key] for key in ("id", "source_id", "project", "integration")}
    return {"event": name, "rule": rule, **known}


def _compiled(connection: Connection) -> list[CompiledRule]:
    return [compile_rule(rule.form) for rule in read_rules(connection) if rule.enabled]


async def announce(result: RulesResult) -> None:
    """Emit the rules' events, and start the sending of what they queued; never an error."""
    if result.fired:
        logger.info("%s", result.one_line())
    await announce_order_events(result.events)
    await announce_queued(result.queued)


async def look_at_what_happened(engine: Engine) -> RulesResult:
    """Let the rules look at what waits for them, if anything does, as a step of a flow."""
    result = await apply_rules_to(engine) if events_wait(engine) else RulesResult()
    await announce(result)
    return result


@task(
    name="rules",
    cache_policy=NO_CACHE,
    retries=3,
    retry_delay_seconds=exponential_backoff(backoff_factor=5),
    retry_jitter_factor=0.5,
    retry_condition_fn=only_after(RetriableDeskError),
)
async def apply_rules_to(engine: Engine) -> RulesResult:
    """Let the rules look at what happened (see ``apply_rules``)."""
    return await beside(apply_rules, engine, now=datetime.now(UTC))
