"""Store, read, enable and disable the rules."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError
from sqlalchemy import Connection, Engine, Row, delete, false, select, update

from models.rules import RuleEvent, RuleForm
from models.unreadable import is_readable, problems_in
from tasks.desk.engine import reading, writing
from tasks.desk.errors import DeskRefusedError
from tasks.desk.events import IS_ON, has_rules
from tasks.desk.tables import RULES, SHIPMENTS


@dataclass(frozen=True)
class StoredRule:
    """A rule of the desk as it is written, and whether it is on.

    ``form`` is None where the row can't be read, as another program left it; ``problem`` then says why.
    """

    name: str
    enabled: bool
    form: RuleForm | None
    problem: str | None = None


def read_rules(connection: Connection) -> list[StoredRule]:
    """Return the desk's rules in the sequence in which they are looked at."""
    columns = (RULES.c[name] for name in ("name", "event", "enabled", "definition"))
    return [_stored(row) for row in connection.execute(select(*columns).order_by(RULES.c.position))]


def _stored(row: Row[Any]) -> StoredRule:
    problems = problems_in(row._asdict())
    enabled = bool(row.enabled) or not is_readable(row.enabled)
    if not problems:
        try:
            form = RuleForm.model_validate(row.definition)
        except ValidationError:
            problems = ["definition can't be read: it is not a rule"]
        else:
            if form.event == row.event:
                return StoredRule(form.name, enabled, form)
            problems = ["event can't be read: it is not the event of the definition"]
    return StoredRule(row.name, enabled, None, "; ".join(problems))


def list_rules(engine: Engine) -> list[StoredRule]:
    """Return the desk's rules in the sequence in which they are looked at."""
    with reading(engine) as connection:
        return read_rules(connection)


def find_rule(engine: Engine, name: str) -> StoredRule:
    """Return a rule by its name; case does not count.

    Raises:
        DeskRefusedError: there is no such rule.
    """
    rules = list_rules(engine)
    found = next((rule for rule in rules if rule.name.casefold() == name.strip().casefold()), None)
    if found is None:
        known = ", ".join(rule.name for rule in rules) or "none yet"
        raise DeskRefusedError(f"there is no rule {name.strip()!r}; the rules are: {known}")
    return found


def save_rules(engine: Engine, rules: Sequence[RuleForm]) -> None:
    """Let these be all the rules of the desk. One that does not say whether it is on stays as it was.

    Safe to repeat.
    """
    with writing(engine) as connection:
        listened = has_rules(connection, RuleEvent.SHIPMENT_ADDED)
        were_on = {row.name_key: row.enabled for row in connection.execute(select(RULES))}
        connection.execute(delete(RULES))
        for position, rule in enumerate(rules, 1):
            key = rule.name.casefold()
            enabled = were_on.get(key, True) if rule.enabled is None else rule.enabled
            definition = rule.model_dump(mode="json", exclude_unset=True)
            connection.execute(
                RULES.insert().values(
                    name=rule.name,
                    name_key=key,
                    event=rule.event.value,
                    position=position,
                    enabled=enabled,
                    definition=definition,
                )
            )
        _begin_with_new_shipments(connection, listened=listened)


def switch_rule(engine: Engine, name: str, *, enabled: bool) -> None:
    """Switch a rule on or off; it stays so when its file is loaded again. Safe to repeat.

    Raises:
        DeskRefusedError: there is no such rule.
    """
    rule = find_rule(engine, name)
    with writing(engine) as connection:
        listened = has_rules(connection, RuleEvent.SHIPMENT_ADDED)
        mine = RULES.c.name == rule.name if rule.form is None else RULES.c.name_key == rule.name.casefold()
        connection.execute(update(RULES).where(mine).values(enabled=enabled))
        _begin_with_new_shipments(connection, listened=listened)


def rules_are_on(engine: Engine) -> bool:
    """Return whether a rule is on, whatever it waits for."""
    with reading(engine) as connection:
        return connection.execute(select(RULES.c.id).where(IS_ON).limit(1)).first() is not None


def _begin_with_new_shipments(connection: Connection, *, listened: bool) -> None:
    """Let the first rule for shipments look at those that come from now on, not at all that ever were."""
    if not listened and has_rules(connection, RuleEvent.SHIPMENT_ADDED):
        connection.execute(update(SHIPMENTS).where(SHIPMENTS.c.rules_seen == false()).values(rules_seen=True))
