"""`desk rules load|list|show|on|off|test|run`."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from deployments.cli.desk_access import open_the_desk
from deployments.cli.order_arguments import the_order
from deployments.cli.output import AsJson, print_json, say, show, table
from deployments.stack.environment import prepare_prefect
from models.rules import RuleEvent

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from tasks.rules.apply import RulesResult
    from tasks.rules.engine import CompiledRule
    from tasks.rules.rules_file import LoadedRules
    from tasks.rules.store import StoredRule

rules_app = typer.Typer(no_args_is_help=True)

RuleName = Annotated[str, typer.Argument(metavar="NAME", help="The rule; upper and lower case are the same.")]
RulesPath = Annotated[Path, typer.Argument(metavar="FILE", help="A rules file (YAML); see docs/rules.md.")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.add_typer(rules_app, name="rules", help="Rules that sort, hold, change and send orders.")


@rules_app.command("load", epilog="Example: desk rules load rules.yaml")
def load(file: RulesPath) -> None:
    """Let the rules of a file be all the rules of the desk.

    Nothing is changed if the file has an error: each is listed with its line. A rule that is switched off
    stays off, unless the file says enabled.
    """
    with open_the_desk() as engine:
        loaded = _loaded(engine, file)
        from tasks.rules.store import save_rules

        save_rules(engine, loaded.rules)
    _warn(loaded)
    show(f"{len(loaded.rules)} {'rule' if len(loaded.rules) == 1 else 'rules'} loaded from {file.name}")


@rules_app.command("list", epilog="Example: desk rules list")
def list_the_rules(*, as_json: AsJson = False) -> None:
    """List the rules in the sequence in which they look at an order."""
    from tasks.rules.engine import why_unusable
    from tasks.rules.store import list_rules

    with open_the_desk() as engine:
        found = list_rules(engine)
    if as_json:
        print_json([_as_dict(rule) for rule in found])
        return
    table(["Rule", "Event", "On", "Actions"], [_row(rule) for rule in found])
    for rule in found:
        if problem := rule.problem or why_unusable(rule.form):
            say(f"Warning: rule {rule.name!r} can't be used: {problem}")


def _row(rule: StoredRule) -> tuple[str, str, str, str]:
    event = rule.form.event.value if rule.form else ""
    actions = rule.form.actions if rule.form else []
    words = ", ".join(next(iter(action.model_fields_set)) for action in actions)
    return rule.name, event, "yes" if rule.enabled else "no", words


@rules_app.command("show", epilog="Example: desk rules show Embroidery")
def show_rule(name: RuleName, *, as_json: AsJson = False) -> None:
    """Show one rule as it is written."""
    import yaml

    from tasks.rules.store import find_rule

    with open_the_desk() as engine:
        rule = find_rule(engine, name)
    if as_json:
        print_json(_as_dict(rule))
    else:
        show(*yaml.safe_dump(_as_dict(rule), sort_keys=False, allow_unicode=True).splitlines())


@rules_app.command("on", epilog="Example: desk rules on Embroidery")
def switch_on(name: RuleName) -> None:
    """Switch a rule on: it looks at what happens from now on."""
    _switch(name, enabled=True)


@rules_app.command("off", epilog="Example: desk rules off Embroidery")
def switch_off(name: RuleName) -> None:
    """Switch a rule off; it stays off when its file is loaded again."""
    _switch(name, enabled=False)


def _switch(name: str, *, enabled: bool) -> None:
    from tasks.rules.store import switch_rule

    with open_the_desk() as engine:
        switch_rule(engine, name, enabled=enabled)
    show(f"rule {name.strip()} is {'on' if enabled else 'off'}")


@rules_app.command("test", epilog="Example: desk rules test rules.yaml --folder New")
def try_out(
    file: RulesPath,
    *,
    order: Annotated[str | None, typer.Option(metavar="X", help="Only this order.")] = None,
    folder: Annotated[str | None, typer.Option(metavar="F", help="Only the orders of this folder.")] = None,
    last: Annotated[
        int | None,
        typer.Option(min=1, metavar="N", help="Only the last N imported orders; 20 if none is said."),
    ] = None,
    event: Annotated[
        RuleEvent, typer.Option(metavar="E", help="The event to play: order imported, folder changed, ...")
    ] = RuleEvent.IMPORTED,
    as_json: AsJson = False,
) -> None:
    """Say for each order which rules of a file would fire and what they would change; writes nothing."""
    if (order is not None) + (folder is not None) > 1:
        raise typer.BadParameter("give an order or a folder", param_hint="--order")
    from tasks.desk.browse import export_orders, find_order
    from tasks.rules.engine import compile_rule

    with open_the_desk() as engine:
        loaded = _loaded(engine, file)
        rules = [compile_rule(rule) for rule in loaded.rules if rule.enabled is not False]
        limit = last or (None if folder else 20)
        orders = (
            iter([find_order(engine, the_order(engine, order, as_json=as_json).reference).order])
            if order
            else export_orders(engine, folder=folder, newest_first=True, limit=limit)
        )
        found = [
            {"order": order["order_number"], "id": order["id"], "rule": rule, "would": words}
            for order in orders
            for rule, words in _firings(order, rules, event)
        ]
    _warn(loaded)
    if as_json:
        print_json(found)
        return
    rows = [
        (finding["id"], finding["order"], finding["rule"], "; ".join(finding["would"])) for finding in found
    ]
    table(["Id", "Order", "Rule", "Would"], rows)


def _firings(
    order: dict[str, Any], rules: Sequence[CompiledRule], event: RuleEvent
) -> list[tuple[str, list[str]]]:
    from tasks.rules.engine import run_event
    from tasks.rules.patterns import TooLongError

    if unreadable := order.get("unreadable"):
        return [("", [f"held: the rules could not look at it: {'; '.join(unreadable)}"])]
    try:
        return run_event(order, rules, event).firings
    except TooLongError as error:
        return [("", [f"held: the rules could not look at it: {error}"])]


@rules_app.command("run", epilog="Example: desk rules run Embroidery --folder New")
def run_by_hand(
    name: RuleName,
    *,
    folder: Annotated[str, typer.Option(metavar="F", help="The folder whose orders it looks at.")],
) -> None:
    """Let one rule look at the orders of a folder now, whatever its event, also if it is off."""
    prepare_prefect(quiet=True)
    from tasks.desk.browse import export_orders
    from tasks.rules.apply import apply_by_hand, emit_events_of

    with open_the_desk() as engine:
        ids = [order["id"] for order in export_orders(engine, folder=folder)]
        result = apply_by_hand(engine, name, ids, now=datetime.now(UTC))
    asyncio.run(emit_events_of(result))
    show(_words(result))


def react(engine: Engine) -> None:
    """Let the rules look at what a command just did, and say what they did.

    Raises:
        UnusableRuleError: they can't; it waits for them. The command has said by then what it did itself.
    """
    from tasks.desk.events import events_wait

    if not events_wait(engine):
        return
    prepare_prefect(quiet=True)
    from tasks.rules.apply import apply_rules, emit_events_of

    result = apply_rules(engine, now=datetime.now(UTC))
    asyncio.run(emit_events_of(result))
    if result.fired or result.unlooked:
        say(_words(result))
    result.raise_problem()


def _words(result: RulesResult) -> str:
    queued = f"; orders wait for {', '.join(sorted(result.queued))}" if result.queued else ""
    return result.one_line() + queued


def _loaded(engine: Engine, file: Path) -> LoadedRules:
    from tasks.desk.folders import list_folders
    from tasks.rules.rules_file import load_rules

    text = read_text(file)
    folders = [folder.name for folder in list_folders(engine)]
    return load_rules(text, folders=folders, fulfillers=fulfillers() if "send_to" in text else ())


def read_text(file: Path) -> str:
    """Return a file's text.

    Raises:
        RulesFileError: it is not UTF-8, or larger than ``MAX_FILE_BYTES``; then nothing more of it is read.
        BadParameter: it can't be read.
    """
    from tasks.rules.yaml_lines import MAX_FILE_BYTES, RulesFileError

    try:
        with file.open("rb") as opened:
            content = opened.read(MAX_FILE_BYTES + 1)
        if len(content) > MAX_FILE_BYTES:
            raise RulesFileError(f"{file.name} is larger than {MAX_FILE_BYTES // 1_000_000} MB")
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise RulesFileError(f"{file.name} is not UTF-8 text") from None
    except OSError as error:
        raise typer.BadParameter(f"{file} can't be read ({error.strerror})", param_hint="FILE") from None


def fulfillers() -> Collection[str]:
    """Return the names of the fulfillers that orders can be sent to."""
    prepare_prefect(quiet=True)
    from deployments.stack.reading_server import read_settings
    from tasks.fulfilment.fulfillers import fulfiller_names

    return read_settings(fulfiller_names())


def _warn(loaded: LoadedRules) -> None:
    for warning in loaded.warnings:
        say(f"Warning: {warning}")


def _as_dict(rule: StoredRule) -> dict[str, Any]:
    if rule.form is None:
        return {"name": rule.name, "unreadable": rule.problem, "enabled": rule.enabled}
    return {**rule.form.model_dump(mode="json", exclude_unset=True), "enabled": rule.enabled}
