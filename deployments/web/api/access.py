"""Who may ask: whoever has a token, also on this machine. No cookie counts, so no other page can ask."""

from __future__ import annotations

from datetime import UTC, datetime

from sqlalchemy import Engine
from starlette.requests import Request

from deployments.web.api.errors import RequestError
from models.tables.people import Scope
from tasks.people.tokens_store import KnownToken, find_token

_ASK = {"WWW-Authenticate": 'Bearer realm="order desk"'}


def token_of(request: Request) -> str:
    """Return the token that a request carries.

    Raises:
        RequestError: it carries none.
    """
    given = request.headers.getlist("authorization")
    scheme, _, token = (given[0] if len(given) == 1 else "").partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise RequestError(
            401, "a token is needed, as Authorization: Bearer TOKEN; make one: desk tokens add", headers=_ASK
        )
    return token.strip()


def known_token(engine: Engine, token: str) -> KnownToken:
    """Return what is known of a token.

    Raises:
        RequestError: it opens nothing.
    """
    known = find_token(engine, token)
    if known is None:
        raise RequestError(401, "the token is unknown or was revoked; see: desk tokens", headers=_ASK)
    return known


def check_scope(token: KnownToken, scope: Scope) -> None:
    """Make sure that a token may do something.

    Raises:
        RequestError: it may not.
    """
    if scope is Scope.WRITE and token.scope is not Scope.WRITE:
        raise RequestError(
            403, f"the token {token.name} may only read; make one that may write: desk tokens add"
        )


def now() -> datetime:
    """Return this moment, aware."""
    return datetime.now(UTC)
