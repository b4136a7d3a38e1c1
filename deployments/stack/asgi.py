"""What our ASGI applications share: their types, and an answer in plain text."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]


def is_at_or_below(path: str, parent: str) -> bool:
    """Return whether a path is another one or stands below it; all are below ``/``."""
    parent = parent.rstrip("/")
    return path == parent or path.startswith(f"{parent}/")


async def answer_with_text(send: Send, status: int, text: str) -> None:
    """Answer a request in plain text, which no browser takes for anything else."""
    body = text.encode()
    headers = [
        (b"content-type", b"text/plain; charset=utf-8"),
        (b"content-length", str(len(body)).encode()),
        (b"x-content-type-options", b"nosniff"),
    ]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
