"""Add, list, revoke and recognize tokens of the HTTP API. Of a token only its SHA-256 is kept."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Engine, or_, select, update

from models.tables.people import Scope
from tasks.desk.engine import reading, writing
from tasks.desk.errors import DeskRefusedError
from tasks.desk.export import iso
from tasks.desk.sql import insert_for
from tasks.desk.tables import TOKENS
from tasks.people.names import clean_name, key_of
from tasks.people.random_secrets import TOKEN_PREFIX, digest_of, new_secret

USE_IS_NOTED_EVERY = timedelta(minutes=1)
"""A row written for each request would make readers wait for the database."""


@dataclass(frozen=True)
class TokenSummary:
    """One token; times are aware UTC. ``revoked_at`` is None while it opens the API."""

    name: str
    scope: str
    created_at: datetime
    last_used_at: datetime | None
    revoked_at: datetime | None

    def as_dict(self) -> dict[str, Any]:
        """Return it ready for JSON."""
        times = ("created_at", "last_used_at", "revoked_at")
        return vars(self) | {name: iso(getattr(self, name)) for name in times}


@dataclass(frozen=True)
class KnownToken:
    """A token that opens the API."""

    id: int
    name: str
    scope: Scope
    last_used_at: datetime | None

    @property
    def by(self) -> str:
        """Who did it, for the history."""
        return f"API token {self.name}"


def add_token(engine: Engine, name: str, scope: Scope, *, now: datetime) -> str:
    """Make a token and return it. Nothing can show it again.

    Args:
        engine: the desk.
        name: what it is for; stands in the history of orders.
        scope: what it may do.
        now: aware.

    Raises:
        DeskRefusedError: the name is not usable, or a token has or had it (case does not count).
    """
    cleaned = clean_name(name, "a token")
    token = TOKEN_PREFIX + new_secret()
    row = {
        **{"name": cleaned, "name_key": key_of(cleaned), "scope": scope.value},
        **{"digest": digest_of(token), "created_at": now},
    }
    with writing(engine) as connection:
        statement = insert_for(connection)(TOKENS).values(row).on_conflict_do_nothing()
        if connection.execute(statement.returning(TOKENS.c.id)).first() is None:
            raise DeskRefusedError(
                f"there is or was a token {cleaned!r}, and the history of orders names it: take another name"
            )
    return token


def list_tokens(engine: Engine) -> list[TokenSummary]:
    """Return all tokens, the oldest first, revoked ones included."""
    columns = ("name", "scope", "created_at", "last_used_at", "revoked_at")
    query = select(*(TOKENS.c[column] for column in columns)).order_by(TOKENS.c.id)
    with reading(engine) as connection:
        return [TokenSummary(*row) for row in connection.execute(query)]


def revoke_token(engine: Engine, name: str, *, now: datetime) -> str:
    """Let a token open nothing from now on, and return its name. Safe to repeat.

    Raises:
        DeskRefusedError: there is no such token.
    """
    with writing(engine) as connection:
        mine = TOKENS.c.name_key == key_of(name)
        known: str | None = connection.execute(select(TOKENS.c.name).where(mine)).scalar()
        if known is None:
            raise DeskRefusedError(f"there is no token {name.strip()[:100]!r}; see: desk tokens")
        ours = mine & TOKENS.c.revoked_at.is_(None)
        connection.execute(update(TOKENS).where(ours).values(revoked_at=now))
    return known


def find_token(engine: Engine, token: str) -> KnownToken | None:
    """Return what is known of a token, None if it opens nothing."""
    query = select(TOKENS.c.id, TOKENS.c.name, TOKENS.c.scope, TOKENS.c.last_used_at)
    mine = (TOKENS.c.digest == digest_of(token)) & TOKENS.c.revoked_at.is_(None)
    with reading(engine) as connection:
        row = connection.execute(query.where(mine)).one_or_none()
    if row is None or row.scope not in list(Scope):
        return None
    return KnownToken(row.id, row.name, Scope(row.scope), row.last_used_at)


def note_use(engine: Engine, token: KnownToken, *, now: datetime) -> None:
    """Note that a token was used, at most once in ``USE_IS_NOTED_EVERY``."""
    before = now - USE_IS_NOTED_EVERY
    if token.last_used_at is not None and token.last_used_at > before:
        return
    is_old = or_(TOKENS.c.last_used_at.is_(None), TOKENS.c.last_used_at <= before)
    with writing(engine) as connection:
        statement = update(TOKENS).where(TOKENS.c.id == token.id, is_old)
        connection.execute(statement.values(last_used_at=now))
