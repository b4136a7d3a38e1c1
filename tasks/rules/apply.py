"""Apply the rules to waiting events: changes, history and consumed events are one transaction."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from typing import Any

from sqlalchemy import Connection, Engine

from models.errors import AppError
from models.rules import RuleEvent
from tasks.concurrency import run_in_thread, stop_if_asked
from tasks.desk.browse import documents_of
from tasks.desk.engine import writing
from tasks.desk.errors import UnusableRuleError
from tasks.desk.events import events_wait, take_events
from tasks.desk.sql import chunks
from tasks.prefect_api.events import emit_order_events, emit_orders_queued
from tasks.prefect_api.step import step
from tasks.rules.conditions import ConditionError
from tasks.rules.effects_store import Effect, hold_unlooked, write_effects
from tasks.rules.engine import AttemptOutcome, CompiledRule, compile_rule, run_event, run_rule
from tasks.rules.patterns import TooLongError
from tasks.rules.store import StoredRule, find_rule, read_rules

logger = logging.getLogger(__name__)

EVENTS_AT_ONCE = 1000
_REMEDY = (
    "Correct it and load the rules again (desk rules load FILE), or switch it off (desk rules off NAME). "
    "Until then no rule looks at any order, and what happens waits for them"
)


@dataclass
class RulesResult:
    """What rules did. Holds no personal data.

    Attributes:
        orders: how many orders they looked at.
        fired: how often a rule fired.
        waiting: how many orders they queued, counted for each fulfiller.
        queued: fulfillers that orders were queued for.
        events: Prefect events to emit: name, rule, desk id, source id, integration.
        unlooked: how many orders were held because the rules could not look at them.
        problem: why no rule can look at anything, None if they can; what happened waits for them.
    """

    orders: int = 0
    fired: int = 0
    waiting: int = 0
    queued: set[str] = field(default_factory=set)
    events: list[dict[str, Any]] = field(default_factory=list)
    unlooked: int = 0
    problem: UnusableRuleError | None = None

    def add(self, other: RulesResult) -> None:
        """Count another result in."""
        self.orders += other.orders
        self.fired += other.fired
        self.waiting += other.waiting
        self.queued |= other.queued
        self.events += other.events
        self.unlooked += other.unlooked

    def raise_problem(self) -> None:
        """Raise the problem, if there is one: a run that could do all else does not end well."""
        if self.problem:
            raise self.problem

    def one_line(self) -> str:
        """Return the result in words."""
        words = f"rules looked at {self.orders} orders and fired {self.fired} times"
        return words + (
            f"; {self.unlooked} orders are held because they can't be read" if self.unlooked else ""
        )


def apply_rules(engine: Engine, *, now: datetime) -> RulesResult:
    """Let the rules look at all that waits for them, a transaction for each thousand events.

    If one of them can't be used none looks at anything, and the result has the problem: what happened waits,
    since it is not known what that rule would have done, or kept another from doing.

    Raises:
        RetriableDeskError: the database was busy; what was not finished waits.

    Safe to repeat, and when several processes do it at once: every event is taken by one of them.
    """
    result = RulesResult()
    while True:
        try:
            with writing(engine) as connection:
                part = _apply_some(connection, now)
        except UnusableRuleError as error:
            result.problem = error
            return result
        if part is None:
            return result
        result.add(part)


def apply_by_hand(engine: Engine, name: str, order_ids: Sequence[int], *, now: datetime) -> RulesResult:
    """Let one rule, on or off and whatever its event, look at these orders.

    Raises:
        DeskRefusedError: there is no such rule.
        UnusableRuleError: it, or a rule that would follow its moves, can't be used.

    Not safe to repeat where the rule would fire again: each run is an event.
    """
    (chosen,) = usable([find_rule(engine, name)])
    result = RulesResult()
    for part in chunks(order_ids, EVENTS_AT_ONCE):
        with writing(engine) as connection:
            followers = _compiled(connection)
            documents = documents_of(connection, part)
            looks = [(order, partial(run_rule, order, chosen, followers)) for order in documents.values()]
            result.add(_look(connection, looks, now))
    return result


def _apply_some(connection: Connection, now: datetime) -> RulesResult | None:
    happened = take_events(connection, EVENTS_AT_ONCE)
    if not happened:
        return None
    rules = _compiled(connection)
    events: dict[int, list[RuleEvent | None]] = {}
    for event in happened:
        events.setdefault(event.order_id, []).append(event.event)
    before = documents_of(connection, [id_ for id_ in events if isinstance(id_, int)])
    if strays := len(events) - len(before):
        logger.warning("rules passed over %s orders that another program named and the desk has not", strays)
    looks = [(order, partial(_run_all, order, rules, events[id_])) for id_, order in before.items()]
    return _look(connection, looks, now)


Snapshot = Callable[[], AttemptOutcome]


def _look(
    connection: Connection, looks: Sequence[tuple[dict[str, Any], Snapshot]], now: datetime
) -> RulesResult:
    """Let rules look at orders, and write what they did; an order that they can't look at is held."""
    verdicts: list[tuple[dict[str, Any], AttemptOutcome]] = []
    unlooked: dict[int, str] = {}
    for order, look in looks:
        stop_if_asked()
        if unreadable := order.get("unreadable"):
            unlooked[order["id"]] = "; ".join(unreadable)
            continue
        try:
            verdicts.append((order, look()))
        except (UnknownEventError, TooLongError) as error:
            unlooked[order["id"]] = str(error)
        except Exception as error:  # noqa: BLE001 - one odd order keeps the rules from no other
            unlooked[order["id"]] = f"unexpected {type(error).__name__}"
            logger.error("order %s: rules failed, %s", order["id"], type(error).__name__)  # noqa: TRY400
    result = _write(connection, verdicts, now)
    hold_unlooked(connection, unlooked, now=now)
    result.unlooked = len(unlooked)
    return result


class UnknownEventError(AppError):
    """Another program wrote an event that there is not."""


def _run_all(
    document: dict[str, Any], rules: list[CompiledRule], events: Sequence[RuleEvent | None]
) -> AttemptOutcome:
    """Let the rules look at one order for each of its events, in the sequence in which they happened."""
    whole = AttemptOutcome(document)
    for event in events:
        if event is None:
            raise UnknownEventError("rule_events had an event for it that there is not")
        verdict = run_event(whole.document, rules, event)
        whole.document, whole.mover = verdict.document, verdict.mover or whole.mover
        whole.firings += verdict.firings
        whole.send_to += verdict.send_to
        whole.events += verdict.events
    return whole


def _write(
    connection: Connection, verdicts: Sequence[tuple[dict[str, Any], AttemptOutcome]], now: datetime
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
    return usable([rule for rule in read_rules(connection) if rule.enabled])


def usable(rules: Sequence[StoredRule]) -> list[CompiledRule]:
    """Return rules of the desk ready for use.

    Raises:
        UnusableRuleError: one can't be read, or has a condition that can't be understood (any more).
    """
    compiled, problems = [], []
    for rule in rules:
        try:
            if rule.form:
                compiled.append(compile_rule(rule.form))
                continue
            problem = rule.problem
        except ConditionError as error:
            problem = str(error)
        problems.append(f"rule {rule.name!r} can't be used: {problem}")
    if problems:
        raise UnusableRuleError(f"{'; '.join(problems)}. {_REMEDY}")
    return compiled


async def emit_events_of(result: RulesResult) -> None:
    """Emit the rules' events, and start the sending of what they queued; never an error."""
    if result.problem:
        logger.error("%s", result.problem)
    if result.fired or result.unlooked:
        logger.info("%s", result.one_line())
    await emit_order_events(result.events)
    await emit_orders_queued(result.queued)


async def look_at_what_happened(engine: Engine) -> RulesResult:
    """Let the rules look at what waits for them, if anything does, as a step of a flow."""
    result = await apply_rules_to(engine) if events_wait(engine) else RulesResult()
    await emit_events_of(result)
    return result


@step("rules")
async def apply_rules_to(engine: Engine) -> RulesResult:
    """Let the rules look at what happened (see ``apply_rules``)."""
    return await run_in_thread(apply_rules, engine, now=datetime.now(UTC))
