"""The calls of tracking against the sandbox: what they say of every kind of answer."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from functools import partial
from typing import Any

import httpx
import pytest

from deployments.sandbox.server import Sandbox, SandboxSettings
from models.podos import HeldTracking
from tasks.podos.client import PodosAccess, PodosClient
from tasks.podos.errors import RefusedChangeError, RetriablePodosError, TokenRefusedError
from tasks.podos.remote_tracking import BrokenAnswerError, parse_held, parse_held_page
from tasks.podos.tracking import find_held, get_held, patch_fulfillment

CODE = "00340434161094042557"


@pytest.fixture(scope="module")
def running() -> Iterator[Sandbox]:
    with Sandbox(SandboxSettings(orders=0)) as sandbox:
        for number in range(130):
            dates = dict.fromkeys(("createdAt", "updatedAt"), "2026-11-01T00:00:00Z")
            sandbox.store.add({"id": f"source-{number}", "status": "paid", "tracking": None, **dates})
        yield sandbox


@pytest.fixture
def podos(running: Sandbox) -> Sandbox:
    running.faults.reset()
    running.store.log.clear()
    running.store.update("source-1", status="paid", tracking=None)
    return running


def client_of(podos: Sandbox) -> PodosClient:
    return PodosClient(PodosAccess(podos.url, podos.project, podos.token), max_attempts=1)


def patch(podos: Sandbox, source_id: str = "source-1", courier: str = "DPD") -> HeldTracking:
    async def call() -> HeldTracking:
        async with client_of(podos) as client:
            return await patch_fulfillment(client, source_id, courier=courier, code=CODE, url=None)

    return asyncio.run(call())


def look(podos: Sandbox, *ids: str) -> list[HeldTracking]:
    async def call() -> list[HeldTracking]:
        async with client_of(podos) as client:
            return await find_held(client, ids)

    return asyncio.run(call())


def test_tracking_and_status_are_written_in_one_call(podos: Sandbox) -> None:
    assert patch(podos) == HeldTracking("source-1", "complete", "DPD", CODE, None)
    assert podos.store.patches == [
        ("source-1", {"status": "complete", "tracking": {"courier": "DPD", "code": CODE}})
    ]
    assert len(podos.store.requests) == 1


@pytest.mark.parametrize(
    "fault", ["429", "500", "502", "503", "cut", "cut_before_answer", "broken_json", "html"]
)
def test_an_unclear_answer_is_asked_once_and_named_retriable(podos: Sandbox, fault: str) -> None:
    podos.faults.then(fault)
    with pytest.raises(RetriablePodosError) as caught:
        patch(podos)
    assert len(podos.store.requests) == 1
    assert CODE not in str(caught.value)


@pytest.mark.parametrize("fault", ["429_retry_after", "429_retry_after_date"])
def test_retry_after_is_told_in_seconds(podos: Sandbox, fault: str) -> None:
    podos.faults.retry_after_seconds = 600
    podos.faults.then(fault)
    with pytest.raises(RetriablePodosError) as caught:
        patch(podos)
    assert caught.value.retry_after_seconds == pytest.approx(600, abs=5)


@pytest.mark.parametrize("fault", ["401", "403"])
def test_a_refused_token_is_named(podos: Sandbox, fault: str) -> None:
    podos.faults.then(fault)
    with pytest.raises(TokenRefusedError):
        patch(podos)


def test_an_unknown_order_is_no_unknown_project(podos: Sandbox) -> None:
    with pytest.raises(RefusedChangeError) as caught:
        patch(podos, "nobody")
    assert (caught.value.status, caught.value.words) == (404, "")


def test_a_refused_change_carries_podos_own_words(podos: Sandbox) -> None:
    with pytest.raises(RefusedChangeError) as caught:
        patch(podos, courier=" ")
    assert (caught.value.status, caught.value.words) == (
        400,
        "tracking.courier: must be a text that is not empty",
    )


def test_a_look_at_100_is_one_request_whatever_else_the_orders_hold(podos: Sandbox) -> None:
    podos.store.update("source-2", items="broken", createdAt=None)
    found = look(podos, *(f"source-{number}" for number in range(99)), "nobody")
    assert len(found) == 99
    assert len(podos.store.requests) == 1


def test_pages_that_are_smaller_than_asked_for_are_followed(podos: Sandbox) -> None:
    podos.faults.page_size_cap = 40
    assert len(look(podos, *(f"source-{number}" for number in range(100)))) == 100


def test_one_order_is_found_or_is_none(podos: Sandbox) -> None:
    async def call() -> tuple[HeldTracking | None, HeldTracking | None]:
        async with client_of(podos) as client:
            return await get_held(client, "source-1"), await get_held(client, "../nobody?x=1")

    found, missing = asyncio.run(call())
    assert (found, missing) == (HeldTracking("source-1", "paid"), None)


DEEP = b"[" * 2000 + b"]" * 2000
ROW = b'{"id":"a","status":"paid","tracking":{"courier":"DPD","code":"1"},"shippingAddress":%b}'


@pytest.mark.parametrize("odd", [b'"\\ud800"', b'"\xff"', b'"\x00"', b"9" * 5000, b"1e999", DEEP])
def test_nothing_else_of_an_order_gets_in_the_way(odd: bytes) -> None:
    shown = HeldTracking("a", "paid", "DPD", "1", None)
    assert parse_held(ROW % odd) == shown
    page = b'{"fulfillments":[%b,%b,{"id":"b"}],"nextPageToken":2}' % (odd, ROW % odd)
    assert parse_held_page(page) == ([shown, HeldTracking("b")], 2)


def answering(body: bytes, status: int = 200) -> tuple[PodosClient, list[httpx.Request]]:
    """A client of a podOS that gives one answer, and what it was asked."""
    asked: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        return httpx.Response(status, content=body)

    access = PodosAccess("http://127.0.0.1:1", "acme", "token")
    return PodosClient(access, max_attempts=1, transport=httpx.MockTransport(answer)), asked


@pytest.mark.parametrize("token", [1, 2, -1])
def test_pages_that_lead_in_a_circle_come_to_an_end(token: int) -> None:
    client, asked = answering(b'{"fulfillments":[],"nextPageToken":%d}' % token)
    assert asyncio.run(find_held(client, ["a", "b", "c"])) == []
    assert len(asked) <= 3


@pytest.mark.parametrize("call", [get_held, partial(patch_fulfillment, courier="DPD", code="1", url=None)])
def test_another_order_than_the_one_asked_for_says_nothing(call: Any) -> None:
    client, _ = answering(b'{"id":"b","status":"complete","tracking":{"courier":"DPD","code":"1"}}')
    with pytest.raises(RetriablePodosError, match="another order"):
        asyncio.run(call(client, "a"))


@pytest.mark.parametrize(
    ("message", "words"),
    [('"no\\u0000 such\\n\\ud800 order"', "no such order"), ("[" * 5000 + "]" * 5000, ""), ("9" * 5000, "")],
)
def test_podos_words_are_such_as_a_database_takes(message: str, words: str) -> None:
    client, _ = answering(b'{"message":%b}' % message.encode(), status=400)
    with pytest.raises(RefusedChangeError) as caught:
        asyncio.run(patch_fulfillment(client, "a", courier="DPD", code="1", url=None))
    assert caught.value.words == words


@pytest.mark.parametrize("body", [b"", b"[]", b'"x"', b"{", b'{"id": 5}', b"<html>"])
def test_what_is_no_order_is_broken(body: bytes) -> None:
    with pytest.raises(BrokenAnswerError):
        parse_held(body)
    with pytest.raises(BrokenAnswerError):
        parse_held_page(body)


@pytest.mark.parametrize(
    ("tracking", "code"), [("null", None), ('"x"', None), ('{"code": ""}', None), ('{"code": 17}', "17")]
)
def test_tracking_of_any_shape_is_read(tracking: str, code: str | None) -> None:
    held = parse_held(b'{"id": "a", "status": null, "tracking": %s}' % tracking.encode())
    assert held == HeldTracking("a", None, None, code, None)
