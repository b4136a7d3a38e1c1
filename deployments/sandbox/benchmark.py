"""The benchmark mode of the sandbox: the same list call, answered as fast as Python can.

A raw asyncio server without frameworks, in a process of its own. `GET /_benchmark` tells what it cost so far
and sets `latency_ms` and `visible`. It is there to be no part of what is measured.
"""

from __future__ import annotations

import asyncio
import json
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import parse_qsl

from deployments.sandbox.prerendered import PrerenderedOrders
from deployments.sandbox.query import BadRequestError, parse_query
from deployments.sandbox.server import HOST
from deployments.sandbox.wire import render

_META = b'],"meta":{"filters":{}},"nextPageToken":'


@dataclass
class Benchmark:
    """What the server answers from, and what it counted.

    Attributes:
        orders: the pages' rows.
        project: the only project it knows.
        token: the only token it accepts, bare.
        latency_seconds: how long each page waits.
        pages: how many it served.
    """

    orders: PrerenderedOrders
    project: str
    token: str
    latency_seconds: float = 0.0
    pages: int = 0

    def answer(self, target: bytes, authorization: bytes) -> tuple[list[bytes | memoryview], float]:
        """Return the parts of the HTTP answer to a request, and how long it must wait."""
        path, _, query = target.partition(b"?")
        pairs = parse_qsl(query.decode())
        if path == b"/_benchmark":
            return _whole(200, render(self._adjust(dict(pairs)))), 0.0
        if path != b"/v1/fulfillments":
            return _refusal(404, "There is no such call."), 0.0
        if authorization != self.token.encode():
            return _refusal(401, "The API token is missing or wrong."), 0.0
        if ("project", self.project) not in pairs:
            return _refusal(404, "There is no such project."), 0.0
        try:
            asked = parse_query(pairs)
        except BadRequestError as error:
            return _refusal(400, str(error)), 0.0
        self.pages += 1
        cut = self.orders.cut(asked)
        following = b"%d" % (asked.page + 1) if cut.more else b"null"
        parts = [b'{"fulfillments":[', *cut.pieces, _META, following, b"}"]
        return [_head(200, sum(map(len, parts))) + bytes(parts[0]), *parts[1:]], self.latency_seconds

    def _adjust(self, wanted: dict[str, str]) -> dict[str, float]:
        if "latency_ms" in wanted:
            self.latency_seconds = float(wanted["latency_ms"]) / 1000
        if "visible" in wanted:
            self.orders.visible = min(int(wanted["visible"]), len(self.orders))
        return {
            "pages": self.pages,
            "cpu_seconds": time.process_time(),
            "visible": self.orders.visible,
            "bytes_an_order": round(self.orders.bytes_an_order),
        }


class _Connection(asyncio.Protocol):
    """One client: HTTP/1.1 with keep-alive, GET only, one request at a time."""

    def __init__(self, benchmark: Benchmark) -> None:
        self._benchmark = benchmark
        self._received = b""
        self._transport: asyncio.WriteTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.WriteTransport)  # noqa: S101 - a TCP server's are
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._received += data
        while b"\r\n\r\n" in self._received:
            head, _, self._received = self._received.partition(b"\r\n\r\n")
            self._respond(head)

    def _respond(self, head: bytes) -> None:
        first, *lines = head.split(b"\r\n")
        authorization = b""
        for line in lines:
            name, _, value = line.partition(b":")
            if name.lower() == b"authorization":
                authorization = value.strip()
        parts, wait_seconds = self._benchmark.answer(first.split(b" ")[1], authorization)
        if wait_seconds:
            asyncio.get_running_loop().call_later(wait_seconds, self._send, parts)
        else:
            self._send(parts)

    def _send(self, parts: list[bytes | memoryview]) -> None:
        if self._transport is None or self._transport.is_closing():
            return
        for part in parts:
            self._transport.write(part)


def _head(status: int, length: int) -> bytes:
    words = b"OK" if status == 200 else b"Refused"
    lines = b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n" % length
    return b"HTTP/1.1 %d %b\r\n" % (status, words) + lines


def _whole(status: int, body: bytes) -> list[bytes | memoryview]:
    return [_head(status, len(body)) + body]


def _refusal(status: int, message: str) -> list[bytes | memoryview]:
    return _whole(status, json.dumps({"code": "refused", "message": message}).encode())


async def serve_benchmark(benchmark: Benchmark, port: int, on_ready: Callable[[str], None]) -> None:
    """Serve until SIGINT or SIGTERM.

    Args:
        benchmark: what is served.
        port: on 127.0.0.1; 0 for any free one.
        on_ready: called with the address once it listens.

    Raises:
        OSError: the port is taken.
    """
    loop, stopped = asyncio.get_running_loop(), asyncio.Event()
    server = await loop.create_server(lambda: _Connection(benchmark), HOST, port, backlog=128)
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stopped.set)
    on_ready(f"http://{HOST}:{server.sockets[0].getsockname()[1]}")
    await stopped.wait()
    server.close()
