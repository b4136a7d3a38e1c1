"""A rules file, read and checked against a desk: every problem with its line, and warnings. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from graphlib import CycleError, TopologicalSorter
from itertools import chain, islice
from typing import NamedTuple

from models.rules import RuleEvent, RuleForm, RulesFile
from tasks.rules.conditions import ConditionError, compile_condition
from tasks.rules.engine import CompiledRule, compile_rule
from tasks.rules.yaml_lines import Located, near, read_yaml, told, validated

MAX_PROBLEMS = 100
"""More of them help nobody, and looking for what was meant takes time."""
MAX_CIRCLES = 20


class LoadedRules(NamedTuple):
    """The rules of a file, in its sequence, and what a person should know about them."""

    rules: list[RuleForm]
    warnings: list[str]


def load_rules(text: str, *, folders: Collection[str], fulfillers: Collection[str]) -> LoadedRules:
    """Return the rules of a YAML text.

    Args:
        text: the file.
        folders: the desk's.
        fulfillers: those that orders can be sent to.

    Raises:
        RulesFileError: it can't be used; every problem with its line.
    """
    located = read_yaml(text)
    rules = validated(located, RulesFile).rules
    found = chain(
        _twice(rules, located),
        _bad_conditions(rules, located),
        _unknown(rules, located, "move_to", "folder", folders),
        _unknown(rules, located, "send_to", "fulfiller", fulfillers),
    )
    if problems := list(islice(found, MAX_PROBLEMS)):
        raise told(problems)
    _spell(rules, "move_to", folders)
    _spell(rules, "send_to", fulfillers)
    return LoadedRules(rules, cycle_warnings([compile_rule(rule) for rule in rules]))


def _twice(rules: list[RuleForm], located: Located) -> Iterator[tuple[int, str]]:
    names: set[str] = set()
    for number, rule in enumerate(rules):
        name = rule.name.casefold()
        if name in names:
            yield located.line_of(("rules", number, "name")), f"there is already a rule {rule.name!r}"
        names.add(name)


def _bad_conditions(rules: list[RuleForm], located: Located) -> Iterator[tuple[int, str]]:
    for number, rule in enumerate(rules):
        for join in ("all", "any"):
            for place, text in enumerate(getattr(rule, join) or []):
                try:
                    compile_condition(text)
                except ConditionError as error:
                    yield located.line_of(("rules", number, join, place)), str(error)


def _unknown(
    rules: list[RuleForm], located: Located, action: str, what: str, known: Collection[str]
) -> Iterator[tuple[int, str]]:
    keys = {name.strip().casefold() for name in known}
    for number, rule in enumerate(rules):
        for place, form in enumerate(rule.actions):
            name = getattr(form, action)
            if name and name.casefold() not in keys:
                line = located.line_of(("rules", number, "actions", place, action))
                listed = near(name, list(known)) or f"; there are: {', '.join(sorted(known)) or 'none yet'}"
                yield line, f"there is no {what} {name!r}{listed}"


def _spell(rules: list[RuleForm], action: str, known: Collection[str]) -> None:
    """Write names as the desk and the fulfillers write them: upper and lower case are the same in a file."""
    names = {name.strip().casefold(): name for name in known}
    for form in (form for rule in rules for form in rule.actions):
        if name := getattr(form, action):
            setattr(form, action, names[name.casefold()])


def cycle_warnings(rules: list[CompiledRule]) -> list[str]:
    """Return a warning for circles in which rules for changed folders could send an order, a few at most."""
    movers = [rule for rule in rules if rule.event is RuleEvent.FOLDER_CHANGED and _target(rule)]
    before = {rule.name: [other.name for other in movers if _could_follow(other, rule)] for rule in movers}
    places = {rule.name: place for place, rule in enumerate(movers)}
    warnings: list[str] = []
    while len(warnings) < MAX_CIRCLES:
        try:
            TopologicalSorter(before).prepare()
        except CycleError as error:
            names: list[str] = error.args[1][:-1]
            first = names.index(min(names, key=lambda name: places[name]))
            circle = " -> ".join([*names[first:], *names[:first], names[first]])
            warnings.append(
                f"rules could move an order in a circle: {circle}; each fires once for an event, then it ends"
            )
            before[names[first]] = []  # the next circle is another one
        else:
            break
    return warnings


def _target(rule: CompiledRule) -> str | None:
    return next((action.move_to for action in reversed(rule.actions) if action.move_to), None)


def _could_follow(rule: CompiledRule, next_: CompiledRule) -> bool:
    """Return whether a rule's folder lets another one move the order on."""
    folder, target = _target(rule), _target(next_)
    if folder is None or target is None or folder.casefold() == target.casefold():
        return False
    fits = [test(folder) for test in next_.folder_tests]
    if next_.joined_by_all:
        return all(fits)
    return next_.other_conditions or any(fits)
