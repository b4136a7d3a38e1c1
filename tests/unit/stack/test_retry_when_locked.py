"""A request that found Prefect's database locked is asked again, with its body, and answered once.

Its body is read only as far as the application reads it, and kept only while it is small.
"""

from __future__ import annotations

import asyncio
import tracemalloc
from collections.abc import Callable, Iterable
from contextlib import suppress

import pytest

from deployments.stack.asgi import Application, Message, Receive, Scope, Send
from deployments.stack.retry_when_locked import ATTEMPTS, LARGEST_BODY_BYTES, AskAgain

HALVES = (b"half ", b"and half")
PIECE = bytes(64 * 1024)


class Client:
    """Sends a request in pieces, as the server hands them out, and keeps what is answered."""

    def __init__(self, pieces: Iterable[bytes] = HALVES) -> None:
        self._pieces = list(pieces)
        self.read = 0
        self.answer: list[Message] = []

    async def receive(self) -> Message:
        if self.read == len(self._pieces):
            return {"type": "http.disconnect"}
        self.read += 1
        more = self.read < len(self._pieces)
        return {"type": "http.request", "body": self._pieces[self.read - 1], "more_body": more}

    async def send(self, message: Message) -> None:
        self.answer.append(message)

    def ask(self, application: Application, method: str = "POST") -> list[int]:
        """Return the statuses that the client gets."""
        wrapped = AskAgain(application, first_pause_seconds=0)
        with suppress(OSError):
            asyncio.run(wrapped({"type": "http", "method": method}, self.receive, self.send))
        return [message["status"] for message in self.answer if "status" in message]


class Busy:
    """Answers these statuses one after the other, each after some pieces of the body were read."""

    def __init__(self, statuses: Iterable[int], pieces_read: Callable[[int], float] = lambda _: 1e9) -> None:
        self._statuses = list(statuses)
        self._pieces_read = pieces_read
        self.bodies: list[bytes] = []

    async def __call__(self, _scope: Scope, receive: Receive, send: Send) -> None:
        status, body = self._statuses[len(self.bodies)], b""
        pieces, more = 0, True
        while more and pieces < self._pieces_read(len(self.bodies)):
            message = await receive()
            body, pieces, more = body + message["body"], pieces + 1, message["more_body"]
        self.bodies.append(body)
        await send({"type": "http.response.start", "status": status, "headers": []})
        await send({"type": "http.response.body", "body": b"answer"})
        if status == 503:
            raise OSError("database is locked")  # as Starlette does behind its answer


@pytest.mark.parametrize("refusals", range(ATTEMPTS))
def test_the_client_sees_only_the_answer_that_counts(refusals: int) -> None:
    client, application = Client(), Busy([503] * refusals + [201])
    assert client.ask(application) == [201]
    assert len(client.answer) == 2
    assert application.bodies == [b"half and half"] * (refusals + 1)


def test_a_lasting_refusal_is_passed_on() -> None:
    client, application = Client(), Busy([503] * ATTEMPTS)
    assert client.ask(application) == [503]
    assert (len(client.answer), len(application.bodies)) == (2, ATTEMPTS)


def test_reading_is_not_repeated() -> None:
    client, application = Client(), Busy([503, 200])
    assert client.ask(application, method="GET") == [503]
    assert len(application.bodies) == 1


def test_other_errors_are_not_repeated() -> None:
    assert Client().ask(Busy([409, 200])) == [409]


def test_nothing_is_read_of_a_body_that_nobody_asked_for() -> None:
    """As Prefect answers where the password is missing: before it reads."""
    client = Client([PIECE] * 100)
    assert client.ask(Busy([401], pieces_read=lambda _: 0)) == [401]
    assert client.read == 0


def test_a_body_that_was_read_in_part_is_whole_the_next_time() -> None:
    client, application = Client([b"a", b"b", b"c"]), Busy([503, 503, 201], pieces_read=lambda n: n + 1)
    assert client.ask(application) == [201]
    assert application.bodies == [b"a", b"ab", b"abc"]


@pytest.mark.parametrize("excess", [0, 1])
def test_only_a_body_up_to_the_bound_is_kept(excess: int) -> None:
    body = bytes(LARGEST_BODY_BYTES + excess)
    client, application = Client([body[:70_000], body[70_000:]]), Busy([503, 201])
    assert client.ask(application) == [503 if excess else 201]
    assert application.bodies == [body] * (1 if excess else 2)
    assert len(client.answer) == 2


def test_a_large_body_passes_through_piece_by_piece() -> None:
    pieces = [PIECE] * 4800  # 300 MB, if somebody held all of it

    async def application(_scope: Scope, receive: Receive, send: Send) -> None:
        while True:
            message = await receive()
            seen.append(message["body"] is PIECE)  # nothing is put together with anything
            if not message["more_body"]:
                break
        await send({"type": "http.response.start", "status": 201, "headers": []})

    seen: list[bool] = []
    tracemalloc.start()
    try:
        assert Client(pieces).ask(application) == [201]
        most = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert seen == [True] * len(pieces)
    assert most < 4 * LARGEST_BODY_BYTES
