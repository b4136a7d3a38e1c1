"""A rules file, read and checked against a desk: every problem with its line, and warnings. Pure."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from typing import NamedTuple

from models.rules import RuleEvent, RuleForm, RulesFile
from tasks.rules.conditions import ConditionError, compile_condition
from tasks.rules.engine import CompiledRule, compile_rule
from tasks.rules.lines import Located, near, read_yaml, told, validated


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
    problems = [
        *_twice(rules, located),
        *_bad_conditions(rules, located),
        *_unknown(rules, located, "move_to", "folder", folders),
        *_unknown(rules, located, "send_to", "fulfiller", fulfillers),
    ]
    if problems:
        raise told(problems)
    _spell(rules, "move_to", folders)
    _spell(rules, "send_to", fulfillers)
    return LoadedRules(rules, cycle_warnings([compile_rule(rule) for rule in rules]))


def _twice(rules: list[RuleForm], located: Located) -> Iterator[tuple[int, str]]:
    names = [rule.name.casefold() for rule in rules]
    for number, rule in enumerate(rules):
        if names.index(rule.name.casefold()) < number:
            yield located.line_of(("rules", number, "name")), f"there is already a rule {rule.name!r}"


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
        for place, one in enumerate(rule.actions):
            name = getattr(one, action)
            if name and name.casefold() not in keys:
                line = located.line_of(("rules", number, "actions", place, action))
                listed = near(name, list(known)) or f"; there are: {', '.join(sorted(known)) or 'none yet'}"
                yield line, f"there is no {what} {name!r}{listed}"


def _spell(rules: list[RuleForm], action: str, known: Collection[str]) -> None:
    """Write names as the desk and the fulfillers write them: capitals do not count in a file."""
    names = {name.strip().casefold(): name for name in known}
    for one in (one for rule in rules for one in rule.actions):
        if name := getattr(one, action):
            setattr(one, action, names[name.casefold()])


def cycle_warnings(rules: list[CompiledRule]) -> list[str]:
    """Return a warning for each circle in which rules for changed folders could send an order."""
    movers = [rule for rule in rules if rule.event is RuleEvent.FOLDER_CHANGED and _target(rule)]
    after = {rule.name: [next_.name for next_ in movers if _could_follow(rule, next_)] for rule in movers}
    warnings: dict[frozenset[str], str] = {}
    for rule in movers:
        path = _way_back(rule.name, lambda name: after[name])
        if path and frozenset(path) not in warnings:
            circle = " -> ".join([*path, rule.name])
            warnings[frozenset(path)] = (
                f"rules could move an order in a circle: {circle}; each fires once for an event, then it ends"
            )
    return list(warnings.values())


def _target(rule: CompiledRule) -> str | None:
    return next((action.move_to for action in reversed(rule.actions) if action.move_to), None)


def _could_follow(rule: CompiledRule, next_: CompiledRule) -> bool:
    """Tell whether a rule's folder lets another one move the order on."""
    folder, target = _target(rule), _target(next_)
    if folder is None or target is None or folder.casefold() == target.casefold():
        return False
    fits = [test(folder) for test in next_.folder_tests]
    if next_.joined_by_all:
        return all(fits)
    return next_.other_conditions or any(fits)


def _way_back(start: str, after: Callable[[str], list[str]]) -> list[str] | None:
    """Return the shortest way from a rule back to itself, None if there is none."""
    ways, seen = [[start]], set[str]()
    while ways:
        way = ways.pop(0)
        for name in after(way[-1]):
            if name == start:
                return way
            if name not in seen:
                seen.add(name)
                ways.append([*way, name])
    return None
