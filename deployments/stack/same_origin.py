"""Answer no web page of another address, and no name that is not this server's own.

A browser sends requests to this machine for any page that is open in it. It says for which one: in ``Origin``
and ``Sec-Fetch-Site``, which no page can change. A page can also give its own name the address of this
machine (DNS rebinding); then the browser sends that name in ``Host``. Programs such as Prefect's workers send
neither ``Origin`` nor ``Sec-Fetch-Site``, and pass. Go's ``http.CrossOriginProtection`` decides in the same
way for requests that write; here reading and websockets are protected too.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from deployments.stack.asgi import (
    Application,
    Message,
    Receive,
    Scope,
    Send,
    answer_with_text,
    is_at_or_below,
)
from models.web_address import authority_of, is_loopback, name_of

FORBIDDEN = 403
MISDIRECTED = 421
_POLICY_VIOLATION = 1008
_OWN_SITES = frozenset({"same-origin", "none"})
"""``none``: a person typed the address, or opened a bookmark."""
_FOR_BROWSERS = (
    (b"x-frame-options", b"DENY"),
    (b"content-security-policy", b"frame-ancestors 'none'; connect-src 'self'"),
)
"""In a frame, a page of another address could have its visitors press our buttons unseen.

Prefect's pages ask an address of its maker for the settings of its analytics, whatever is switched off.
"""


class Refusal(NamedTuple):
    """Why a request is not answered."""

    status: int
    text: str


_WHAT_TO_SET = "set DESK_ALLOWED_HOSTS to {}, such as desk.example.test, and start the server again.\n"
FOREIGN_PAGE = Refusal(
    FORBIDDEN,
    "Refused: a web page of another address sent this request. If it is one of the server's own, a reverse "
    f"proxy changed the Host header: {_WHAT_TO_SET.format('the host in the address of the page')}",
)
UNKNOWN_HOST = Refusal(
    MISDIRECTED,
    "Refused: the Host header does not name this server. If a reverse proxy serves it under that name, "
    f"{_WHAT_TO_SET.format('the name')}",
)


@dataclass(frozen=True)
class Policy:
    """Who is answered.

    Args:
        hosts: names of the server besides this machine's own, as ``authority_of`` writes them.
        checks_host: whether the Host header must name the server. It need not where a password is asked for:
            a rebound page does not have it.
        closed_to_links: no link of another page opens this path or one below it. ``/``: none at all.
        in_process: names by which the server's own process asks it, without a connection.
    """

    hosts: frozenset[str] = frozenset()
    checks_host: bool = True
    closed_to_links: str = "/"
    in_process: frozenset[str] = frozenset()

    def refusal(self, scope: Scope) -> Refusal | None:
        """Return why a request or websocket is not answered, None if it is."""
        headers = _Headers(scope)
        if self._is_in_process(scope):
            return None
        if self.checks_host and not self._is_own(headers.host):
            return UNKNOWN_HOST
        if not all(self._is_same(origin, headers.host) for origin in headers.all(b"origin")):
            return FOREIGN_PAGE
        if set(headers.all(b"sec-fetch-site")) <= _OWN_SITES or self._is_link(scope, headers):
            return None
        return FOREIGN_PAGE

    def _is_in_process(self, scope: Scope) -> bool:
        """Return whether no connection brought the request.

        Of a connection, the server's address stands here. No header changes it.
        """
        name, port = scope.get("server") or (None, None)
        return port is None and name in self.in_process

    def _is_own(self, host: str | None) -> bool:
        return host is not None and (host in self.hosts or is_loopback(name_of(host)))

    def _is_same(self, origin: str, host: str | None) -> bool:
        """Return whether the page of an Origin header is one of this server's."""
        scheme, _, rest = origin.partition("://")
        authority = authority_of(rest) if scheme in {"http", "https"} else None
        return authority is not None and (authority == host or authority in self.hosts)

    def _is_link(self, scope: Scope, headers: _Headers) -> bool:
        """Return whether a person follows a link to a page, which by itself reads and does nothing."""
        if scope["type"] != "http" or scope["method"] not in {"GET", "HEAD"}:
            return False
        if is_at_or_below(scope["path"], self.closed_to_links):
            return False
        fetched = (headers.all(b"sec-fetch-mode"), headers.all(b"sec-fetch-dest"))
        return fetched == (["navigate"], ["document"])


class _Headers:
    """The headers of a request, by name."""

    def __init__(self, scope: Scope) -> None:
        self._headers: list[tuple[bytes, bytes]] = list(scope["headers"])

    def all(self, name: bytes) -> list[str]:
        """Return every value of a header."""
        return [value.decode("latin-1") for key, value in self._headers if key.lower() == name]

    @property
    def host(self) -> str | None:
        """The host that is asked, None if it is missing, given twice or no host."""
        found = self.all(b"host")
        return authority_of(found[0]) if len(found) == 1 else None


class SameOrigin:
    """An ASGI application around another one, which sees only what the policy lets through."""

    def __init__(self, application: Application, policy: Policy) -> None:
        self._application = application
        self._policy = policy

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request or a websocket."""
        if scope["type"] not in {"http", "websocket"}:
            await self._application(scope, receive, send)
            return
        refusal = self._policy.refusal(scope)
        if refusal is None:
            await self._application(scope, receive, _without_frames(send))
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": _POLICY_VIOLATION})  # before it is accepted: 403
        else:
            await answer_with_text(_without_frames(send), refusal.status, refusal.text)


def _without_frames(send: Send) -> Send:
    async def send_on(message: Message) -> None:
        if message["type"] == "http.response.start":
            message = {**message, "headers": [*message.get("headers", ()), *_FOR_BROWSERS]}
        await send(message)

    return send_on
