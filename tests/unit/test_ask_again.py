"""A request that found Prefect's database locked is asked again, with its body, and answered once."""

from __future__ import annotations

import asyncio
from collections.abc import MutableMapping
from contextlib import suppress
from typing import Any

import pytest

from deployments.ask_again import ATTEMPTS, AskAgain, Message, Receive, Send


def answers(statuses: list[int], method: str = "POST") -> tuple[list[Message], list[bytes]]:
    """What the client gets, and what the application was asked, when it answers with these statuses."""
    left, bodies = list(statuses), []

    async def application(_scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        bodies.append((await receive())["body"])
        sent_status = left.pop(0)
        await send({"type": "http.response.start", "status": sent_status, "headers": []})
        await send({"type": "http.response.body", "body": b"answer"})
        if sent_status == 503:
            raise OSError("database is locked")  # as Starlette does behind its answer

    sent: list[Message] = []
    parts = [
        {"type": "http.request", "body": b"half ", "more_body": True},
        {"type": "http.request", "body": b"and half", "more_body": False},
    ]

    async def receive() -> Message:
        return parts.pop(0)

    async def send(message: Message) -> None:
        sent.append(message)

    wrapped = AskAgain(application, first_pause_seconds=0)
    with suppress(OSError):
        asyncio.run(wrapped({"type": "http", "method": method}, receive, send))
    return sent, bodies


@pytest.mark.parametrize("refusals", range(ATTEMPTS))
def test_the_client_sees_only_the_answer_that_counts(refusals: int) -> None:
    sent, bodies = answers([503] * refusals + [201])

    assert [message.get("status") for message in sent] == [201, None]
    assert bodies == [b"half and half"] * (refusals + 1)


def test_a_lasting_refusal_is_passed_on() -> None:
    sent, bodies = answers([503] * ATTEMPTS)
    assert (sent[0]["status"], len(sent), len(bodies)) == (503, 2, ATTEMPTS)


def test_reading_is_not_repeated() -> None:
    sent, bodies = answers([503, 200], method="GET")
    assert (sent[0]["status"], len(bodies)) == (503, 1)


def test_other_errors_are_not_repeated() -> None:
    assert answers([409, 200])[0][0]["status"] == 409
