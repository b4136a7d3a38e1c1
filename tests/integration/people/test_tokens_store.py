"""Tokens of the HTTP API: shown once, kept as a digest, revoked for good."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import Engine, select

from models.tables.people import Scope
from tasks.desk.engine import reading
from tasks.desk.errors import DeskRefusedError
from tasks.desk.tables import TOKENS
from tasks.people.tokens_store import add_token, find_token, list_tokens, note_use, revoke_token

NOW = datetime(2026, 11, 27, 12, 0, tzinfo=UTC)


def test_only_its_digest_is_kept(desk: Engine) -> None:
    token = add_token(desk, " Warehouse ", Scope.WRITE, now=NOW)
    with reading(desk) as connection:
        (row,) = connection.execute(select(TOKENS)).mappings().all()
    assert token.startswith("desk_")
    assert row["digest"] == hashlib.sha256(token.encode()).hexdigest()
    assert not any(token[5:] in str(value) for value in row.values())
    known = find_token(desk, token)
    assert known is not None
    assert (known.by, known.scope) == ("API token Warehouse", Scope.WRITE)


@pytest.mark.parametrize("text", ["", "desk_", "desk_x", "\ud800", "x" * 10_000, "\0"])
def test_another_text_opens_nothing(desk: Engine, text: str) -> None:
    add_token(desk, "a", Scope.READ, now=NOW)
    assert find_token(desk, text) is None


def test_a_name_is_taken_once_and_for_ever(desk: Engine) -> None:
    token = add_token(desk, "Großhandel", Scope.READ, now=NOW)
    with pytest.raises(DeskRefusedError, match="there is or was a token"):
        add_token(desk, "GROSSHANDEL", Scope.WRITE, now=NOW)
    assert revoke_token(desk, "grosshandel", now=NOW) == "Großhandel"
    assert revoke_token(desk, "grosshandel", now=NOW + timedelta(days=1)) == "Großhandel"
    assert find_token(desk, token) is None
    (shown,) = list_tokens(desk)
    assert shown.revoked_at == NOW  # the second time changed nothing
    with pytest.raises(DeskRefusedError, match="there is or was a token"):
        add_token(desk, "Großhandel", Scope.WRITE, now=NOW)


@pytest.mark.parametrize("name", ["", "  ", "a\nb", "x" * 61, "a\u202eb"])
def test_a_name_that_the_history_could_not_show_is_refused(desk: Engine, name: str) -> None:
    with pytest.raises(DeskRefusedError, match="is no name for a token"):
        add_token(desk, name, Scope.READ, now=NOW)
    assert list_tokens(desk) == []


def test_an_unknown_one_can_not_be_revoked(desk: Engine) -> None:
    with pytest.raises(DeskRefusedError, match="there is no token 'x'; see: desk tokens"):
        revoke_token(desk, "x", now=NOW)


def test_its_use_is_noted_once_a_minute(desk: Engine) -> None:
    token = add_token(desk, "a", Scope.READ, now=NOW)
    for seconds, noted in ((0, 0), (59, 0), (60, 60), (61, 60)):
        known = find_token(desk, token)
        assert known is not None
        note_use(desk, known, now=NOW + timedelta(seconds=seconds))
        assert list_tokens(desk)[0].last_used_at == NOW + timedelta(seconds=noted)
