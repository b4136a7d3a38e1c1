"""Whatever is answered to tracking and to handed-over orders: no crash, and never success by mistake."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

import httpx
import respx
from hypothesis import strategies as st

from models.handovers import Due, Outgoing
from models.shipments import Tracking
from tasks.fulfilment.channels.interface import Answer, Channel, FulfillerError
from tasks.fulfilment.channels.orderdesk import OrderDesk
from tasks.fulfilment.channels.webhook import Webhook
from tasks.podos.client import PodosAccess, PodosClient
from tasks.podos.errors import PodosError
from tasks.podos.retry import retry_after_seconds
from tasks.podos.tracking import find_held, get_held, patch_fulfillment
from tasks.tracking.policy import is_there
from tests.fuzz.looking import Looking
from tests.fuzz.payloads import BAD_BYTES, CANARY, FRAGMENTS

OURS, OTHER, CODE = "source-1", "source-2", "00340434161094042557"
MAX_REQUESTS = 40

values = st.sampled_from(
    [
        *(text.encode() for text in FRAGMENTS),
        *BAD_BYTES,
        b"1",
        b'"success"',
        b'"error"',
        b'"complete"',
        b'"x"',
    ]
)
known_ids = st.sampled_from([json.dumps(id_).encode() for id_ in (OURS, OTHER)])


def objects(*names: str, likely: st.SearchStrategy[bytes] = values) -> st.SearchStrategy[bytes]:
    """Return JSON objects with some of these names, and nearly so."""
    members = st.dictionaries(st.sampled_from(names), likely | values, max_size=len(names))
    return members.map(
        lambda found: (
            b"{" + b",".join(b'"%b":%b' % (name.encode(), value) for name, value in found.items()) + b"}"
        )
    )


def lists(items: st.SearchStrategy[bytes]) -> st.SearchStrategy[bytes]:
    """Return JSON lists."""
    return st.lists(items, max_size=4).map(lambda found: b"[" + b",".join(found) + b"]")


trackings = objects("courier", "code", "url", "note", likely=st.just(json.dumps(CODE).encode()))
held_rows = st.builds(
    lambda id_, status, tracking, extra: (
        b'{"id":%b,"status":%b,"tracking":%b,"shippingAddress":%b}' % (id_, status, tracking, extra)
    ),
    known_ids | values,
    st.sampled_from([b'"complete"', b'"paid"', b'"Complete "']) | values,
    trackings | values,
    values,
)
held_pages = st.builds(
    lambda rows, token: b'{"fulfillments":%b,"nextPageToken":%b}' % (rows, token),
    lists(held_rows | values) | values,
    st.sampled_from([b"null", b"1", b"2", b"-1"]) | values,
)
desk_answers = objects("status", "message", "order", "orders", "shipments", "store", "reference")
found_orders = lists(objects("id", "source_id", likely=known_ids) | values)
shipments = lists(objects("tracking_number", "carrier_code", "shipment_method", "tracking_url") | values)
success = st.builds(
    lambda name, value: b'{"status":"success","%b":%b}' % (name, value),
    st.sampled_from([b"order", b"orders", b"shipments", b"message"]),
    objects("id", likely=known_ids) | found_orders | shipments | values,
)
store = st.builds(
    lambda folders: b'{"status":"success","store":{"folders":%b}}' % folders,
    st.sampled_from([b'{"7":"New"}', b"[]", b'["New"]', b"[[7,8]]"]) | values,
)
bodies = st.one_of(st.binary(max_size=30), values, held_rows, held_pages, desk_answers, success, store)
headers = st.dictionaries(
    st.sampled_from(["Retry-After", "X-Retry-After", "X-Tokens-Remaining", "Content-Type", "Location"]),
    st.sampled_from(
        [
            "",
            "0",
            "1",
            "-1",
            "9" * 400,
            "nan",
            "\u0663",
            "Wed, 25 Nov 2026 10:00:00 GMT",
            "Mon, 99 Foo 0 1:2:3",
            "//:x",
            CANARY,
        ]
    ),
    max_size=2,
)
statuses = st.sampled_from([200] * 8 + [201, 202, 204, 301, 304, 400, 401, 404, 409, 422, 429, 500, 503])
answers = st.builds(lambda status, body, head: (status, body, head), statuses, bodies, headers)
scripts = st.lists(answers, min_size=1, max_size=5)
AnAnswer = tuple[int, bytes, dict[str, str]]


class Script:
    """Answers requests one after the other, and the last answer again and again."""

    def __init__(self, script: Sequence[AnAnswer]) -> None:
        self._script = list(script)
        self.given: list[tuple[httpx.Request, AnAnswer]] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        answer = self._script.pop(0) if len(self._script) > 1 else self._script[0]
        self.given.append((request, answer))
        assert len(self.given) < MAX_REQUESTS, "it asks for ever"
        status, body, head = answer
        return httpx.Response(
            status, content=body, headers=[(k.encode(), v.encode()) for k, v in head.items()]
        )


def test_an_answer_to_tracking_is_success_only_where_podos_shows_it(looking: Looking) -> None:
    tracking = Tracking("DPD", CODE, None)

    def check(script: list[AnAnswer]) -> None:
        podos = Script(script)
        for call in (_patched, _looked, _got):
            given = len(podos.given)
            shown = asyncio.run(_asked(podos, call))
            bodies = [body for _, (_, body, _) in podos.given[given:]]
            for held in shown:
                assert held.id == OURS
                if is_there(tracking, held):
                    assert any(_shows(body) for body in bodies)

    looking.run(scripts, check, short=200)


async def _asked(podos: Script, call: Callable[[PodosClient], Any]) -> list[Any]:
    access = PodosAccess("http://127.0.0.1:1", "acme", "token")
    async with PodosClient(access, max_attempts=1, transport=httpx.MockTransport(podos)) as client:
        try:
            found = await call(client)
        except PodosError as error:
            str(error).encode()
            assert error.words.isprintable()
            assert CODE not in error.words
            return []
    return found if isinstance(found, list) else [found] if found else []


async def _patched(client: PodosClient) -> Any:
    return await patch_fulfillment(client, OURS, courier="DPD", code=CODE, url=None)


async def _looked(client: PodosClient) -> Any:
    return await find_held(client, [OURS])


async def _got(client: PodosClient) -> Any:
    return await get_held(client, OURS)


def _shows(body: bytes) -> bool:
    return all(word in body for word in (OURS.encode(), CODE.encode())) and b"complete" in body.lower()


def outgoing() -> Outgoing:
    """An order that an earlier attempt may have handed over."""
    tried = datetime(2026, 11, 23, tzinfo=UTC)
    due = Due(1, 1, "acme", OURS, "A-1", "paid", reference=None, first_attempt_at=tried)
    order: dict[str, Any] = {
        "created_at": "2026-11-20T08:30:00+00:00",
        "order_number": "A-1",
        "phone": None,
        "email": None,
        "metadata": {},
        "items": [],
        "shipping": dict.fromkeys(
            ("name", "company", "address1", "address2", "city", "state", "postal_code", "country")
        ),
        "shipping_method": {"name": None, "code": None},
    }
    return Outgoing(due, "key", order, b"{}")


def test_an_order_is_handed_over_only_where_the_answer_says_so(looking: Looking) -> None:
    def check(script: list[AnAnswer]) -> None:
        for open_channel in (_order_desk, lambda: Webhook("http://127.0.0.1:1/x", "secret")):
            fulfiller = Script(script)
            answer = asyncio.run(_sent(open_channel, fulfiller))
            if answer is None:
                continue
            reference, reason = answer.reference, answer.verdict.reason or ""
            assert reference is None or (reference.isprintable() and 0 < len(reference) <= 200)
            assert reason.isprintable()
            if answer.verdict.state.value == "sent":
                request, (status, _, _) = fulfiller.given[-1]
                assert (request.method, status // 100) == ("POST", 2)
            if answer.verdict.state.value == "already_there":
                _, (status, body, _) = fulfiller.given[-1]
                assert status == 409 or OURS.encode() in body

    looking.run(scripts, check, short=60)


def _order_desk() -> Channel:
    return OrderDesk("http://127.0.0.1:1", "77", "key", folder_name="New")


async def _sent(open_channel: Callable[[], Channel], fulfiller: Script) -> Answer | None:
    channel = open_channel()
    with respx.mock(assert_all_called=False) as router:
        router.route().mock(side_effect=fulfiller)
        try:
            return (await channel.send([outgoing()]))[1]
        except FulfillerError as error:
            assert CANARY not in str(error)
            return None
        finally:
            await channel.close()


def test_shipments_that_come_back_are_what_the_store_holds(looking: Looking) -> None:
    def check(example: tuple[AnAnswer, str]) -> None:
        answer, reference = example

        async def call() -> list[Any]:
            channel = OrderDesk("http://127.0.0.1:1", "77", "key", folder_name="New")
            with respx.mock(assert_all_called=False) as router:
                router.route().mock(side_effect=Script([answer]))
                try:
                    return list(await channel.shipments_of(reference))
                except FulfillerError:
                    return []
                finally:
                    await channel.close()

        for courier, code, url in asyncio.run(call()):
            assert courier
            assert code
            assert url is None or url

    back = st.builds(lambda rows: b'{"status":"success","shipments":%b}' % rows, shipments | values)
    answer = st.builds(lambda status, body, head: (status, body, head), statuses, back | bodies, headers)
    references = st.sampled_from(["1000", "a b", "../x", "\u00e9", "?#", "x" * 200]) | st.text(max_size=5)
    looking.run(st.tuples(answer, references), check, short=60)


def test_a_retry_after_is_seconds_or_nothing(looking: Looking) -> None:
    def check(header: str) -> None:
        seconds = retry_after_seconds(header, now=datetime(2026, 11, 23, tzinfo=UTC))
        assert seconds is None or seconds >= 0

    dates = st.from_regex(
        r"(\w{3}, )?\d{1,3} \w{3} \d{1,5} \d{1,3}:\d{1,3}(:\d{1,3})? ?([+-]\d{2,6}|GMT)?", fullmatch=True
    )
    looking.run(st.text(max_size=20) | dates, check, short=200)
