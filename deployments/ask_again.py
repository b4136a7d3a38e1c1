"""Ask a web application again when it answers 503: Prefect does so when its SQLite database is locked.

Nothing of such a request was written, and Prefect's own client asks again by itself; its pages do not, so a
person would have to press the button twice (measured: one of twenty submitted run forms on a busy machine).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[MutableMapping[str, Any], Receive, Send], Awaitable[None]]

ATTEMPTS = 6
FIRST_PAUSE_SECONDS = 0.1
WRITING = frozenset({"POST", "PUT", "PATCH", "DELETE"})


class AskAgain:
    """An ASGI application around another one, which is asked up to ``ATTEMPTS`` times."""

    def __init__(self, application: Application, *, first_pause_seconds: float = FIRST_PAUSE_SECONDS) -> None:
        self._application = application
        self._first_pause_seconds = first_pause_seconds

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] != "http" or scope["method"] not in WRITING:
            await self._application(scope, receive, send)
            return
        body = await _body_of(receive)
        for attempt in range(1, ATTEMPTS + 1):
            answer = _Answer(send, is_last=attempt == ATTEMPTS)
            try:
                await self._application(dict(scope), _again(body, receive), answer)
            except Exception:  # the web framework raises what it has answered with 503, for the log
                if not answer.is_refusal:
                    raise
            if not answer.is_refusal:
                return
            await asyncio.sleep(self._first_pause_seconds * 2 ** (attempt - 1))


class _Answer:
    """Passes an answer on, unless it is a 503 that need not be the last word."""

    def __init__(self, send: Send, *, is_last: bool) -> None:
        self._send = send
        self._is_last = is_last
        self.is_refusal = False

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.is_refusal = message["status"] == 503 and not self._is_last
        if not self.is_refusal:
            await self._send(message)


async def _body_of(receive: Receive) -> bytes:
    body = b""
    while True:
        message = await receive()
        body += bytes(message.get("body", b""))
        if not message.get("more_body", False):
            return body


def _again(body: bytes, receive: Receive) -> Receive:
    given = False

    async def receive_again() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return receive_again
