"""`desk tokens`: a token is shown once, on stdout alone."""

from __future__ import annotations

import json

from sqlalchemy import Engine

from tasks.people.tokens_store import find_token
from tests.support.commands import RunDesk


def test_a_token_is_made_shown_once_listed_and_revoked(desk_command: RunDesk, cli_engine: Engine) -> None:
    made = desk_command("tokens", "add", "warehouse", "--scope", "write")
    token = made.out.strip()
    assert (made.code, token.startswith("desk_"), token in made.err) == (0, True, False)
    assert "not shown again" in made.err
    assert find_token(cli_engine, token) is not None

    listed = desk_command("tokens", "--json").out
    (shown,) = json.loads(listed)
    assert (shown["name"], shown["scope"], shown["last_used_at"]) == ("warehouse", "write", None)
    assert token not in listed
    assert "never" in desk_command("tokens").out

    assert desk_command("tokens", "revoke", "Warehouse").out == "revoked token warehouse\n"
    assert find_token(cli_engine, token) is None


def test_bad_input_is_refused(desk_command: RunDesk) -> None:
    assert desk_command("tokens", "add", "x").code == 2  # its scope is a decision
    assert desk_command("tokens", "add", "x", "--scope", "all").code == 2
    assert desk_command("tokens", "add", "a\nb", "--scope", "read").code == 2
    refused = desk_command("tokens", "revoke", "nobody")
    assert (refused.code, "there is no token 'nobody'" in refused.err) == (2, True)
