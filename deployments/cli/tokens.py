"""`desk tokens`, `desk tokens add` and `desk tokens revoke`: who may use the HTTP API."""

from __future__ import annotations

from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated

import typer

from deployments.cli.desk_access import open_the_desk
from deployments.cli.output import AsJson, print_json, say, show, table, when

tokens_app = typer.Typer()

TokenName = Annotated[
    str, typer.Argument(metavar="NAME", help="What it is for; the history of orders shows it.")
]


class TokenScope(StrEnum):
    """What a token may do."""

    READ = "read"
    WRITE = "write"


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.add_typer(tokens_app, name="tokens")


@tokens_app.callback(invoke_without_command=True, epilog="Example: desk tokens --json")
def list_the_tokens(context: typer.Context, *, as_json: AsJson = False) -> None:
    """List the tokens of the HTTP API; add or revoke one. A token itself is never shown again."""
    if context.invoked_subcommand:
        if as_json:
            raise typer.BadParameter("--json is for the list of tokens only", param_hint="--json")
        return
    from tasks.people.tokens_store import list_tokens

    with open_the_desk() as engine:
        found = list_tokens(engine)
    if as_json:
        print_json([token.as_dict() for token in found])
        return
    rows = [
        (
            *(token.name, token.scope, when(token.created_at)),
            *(when(token.last_used_at) or "never", when(token.revoked_at)),
        )
        for token in found
    ]
    table(["Name", "Scope", "Made (UTC)", "Last used (UTC)", "Revoked (UTC)"], rows)


@tokens_app.command("add", epilog="Example: desk tokens add warehouse --scope write")
def add(
    name: TokenName,
    *,
    scope: Annotated[TokenScope, typer.Option(help="read: look at orders. write: also ship and move them.")],
) -> None:
    """Make a token for the HTTP API and show it, once: the desk keeps only its SHA-256."""
    from models.tables.people import Scope
    from tasks.people.tokens_store import add_token

    with open_the_desk() as engine:
        token = add_token(engine, name, Scope(scope.value), now=datetime.now(UTC))
    say(f"Token {name.strip()}, scope {scope.value}. Keep it now: it is not shown again.")
    show(token)


@tokens_app.command("revoke", epilog="Example: desk tokens revoke warehouse")
def revoke(name: TokenName) -> None:
    """Let a token open nothing from now on. Its name stays taken, because the history shows it."""
    from tasks.people.tokens_store import revoke_token

    with open_the_desk() as engine:
        known = revoke_token(engine, name, now=datetime.now(UTC))
    show(f"revoked token {known}")
