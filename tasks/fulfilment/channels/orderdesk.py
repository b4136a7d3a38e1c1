"""Orders into a store of Order Desk, and its shipments back."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, NamedTuple
from urllib.parse import quote, urlencode

import httpx
import msgspec

from models.handovers import Outgoing
from tasks.fulfilment.channels.interface import (
    UNDECODABLE,
    Answer,
    FulfillerError,
    already_there,
    answer_of_status,
    authorities,
    final,
    no_answer,
    reference_of,
    taken,
    text_of,
    unclear,
)
from tasks.podos.retry import retry_after_seconds
from tasks.response_limits import ACCEPT_ENCODING, TooLargeError, bounded
from tasks.text_cells import one_line

BUCKET = 20.0
REFILL_PER_SECOND = 3.0
TIMEOUT_SECONDS = 30.0
SLOWEST_ANSWER_SECONDS = 120.0
MAX_ANSWER_BYTES = 16 * 1024 * 1024
SOURCE_NAME = "podOS"
_NO_TRACKING = {"", "n/a"}


class ComingBack(NamedTuple):
    """A shipment that the store holds."""

    courier: str
    code: str
    url: str | None


class _NoClearAnswerError(Exception):
    """A request got no clear answer."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(answer.verdict.reason)
        self.answer = answer


class Bucket:
    """Order Desk's pace: 20 requests at once, refilled with 3 a second."""

    def __init__(
        self, clock: Callable[[], float], sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    ) -> None:
        self._clock = clock
        self._sleep = sleep
        self._tokens, self._at = BUCKET, clock()
        self._lock = asyncio.Lock()

    async def take(self) -> None:
        """Wait until one more request may be made."""
        async with self._lock:
            now = self._clock()
            self._tokens = min(BUCKET, self._tokens + (now - self._at) * REFILL_PER_SECOND)
            self._at = now
            self._tokens -= 1
            wait_seconds = -self._tokens / REFILL_PER_SECOND
            if wait_seconds > 0:
                await self._sleep(wait_seconds)

    def heard(self, tokens_remaining: str | None) -> None:
        """Take what the store says that is left, where it is less than we think."""
        if tokens_remaining and tokens_remaining.strip().isdecimal():
            self._tokens = min(self._tokens, float(tokens_remaining))


class OrderDesk:
    """Creates orders one by one; looks first where an earlier attempt had begun.

    Args:
        address: where the API answers.
        store_id: the store's number.
        api_key: its key.
        folder_name: the store's folder that orders go to.
    """

    group_size = 1
    lanes = 2

    def __init__(self, address: str, store_id: str, api_key: str, *, folder_name: str) -> None:
        self._folder_name = folder_name
        self._folder_id: str | None = None
        self._lock = asyncio.Lock()
        self._bucket = Bucket(asyncio.get_running_loop().time)
        self._client = httpx.AsyncClient(
            base_url=address + "/",
            headers={
                "ORDERDESK-STORE-ID": store_id,
                "ORDERDESK-API-KEY": api_key,
                **ACCEPT_ENCODING,
            },
            timeout=TIMEOUT_SECONDS,
            follow_redirects=False,
            trust_env=False,
            verify=authorities(),
            event_hooks={"response": [bounded(MAX_ANSWER_BYTES)]},
        )

    async def send(self, group: Sequence[Outgoing]) -> Mapping[int, Answer]:
        """Create the order of a group of one."""
        (outgoing,) = group
        try:
            if outgoing.due.first_attempt_at and (found := await self._find(outgoing.due.source_id)):
                return {outgoing.id: already_there(found)}
            return {outgoing.id: await self._create(outgoing)}
        except _NoClearAnswerError as error:
            return {outgoing.id: error.answer}

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    async def _create(self, outgoing: Outgoing) -> Answer:
        order = {**order_of(outgoing), "folder_id": await self._folder()}
        status, said = await self._ask("POST", "orders", order)
        if status < 300 and said.get("status") == "success" and isinstance(said.get("order"), dict):
            return taken(reference_of(said["order"].get("id")))
        if found := await self._find(outgoing.due.source_id):
            return already_there(found)
        words = one_line(text_of(said.get("message")))[:200]
        reason = f"Order Desk did not accept the order (HTTP {status})"
        return final(reason, words) if words else final(f"{reason} and does not say why")

    async def _find(self, source_id: str) -> str | None:
        query = urlencode({"source_id": source_id})
        status, said = await self._ask("GET", f"orders?{query}")
        if status >= 300 or said.get("status") != "success":
            raise _NoClearAnswerError(unclear(f"Order Desk could not be searched (HTTP {status})"))
        found = [order for order in _rows(said.get("orders")) if str(order.get("source_id")) == source_id]
        if not found:
            return None
        if (reference := reference_of(found[0].get("id"))) is None:
            raise _NoClearAnswerError(unclear("Order Desk has the order but does not say as what"))
        return reference

    async def _folder(self) -> str:
        async with self._lock:
            if self._folder_id is None:
                _, said = await self._ask("GET", "store")
                store = said.get("store")
                folders = store.get("folders") if isinstance(store, dict) else None
                names = folders if isinstance(folders, dict) else {}  # PHP writes an empty one as a list
                wanted = self._folder_name.casefold()
                found = [id_ for id_, name in names.items() if str(name).strip().casefold() == wanted]
                if not found:
                    raise FulfillerError(
                        f"the Order Desk store has no folder {self._folder_name!r}: make it there"
                    )
                self._folder_id = str(found[0])
            return self._folder_id

    async def shipments_of(self, reference: str) -> list[ComingBack]:
        """Return an order's shipments that have tracking.

        Raises:
            FulfillerError: the store gave no clear answer.
        """
        try:
            status, said = await self._ask("GET", f"orders/{quote(reference, safe='')}/shipments")
        except _NoClearAnswerError as error:
            raise FulfillerError(str(error)) from None
        if status >= 300 or said.get("status") != "success":
            raise FulfillerError(f"Order Desk does not give the shipments of an order (HTTP {status})")
        return [outgoing for row in _rows(said.get("shipments")) if (outgoing := _coming_back(row))]

    async def _ask(self, method: str, path: str, body: object = None) -> tuple[int, dict[str, Any]]:
        await self._bucket.take()
        content = None if body is None else msgspec.json.encode(body)
        headers = {"Content-Type": "application/json"}
        try:
            async with asyncio.timeout(SLOWEST_ANSWER_SECONDS):
                response = await self._client.request(method, path, content=content, headers=headers)
        except TooLargeError:
            message = f"Order Desk's answer is larger than {MAX_ANSWER_BYTES >> 20} MB and was not read"
            raise _NoClearAnswerError(unclear(message)) from None
        except (httpx.HTTPError, TimeoutError) as error:
            raise _NoClearAnswerError(no_answer(error)) from None
        self._bucket.heard(response.headers.get("X-Tokens-Remaining"))
        status = response.status_code
        if status in {401, 403, 408, 429} or status >= 500 or 300 <= status < 400:
            asked = response.headers.get("X-Retry-After") or response.headers.get("Retry-After")
            raise _NoClearAnswerError(answer_of_status(status, retry_after_seconds(asked)))
        try:
            said = msgspec.json.decode(response.content, type=dict[str, Any])
        except UNDECODABLE:
            raise _NoClearAnswerError(unclear(f"Order Desk's answer can't be read (HTTP {status})")) from None
        return status, said


def _rows(value: object) -> list[dict[str, Any]]:
    """Return the objects of a list; what else stands there says nothing."""
    return [row for row in value if isinstance(row, dict)] if isinstance(value, list) else []


def _coming_back(row: Mapping[str, Any]) -> ComingBack | None:
    number = row.get("tracking_number")
    code = repr(number) if isinstance(number, float) else text_of(number)  # a float is told, not passed over
    if code.casefold() in _NO_TRACKING:
        return None
    courier = text_of(row.get("carrier_code")) or text_of(row.get("shipment_method"))
    url = text_of(row.get("tracking_url"))
    return ComingBack(courier or "Other", code, url if url and url.isprintable() else None)


def order_of(outgoing: Outgoing) -> dict[str, Any]:
    """Return an order as Order Desk takes it."""
    order = outgoing.document
    address, method = order["shipping"], order["shipping_method"]
    first, _, last = (address["name"] or "").rpartition(" ")
    shipping = {
        "first_name": first or last,
        "last_name": last if first else "-",
        **{name: address[name] or "" for name in ("company", "address1", "address2", "city", "state")},
        "postal_code": address["postal_code"] or "",
        "country": address["country"] or "",
        "phone": order["phone"] or "",
    }
    if not address["name"]:
        shipping |= {"first_name": "", "last_name": ""}
    return {
        "source_id": outgoing.due.source_id,
        "source_name": SOURCE_NAME,
        "email": order["email"] or "",
        "shipping_method": method["name"] or method["code"] or "",
        "date_added": order["created_at"][:19].replace("T", " "),
        "shipping": shipping,
        "customer": shipping,
        "order_metadata": {
            "order_number": order["order_number"],
            "desk_key": outgoing.key,
            **order["metadata"],
        },
        "order_items": [_item(item) for item in order["items"]],
    }


def _item(item: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "name": item["name"] or item["sku"] or "item",
        "price": 0,
        "quantity": item["quantity"],
        "code": item["sku"] or "",
        "delivery_type": "ship",
        "metadata": item["metadata"],
    }
