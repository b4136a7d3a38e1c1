"""A printer's own server that takes orders by webhook: verifies signatures, fails on demand.

Run it alone: ``python -m deployments.sandbox.receiver SECRET LATENCY_SECONDS``; it prints its address.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterable
from typing import Any, Self

MAX_AGE_SECONDS = 300
FAULTS = frozenset({"hang", "hang after taking", "cut", "cut after taking", "repeat", "repeat after taking"})
"""What a fault can be besides a status: no answer, or one that repeats the buyer's name wherever it can."""

SAYS_NO = "says no"
"""200 with JSON that says that the order was not taken."""


class Receiver:
    """Takes orders on a port of this machine, in a thread of its own; use it with ``with``.

    Args:
        secret: what posts must be signed with.
        latency_seconds: how long each answer takes.
        faults: what happens to the next posts, one each: a status, or one of ``FAULTS``.
        retry_after: sent with statuses 429 and 503.

    Attributes:
        taken: the orders by idempotency key, as they were posted.
        posts: how often each key was posted.
        problems: what was wrong with posts.
    """

    def __init__(
        self,
        secret: str,
        *,
        latency_seconds: float = 0.0,
        faults: Iterable[int | str] = (),
        retry_after: str | None = None,
    ) -> None:
        self.taken: dict[str, dict[str, Any]] = {}
        self.posts: Counter[str] = Counter()
        self.problems: list[str] = []
        self.faults = list(faults)
        self.always: int | str | None = None
        self._secret = secret.encode()
        self._latency_seconds = latency_seconds
        self._retry_after = retry_after
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._port = 0

    @property
    def url(self) -> str:
        """Where orders are posted."""
        return f"http://127.0.0.1:{self._port}/orders"

    def __enter__(self) -> Self:
        """Begin to serve."""
        self._thread.start()
        self._ready.wait()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop."""
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        server = self._loop.run_until_complete(asyncio.start_server(self._serve, "127.0.0.1", 0))
        self._port = server.sockets[0].getsockname()[1]
        self._ready.set()
        self._loop.run_forever()
        server.close()
        for task in asyncio.all_tasks(self._loop):
            task.cancel()
        self._loop.run_until_complete(asyncio.sleep(0.01))
        self._loop.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                headers = _headers(head)
                body = await reader.readexactly(int(headers.get("content-length", "0")))
                if self._latency_seconds:
                    await asyncio.sleep(self._latency_seconds)
                if not await self._answer(headers, body, writer):
                    break
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            pass
        finally:
            writer.close()

    async def _answer(self, headers: dict[str, str], body: bytes, writer: asyncio.StreamWriter) -> bool:
        key = headers.get("idempotency-key", "")
        self.posts[key] += 1
        fault = self.faults.pop(0) if self.faults else self.always
        if fault == SAYS_NO:
            refusal = b'{"success": false, "message": "SKU unknown"}'
            writer.write(f"HTTP/1.1 200 OK\r\nContent-Length: {len(refusal)}\r\n\r\n".encode() + refusal)
            await writer.drain()
            return True
        if isinstance(fault, str):
            if fault.endswith("after taking"):
                self._take(key, headers, body)
            if fault.startswith("repeat"):
                writer.write(_repeating(body, 201 if fault.endswith("after taking") else 400))
                await writer.drain()
                return True
            if fault.startswith("hang"):
                await asyncio.sleep(60)
            return False
        status, said = (fault, {}) if fault else self._take(key, headers, body)
        content = json.dumps(said).encode()
        again = f"Retry-After: {self._retry_after}\r\n" if fault in {429, 503} and self._retry_after else ""
        writer.write(
            f"HTTP/1.1 {status} X\r\nContent-Length: {len(content)}\r\n{again}\r\n".encode() + content
        )
        await writer.drain()
        return True

    def _take(self, key: str, headers: dict[str, str], body: bytes) -> tuple[int, dict[str, str]]:
        if problem := self._problem(headers, body):
            self.problems.append(problem)
            return 401, {}
        if key in self.taken:
            return 409, {"reference": f"P-{key[:8]}"}
        self.taken[key] = json.loads(body)
        return 201, {"reference": f"P-{key[:8]}"}

    def _problem(self, headers: dict[str, str], body: bytes) -> str | None:
        timestamp = headers.get("desk-timestamp", "")
        if not timestamp.isdecimal() or abs(time.time() - int(timestamp)) > MAX_AGE_SECONDS:
            return "the timestamp is old"
        expected = hmac.new(self._secret, timestamp.encode() + b"." + body, hashlib.sha256)
        signatures = headers.get("desk-signature", "").split(",")
        if any(hmac.compare_digest(f"sha256={expected.hexdigest()}", signature) for signature in signatures):
            return None
        return "the signature is wrong"


def _repeating(body: bytes, status: int) -> bytes:
    """Return an answer whose reason phrase, header and texts are the buyer's name."""
    name = json.loads(body)["order"]["shipping"]["name"]
    said = "error" if status >= 400 else "note"
    content = json.dumps({"reference": name, said: f"no parcel for {name}"}).encode()
    head = f"HTTP/1.1 {status} No {name}\r\nX-Error: {name}\r\nContent-Length: {len(content)}\r\n\r\n"
    return head.encode("ascii", "replace") + content


def _headers(head: bytes) -> dict[str, str]:
    lines = head.decode("latin-1").split("\r\n")[1:]
    pairs = (line.split(":", 1) for line in lines if ":" in line)
    return {name.strip().lower(): value.strip() for name, value in pairs}


def main() -> None:
    """Serve until stdin ends, then say how many orders were taken and how many posted twice."""
    with Receiver(sys.argv[1], latency_seconds=float(sys.argv[2])) as receiver:
        sys.stdout.write(f"{receiver.url}\n")
        sys.stdout.flush()
        sys.stdin.read()
        sys.stdout.write(f"{len(receiver.taken)} {sum(receiver.posts.values())}\n")


if __name__ == "__main__":
    main()
