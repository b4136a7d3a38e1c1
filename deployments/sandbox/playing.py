"""Answers that go wrong on the wire: broken off, dripping, and with a length that is not theirs."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from http import HTTPStatus

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from deployments.sandbox.connections import Connections

_DRIPS = 20
_GARBAGE = b"\x00\xff\x00"


class CutResponse(Response):
    """Sends the headers and half of the body; uvicorn then closes the connection."""

    async def __call__(self, _scope: Scope, _receive: Receive, send: Send) -> None:
        """Stop in the middle."""
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        half = bytes(self.body)[: len(self.body) // 2]
        await send({"type": "http.response.body", "body": half, "more_body": True})


class DripResponse(Response):
    """Sends the body in small pieces; set `seconds` for how long all of it takes."""

    seconds = 0.0

    async def __call__(self, _scope: Scope, _receive: Receive, send: Send) -> None:
        """Send a piece, wait, send the next."""
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        body = bytes(self.body)
        step = len(body) // _DRIPS + 1
        for first in range(0, len(body), step):
            await send({"type": "http.response.body", "body": body[first : first + step], "more_body": True})
            await asyncio.sleep(self.seconds / _DRIPS)
        await send({"type": "http.response.body", "body": b""})


class NoResponse(Response):
    """Closes the connection without a byte."""

    def __init__(self, connections: Connections) -> None:
        """Cut the request's connection out of these."""
        super().__init__(status_code=500)
        self._connections = connections

    async def __call__(self, scope: Scope, receive: Receive, _send: Send) -> None:
        """Cut, and wait until the connection is really gone."""
        self._connections.cut(scope["client"])
        await gone(receive)


class RawResponse(Response):
    """Writes bytes to the connection past uvicorn, which would not let a wrong length through.

    Attributes:
        connections: Where the request's connection is found.
        surplus: By how many bytes the length that is said is larger than the body that is sent.
        half_close: Whether our side of the connection is closed then, while we still listen.
        seconds: How long the connection stays open after it.
    """

    connections: Connections
    surplus = 0
    half_close = False
    seconds = 0.0

    async def __call__(self, scope: Scope, receive: Receive, _send: Send) -> None:
        """Write, wait until the client has had enough, and close."""
        client, body = scope["client"], bytes(self.body)
        self.connections.write(client, self._head(len(body) + self.surplus) + body)
        if self.half_close:
            self.connections.close_our_side(client)
        try:
            await asyncio.wait_for(gone(receive), self.seconds)
        except TimeoutError:
            self.connections.cut(client)
            await gone(receive)

    def _head(self, length: int) -> bytes:
        fields = {**dict(self.headers), "content-length": str(length)}
        status = HTTPStatus(self.status_code)
        lines = [f"HTTP/1.1 {status.value} {status.phrase}", *(f"{k}: {v}" for k, v in fields.items())]
        return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


def garbled(body: bytes) -> bytes:
    """Return bytes of the same length that are no JSON: broken in the middle, whole at the end."""
    middle = len(body) // 2
    return body[:middle] + _GARBAGE[: len(body) - middle] + body[middle + len(_GARBAGE) :]


async def hang(receive: Callable[[], Awaitable[object]], seconds: float) -> None:
    """Stay silent, but not longer than the client stays."""
    try:
        await asyncio.wait_for(gone(receive), seconds)
    except TimeoutError:
        return


async def gone(receive: Callable[[], Awaitable[object]]) -> None:
    """Wait until the client's connection is closed."""
    while True:
        message = await receive()
        if isinstance(message, dict) and message["type"] == "http.disconnect":
            return
