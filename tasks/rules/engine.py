"""Rules at work on one exported order: which fire, and what they change. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from models.rules import Action, RuleEvent, RuleForm
from tasks.rules.conditions import Condition, ConditionError, Document, compile_condition


class CompiledRule(NamedTuple):
    """A rule ready for use."""

    name: str
    event: RuleEvent
    holds: Callable[[Document], bool]
    actions: Sequence[Action]
    item_fits: Callable[[Document], bool] | None
    folder_tests: Sequence[Callable[[Any], bool]]
    joined_by_all: bool
    other_conditions: bool


@dataclass
class AttemptOutcome:
    """What rules made of one order.

    Attributes:
        document: the order as it is after them; the one given stays as it was.
        firings: the rules that fired, and what each changed in words.
        send_to: fulfillers to queue it for.
        events: (event, rule) to emit.
        mover: the rule that moved it last, None if none did.
    """

    document: Document
    firings: list[tuple[str, list[str]]] = field(default_factory=list)
    send_to: list[str] = field(default_factory=list)
    events: list[tuple[str, str]] = field(default_factory=list)
    mover: str | None = None


def compile_rule(form: RuleForm) -> CompiledRule:
    """Return a rule ready for use.

    Raises:
        ConditionError: a condition can't be understood.
    """
    conditions = [compile_condition(text) for text in form.all or form.any or []]
    tests = [condition.holds for condition in conditions]
    join = any if form.any else all
    items = [condition.item for condition in conditions if condition.item]
    return CompiledRule(
        form.name,
        form.event,
        _joined(tests, join),
        form.actions,
        _joined(items, join) if items else None,
        [condition.on_value for condition in conditions if condition.field == "folder" and _plain(condition)],
        joined_by_all=not form.any,
        other_conditions=any(condition.field != "folder" for condition in conditions),
    )


def why_unusable(form: RuleForm | None) -> str | None:
    """Return why a rule can't be used, None if it can."""
    try:
        if form:
            compile_rule(form)
    except ConditionError as error:
        return str(error)
    return None


def _plain(condition: Condition) -> bool:
    return condition.item is None


def _joined(
    tests: Sequence[Callable[[Document], bool]], join: Callable[[Any], bool]
) -> Callable[[Document], bool]:
    if len(tests) == 1:
        return tests[0]
    return lambda document: join(test(document) for test in tests)


def run_event(document: Document, rules: Sequence[CompiledRule], event: RuleEvent) -> AttemptOutcome:
    """Let the rules of an event look at an order, in their sequence; each sees what those before it changed.

    A move by a rule is itself a changed folder, so the rules for that follow. Every rule fires at most once
    for the event, so that rules can't chase each other.
    """
    verdict = AttemptOutcome(document)
    fired: set[str] = set()
    _one_pass(verdict, [rule for rule in rules if rule.event is event], fired)
    followers = [rule for rule in rules if rule.event is RuleEvent.FOLDER_CHANGED]
    folder = document["folder"]
    while _key(folder) != _key(verdict.document["folder"]) and followers:
        folder = verdict.document["folder"]
        _one_pass(verdict, followers, fired)
    return verdict


def run_rule(document: Document, rule: CompiledRule, followers: Sequence[CompiledRule]) -> AttemptOutcome:
    """Let one rule look at an order, whatever its event; rules for changed folders follow its moves."""
    others = [
        follower
        for follower in followers
        if follower.name != rule.name and follower.event is RuleEvent.FOLDER_CHANGED
    ]
    return run_event(document, [rule._replace(event=RuleEvent.IMPORTED), *others], RuleEvent.IMPORTED)


def _one_pass(verdict: AttemptOutcome, rules: Sequence[CompiledRule], fired: set[str]) -> None:
    for rule in rules:
        if rule.name not in fired and rule.holds(verdict.document):
            fired.add(rule.name)
            _fire(verdict, rule)


def _fire(verdict: AttemptOutcome, rule: CompiledRule) -> None:
    order = dict(verdict.document)
    words: list[str] = []
    for action in rule.actions:
        words += _act(verdict, order, rule, action)
    verdict.document = order
    verdict.firings.append((rule.name, words))


def _act(verdict: AttemptOutcome, order: Document, rule: CompiledRule, action: Action) -> list[str]:
    """Do one action on the order, which is a copy; return what it changed in words."""
    if action.move_to:
        return _move(verdict, order, rule.name, action.move_to)
    if action.hold:
        order["hold_reason"] = action.hold
        return [f"held: {action.hold}"]
    if action.set_metadata:
        order["metadata"] = {**order["metadata"], **action.set_metadata}
        return [f"{key} = {value}" for key, value in action.set_metadata.items()]
    if action.set_item_metadata:
        return _set_items(order, rule, action.set_item_metadata)
    if action.set_shipping_method:
        order["shipping_method"] = action.set_shipping_method.model_dump()
        return [f"shipping method {action.set_shipping_method.name}"]
    if action.send_to:
        verdict.send_to.append(action.send_to)
        return [f"to be sent to {action.send_to}"]
    verdict.events.append((action.emit_event or "", rule.name))
    return [f"event {action.emit_event}"]


def _move(verdict: AttemptOutcome, order: Document, rule: str, folder: str) -> list[str]:
    before = order["folder"]
    if _key(before) == _key(folder):
        return [f"already in {before}"]
    order["folder"], verdict.mover = folder, rule
    return [f"moved from {before} to {folder}"]


def _set_items(order: Document, rule: CompiledRule, values: dict[str, str]) -> list[str]:
    fits = rule.item_fits or (lambda _item: True)
    numbers = [number for number, item in enumerate(order["items"], 1) if fits(item)]
    items = list(order["items"])
    for number in numbers:
        item = items[number - 1]
        items[number - 1] = {**item, "metadata": {**item["metadata"], **values}}
    order["items"] = items
    place = ", ".join(map(str, numbers)) or "none"
    return [f"item {place}: {key} = {value}" for key, value in values.items()]


def _key(folder: str) -> str:
    return folder.strip().casefold()
