"""Ask a web application again when it answers 503: Prefect does so when its SQLite database is locked.

Nothing of such a request was written, and Prefect's own client asks again by itself; its pages do not, so a
person would have to press the button twice (measured: one of twenty submitted run forms on a busy machine).
"""

from __future__ import annotations

import asyncio

from deployments.stack.asgi import Application, Message, Receive, Scope, Send

ATTEMPTS = 6
FIRST_PAUSE_SECONDS = 0.1
LARGEST_BODY_BYTES = 1_000_000
WRITING = frozenset({"POST", "PUT", "PATCH", "DELETE"})


class AskAgain:
    """An ASGI application around another one, which is asked up to ``ATTEMPTS`` times.

    Nothing of a request's body is read before the application reads it, and it asks for the password first.
    What it read is kept for the next attempt, up to ``LARGEST_BODY_BYTES``; a larger body is sent to it once.
    """

    def __init__(self, application: Application, *, first_pause_seconds: float = FIRST_PAUSE_SECONDS) -> None:
        self._application = application
        self._first_pause_seconds = first_pause_seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] != "http" or scope["method"] not in WRITING:
            await self._application(scope, receive, send)
            return
        body = _Body(receive)
        for attempt in range(1, ATTEMPTS + 1):
            answer, error = _Answer(send), None
            try:
                await self._application(dict(scope), body.from_the_beginning(), answer)
            except Exception as raised:  # the web framework raises what it has answered with 503, for the log
                if not answer.is_withheld:
                    raise
                error = raised
            if not answer.is_withheld:
                return
            if attempt == ATTEMPTS or not body.can_be_read_again:
                break
            await asyncio.sleep(self._first_pause_seconds * 2 ** (attempt - 1))
        await answer.pass_on()
        if error:
            raise error


class _Body:
    """The body of a request: what was read of it is kept while it is not too large."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._kept = bytearray()
        self._is_at_its_end = False
        self.can_be_read_again = True

    def from_the_beginning(self) -> Receive:
        """Return what gives the body to the next attempt: first what is kept, then what still comes."""
        is_kept_given = not (self._kept or self._is_at_its_end)

        async def receive() -> Message:
            nonlocal is_kept_given
            if not is_kept_given:
                is_kept_given = True
                more = not self._is_at_its_end
                return {"type": "http.request", "body": bytes(self._kept), "more_body": more}
            return self._keep(await self._receive())

        return receive

    def _keep(self, message: Message) -> Message:
        if message["type"] == "http.request" and self.can_be_read_again:
            self._kept += message.get("body", b"")
            self._is_at_its_end = not message.get("more_body", False)
            if len(self._kept) > LARGEST_BODY_BYTES:
                self._kept.clear()
                self.can_be_read_again = False
        return message


class _Answer:
    """Passes an answer on, but withholds a 503, which need not be the last word."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self._withheld: list[Message] = []

    @property
    def is_withheld(self) -> bool:
        """Whether the application answered 503."""
        return bool(self._withheld)

    async def __call__(self, message: Message) -> None:
        is_busy = message["type"] == "http.response.start" and message["status"] == 503
        if is_busy or self._withheld:
            self._withheld.append(message)
        else:
            await self._send(message)

    async def pass_on(self) -> None:
        """Give the answer to the client after all."""
        for message in self._withheld:
            await self._send(message)
