"""Orders as signed JSON to an address of the printer's own."""

from __future__ import annotations

import asyncio
import hmac
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from hashlib import sha256

import httpx
import msgspec

from models.handovers import FORM_VERSION, Outgoing
from tasks.fulfilment.channels.interface import (
    CONFLICT,
    UNDECODABLE,
    Answer,
    already_there,
    answer_of_status,
    authorities,
    final,
    no_answer,
    reference_of,
    taken,
)
from tasks.fulfilment.channels.refusals import refusal_in
from tasks.podos.retry import retry_after_seconds
from tasks.response_limits import ACCEPT_ENCODING, TooLargeError, bounded

MAX_ANSWER_BYTES = 65_536


class _Receipt(msgspec.Struct):
    """What a receiver may say: its own name for the order."""

    reference: str | int | None = None


_RECEIPT = msgspec.json.Decoder(_Receipt)


def signature_of(secret: bytes, timestamp: str, body: bytes) -> str:
    """Return the signature of a post: HMAC-SHA256 over ``timestamp.body``, in hexadecimal."""
    return hmac.new(secret, timestamp.encode() + b"." + body, sha256).hexdigest()


def signatures_of(secrets: Sequence[bytes], timestamp: str, body: bytes) -> str:
    """Return the header that signs a post: ``sha256=`` and a signature by each secret, between commas."""
    return ",".join(f"sha256={signature_of(secret, timestamp, body)}" for secret in secrets)


class Webhook:
    """Posts orders one by one; redirects are not followed, proxies of the environment not used.

    Args:
        address: where to post.
        secret: what signs.
        previous_secret: what signs as well, while the receiver is given a new secret.
        timeout_seconds: how long all of an answer is waited for.
        connections: how many posts may be under way at once.
        refusal_fields: fields of an answer of success that can say no (see ``refusal_in``).
        pace: waits for the next turn, where there is a limit.
        clock: returns seconds since 1970.
    """

    group_size = 1

    def __init__(
        self,
        address: str,
        secret: str,
        *,
        previous_secret: str | None = None,
        timeout_seconds: float = 30.0,
        connections: int = 8,
        refusal_fields: Sequence[str] = (),
        pace: Callable[[], Awaitable[None]] | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.lanes = connections
        self._secrets = [key.encode() for key in (secret, previous_secret) if key]
        self._refusal_fields = tuple(refusal_fields)
        self._pace = pace
        self._clock = clock
        self._client = httpx.AsyncClient(
            limits=httpx.Limits(max_connections=connections, max_keepalive_connections=connections),
            verify=authorities(),
            timeout=httpx.Timeout(timeout_seconds, connect=min(10.0, timeout_seconds)),
            follow_redirects=False,
            trust_env=False,
            event_hooks={"response": [bounded(MAX_ANSWER_BYTES)]},
        )
        self._timeout_seconds = timeout_seconds
        self._url = httpx.URL(address)
        self._headers = {
            "Host": self._url.netloc.decode(),
            "User-Agent": "podos-order-desk",
            "Accept": "application/json",
            **ACCEPT_ENCODING,
            "Content-Type": "application/json",
            "Desk-Version": str(FORM_VERSION),
        }

    async def send(self, group: Sequence[Outgoing]) -> Mapping[int, Answer]:
        """Post the order of a group of one."""
        (outgoing,) = group
        if self._pace:
            await self._pace()
        return {outgoing.id: await self._post(outgoing)}

    async def _post(self, outgoing: Outgoing) -> Answer:
        timestamp = str(int(self._clock()))
        headers = {
            **self._headers,
            "Desk-Timestamp": timestamp,
            "Desk-Signature": signatures_of(self._secrets, timestamp, outgoing.body),
            "Idempotency-Key": outgoing.key,
            "Content-Length": str(len(outgoing.body)),
        }
        request = httpx.Request("POST", self._url, headers=headers, content=outgoing.body)
        try:
            async with asyncio.timeout(self._timeout_seconds):
                response = await self._client.send(request)
            content = response.content
        except TooLargeError as error:  # what it says about the order stands before its body
            response, content = error.response, b""
        except (httpx.HTTPError, TimeoutError) as error:
            return no_answer(error)
        status = response.status_code
        if 200 <= status < 300:
            if refusal := refusal_in(content, self._refusal_fields):
                field, words = refusal
                return final(f"the fulfiller answered HTTP {status}, but {field} in it says no", words)
            return taken(_reference(content))
        if status == CONFLICT:
            return already_there(_reference(content))
        return answer_of_status(status, retry_after_seconds(response.headers.get("Retry-After")))

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()


def _reference(content: bytes) -> str | None:
    if not content:
        return None
    try:
        said = _RECEIPT.decode(content).reference
    except UNDECODABLE:
        return None
    return reference_of(said)
