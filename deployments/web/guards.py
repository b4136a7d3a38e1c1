"""Who is answered, and how much is listened to: each guard is an ASGI application around another one.

The server listens on this machine only, but so does every browser on it, and a browser sends requests for
any page that is open in it. ``HostCheck`` stops pages that give their own name our address (DNS rebinding),
``NoCrossSiteWrites`` those that send a form here, as Go's ``http.CrossOriginProtection`` does. Therefore no
form needs a token.
"""

from __future__ import annotations

import base64
import binascii
import hmac

from starlette.exceptions import HTTPException

from deployments.stack.asgi import Application, Message, Receive, Scope, Send, answer_with_text
from deployments.stack.same_origin import FOREIGN_PAGE, UNKNOWN_HOST
from models.web_address import authority_of, is_loopback, name_of

MAX_BODY_BYTES = 1_000_000
TOO_LARGE = "More than 1 MB was sent, which no form of this page needs: send less at once."
_READS = frozenset({"GET", "HEAD"})
_OWN_SITES = frozenset({"same-origin", "none"})
HEADERS = {
    "content-security-policy": "default-src 'self'; img-src 'self' https: data:; frame-ancestors 'none'; "
    "base-uri 'none'; form-action 'self'",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "cache-control": "no-store",
}
_REALM = (b"www-authenticate", b'Basic realm="order desk", charset="UTF-8"')


class SafeHeaders:
    """Puts on every answer what keeps a page to itself: no frame, no foreign script, no referrer, no copy."""

    def __init__(self, application: Application) -> None:
        self._application = application

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""

        async def send_on(message: Message) -> None:
            if message["type"] == "http.response.start":
                ours = [(name.encode(), value.encode()) for name, value in HEADERS.items()]
                theirs = [pair for pair in message.get("headers", ()) if pair[0].decode() not in HEADERS]
                message = {**message, "headers": [*theirs, *ours]}
            await send(message)

        await self._application(scope, receive, send_on if scope["type"] == "http" else send)


class HostCheck:
    """Answers only under this machine's own names, and those that the settings give it.

    Args:
        application: the one inside.
        hosts: of DESK_ALLOWED_HOSTS, as ``authority_of`` writes them.
    """

    def __init__(self, application: Application, hosts: frozenset[str]) -> None:
        self._application = application
        self._hosts = hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] == "http" and not self._is_own(_all(scope, b"host")):
            await answer_with_text(send, UNKNOWN_HOST.status, UNKNOWN_HOST.text)
        else:
            await self._application(scope, receive, send)

    def _is_own(self, given: list[str]) -> bool:
        host = authority_of(given[0]) if len(given) == 1 else None
        return host is not None and (host in self._hosts or is_loopback(name_of(host)))


class NoCrossSiteWrites:
    """Refuses what another page sends: by ``Sec-Fetch-Site``, which no page can change, else by ``Origin``.

    Our own forms send ``Origin: null``, because the pages send no referrer; so it counts only where a browser
    is too old for ``Sec-Fetch-Site``. Programs send neither, and pass.
    """

    def __init__(self, application: Application) -> None:
        self._application = application

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] == "http" and scope["method"] not in _READS and not self._is_own(scope):
            await answer_with_text(send, FOREIGN_PAGE.status, FOREIGN_PAGE.text)
        else:
            await self._application(scope, receive, send)

    def _is_own(self, scope: Scope) -> bool:
        if sites := _all(scope, b"sec-fetch-site"):
            return set(sites) <= _OWN_SITES
        (host,) = _all(scope, b"host")
        named = (origin.partition("://") for origin in _all(scope, b"origin"))
        return all(
            scheme in {"http", "https"} and authority_of(rest) == authority_of(host)
            for scheme, _, rest in named
        )


class PasswordCheck:
    """Asks for the Prefect server's password where one is set: the pages show no less than its own.

    Args:
        application: the one inside.
        password: ``name:password``; None: everybody on this machine may look.
    """

    def __init__(self, application: Application, password: str | None) -> None:
        self._application = application
        self._password = password

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] != "http" or self._password is None or self._is_known(scope):
            await self._application(scope, receive, send)
            return

        async def ask(message: Message) -> None:
            if message["type"] == "http.response.start":
                message = {**message, "headers": [*message["headers"], _REALM]}
            await send(message)

        await answer_with_text(ask, 401, "The name and password of the Prefect server are needed.\n")

    def _is_known(self, scope: Scope) -> bool:
        given = _all(scope, b"authorization")
        scheme, _, code = (given[0] if len(given) == 1 else "").partition(" ")
        try:
            said = base64.b64decode(code.strip(), validate=True)
        except (binascii.Error, ValueError):
            return False
        return scheme.lower() == "basic" and hmac.compare_digest(said, (self._password or "").encode())


class BodyLimit:
    """Reads no more of a request than a form needs."""

    def __init__(self, application: Application) -> None:
        self._application = application

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] == "http" and any(_is_too_long(said) for said in _all(scope, b"content-length")):
            await answer_with_text(send, 413, f"{TOO_LARGE}\n")
            return
        taken = 0

        async def receive_some() -> Message:
            nonlocal taken
            message = await receive()
            taken += len(message.get("body", b""))
            if taken > MAX_BODY_BYTES:
                raise HTTPException(413, TOO_LARGE)
            return message

        await self._application(scope, receive_some, send)


def _is_too_long(said: str) -> bool:
    return not (said.isascii() and said.isdecimal()) or len(said) > 12 or int(said) > MAX_BODY_BYTES


def _all(scope: Scope, name: bytes) -> list[str]:
    return [value.decode("latin-1") for key, value in scope["headers"] if key.lower() == name]
