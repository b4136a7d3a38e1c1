"""The podOS client: what goes over the wire; every bad answer ends in success or in the right error."""

from __future__ import annotations

import asyncio
import json
import logging
import socket
from collections.abc import Awaitable, Callable, Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import TypeVar

import httpx
import pytest
import stamina

from deployments.sandbox.server import Sandbox, SandboxSettings
from tasks.podos.client import (
    SLOWEST_ANSWER_SECONDS,
    ListQuery,
    PodosAccess,
    PodosClient,
    find_authorization,
)
from tasks.podos.errors import (
    FatalPodosError,
    PodosError,
    RetriablePodosError,
    TokenRefusedError,
    UnknownProjectError,
    WrongAnswerError,
)
from tasks.podos.parsing import ParsedPage, Row, Unreadable
from tasks.podos.retry import MAX_ATTEMPTS

T = TypeVar("T")
NOW = datetime(2026, 11, 23, 10, 15, tzinfo=UTC)
TOKEN = "secret-token-4711"
EMPTY = b'{"fulfillments":[],"nextPageToken":null}'
Handler = Callable[[httpx.Request], httpx.Response]


@pytest.fixture(scope="module")
def shared() -> Iterator[Sandbox]:
    with Sandbox(SandboxSettings(orders=300, now=NOW, token=TOKEN)) as running:
        yield running


@pytest.fixture
def sandbox(shared: Sandbox) -> Sandbox:
    shared.faults.reset()
    shared.store.log.clear()
    return shared


@pytest.fixture(autouse=True)
def no_waiting() -> Iterator[None]:
    with stamina.set_testing(True, attempts=50, cap=True):
        yield


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[float]]:
    """The pauses between attempts, as they would be, without waiting."""
    pauses: list[float] = []

    async def pause(seconds: float) -> None:
        pauses.append(seconds)

    monkeypatch.setattr("stamina._core._smart_sleep", pause)
    with stamina.set_testing(False):
        yield pauses


def access_to(sandbox: Sandbox, **changes: str) -> PodosAccess:
    return PodosAccess(
        **{"base_url": sandbox.url, "project": sandbox.project, "token": sandbox.token} | changes
    )


def run(
    call: Callable[[PodosClient], Awaitable[T]],
    access: PodosAccess | None = None,
    *,
    handler: Handler | None = None,
    max_attempts: int = MAX_ATTEMPTS,
    timeout_seconds: float = 30.0,
    slowest_seconds: float = SLOWEST_ANSWER_SECONDS,
) -> T:
    async def use() -> T:
        async with PodosClient(
            access or PodosAccess("https://podos.example.test", "acme", TOKEN),
            transport=httpx.MockTransport(handler) if handler else None,
            max_attempts=max_attempts,
            timeout_seconds=timeout_seconds,
            slowest_seconds=slowest_seconds,
        ) as client:
            return await call(client)

    return asyncio.run(use())


def list_page(client: PodosClient) -> Awaitable[ParsedPage]:
    return client.list_page(ListQuery())


class Answers:
    """Answers a request with each of these in turn, the last one for ever; keeps the requests."""

    def __init__(self, *answers: httpx.Response | Exception) -> None:
        self.left = list(answers)
        self.requests: list[httpx.Request] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        answer = self.left.pop(0) if len(self.left) > 1 else self.left[0]
        if isinstance(answer, Exception):
            raise answer
        return httpx.Response(answer.status_code, headers=answer.headers, content=answer.content)


def ok() -> httpx.Response:
    return httpx.Response(200, content=EMPTY)


def test_every_parameter_goes_over_the_wire_as_podos_reads_it(sandbox: Sandbox) -> None:
    query = ListQuery(
        sort_by="-updatedAt",
        start=datetime.fromisoformat("2026-11-01T02:00:00.750+02:00"),
        end=NOW,
        date_field="updatedAt",
        ids=("a", "b&c"),
        page=2,
        page_size=50,
    )
    run(lambda client: client.list_page(query), access_to(sandbox))
    (request,) = sandbox.store.requests
    assert (request.method, request.path) == ("GET", "/v1/fulfillments")
    assert sorted(request.query) == [
        ("dateFilterType", "updatedAt"),
        ("end", "2026-11-23T10:15:00Z"),
        ("ids[]", "a"),
        ("ids[]", "b&c"),
        ("pageSize", "50"),
        ("pageToken", "2"),
        ("project", sandbox.project),
        ("sortBy[]", "-updatedAt"),
        ("start", "2026-11-01T00:00:00Z"),
    ]


def test_what_is_not_asked_for_is_not_sent(sandbox: Sandbox) -> None:
    run(list_page, access_to(sandbox))
    assert sorted(sandbox.store.requests[0].query) == [
        ("pageSize", "100"),
        ("pageToken", "1"),
        ("project", sandbox.project),
    ]


def test_a_page_is_what_the_store_holds(sandbox: Sandbox) -> None:
    page = run(lambda client: client.list_page(ListQuery(sort_by="createdAt")), access_to(sandbox))
    expected = sorted(sandbox.store.all(), key=lambda order: str(order["createdAt"]))[:100]
    assert [row.id for row in page.rows] == [order["id"] for order in expected]
    assert page.next_page_token == 2


@pytest.mark.parametrize(("scheme", "header"), [("raw", TOKEN), ("bearer", f"Bearer {TOKEN}")])
def test_the_token_is_sent_raw_or_as_bearer(scheme: str, header: str) -> None:
    answers = Answers(ok())
    run(list_page, PodosAccess("https://podos.example.test", "acme", TOKEN, scheme), handler=answers)
    assert answers.requests[0].headers["authorization"] == header


@pytest.mark.parametrize(("scheme", "expected"), [("raw", "raw"), ("bearer", "bearer"), ("both", "raw")])
def test_connecting_finds_out_how_the_token_is_wanted(scheme: str, expected: str) -> None:
    settings = SandboxSettings(orders=1, now=NOW, auth_scheme=scheme)  # type: ignore[arg-type]
    with Sandbox(settings) as sandbox:
        assert asyncio.run(find_authorization(access_to(sandbox))) == expected


def test_connecting_with_a_wrong_token_tries_both_ways_and_says_so(sandbox: Sandbox) -> None:
    with pytest.raises(TokenRefusedError):
        asyncio.run(find_authorization(access_to(sandbox, token="wrong")))
    assert [request.status for request in sandbox.store.requests] == [401, 401]


def test_connecting_with_a_wrong_project_says_so(sandbox: Sandbox) -> None:
    with pytest.raises(UnknownProjectError, match="check the Project Name"):
        asyncio.run(find_authorization(access_to(sandbox, project="other")))
    assert len(sandbox.store.requests) == 1


@pytest.mark.parametrize(
    ("status", "kind"),
    [(400, FatalPodosError), (401, TokenRefusedError), (403, TokenRefusedError), (404, UnknownProjectError)],
)
def test_what_asking_again_would_not_change_is_asked_once(status: int, kind: type[PodosError]) -> None:
    answers = Answers(httpx.Response(status, json={"code": "x", "message": "pageSize is\n too large"}))
    with pytest.raises(kind) as caught:
        run(list_page, handler=answers)
    assert type(caught.value) is kind
    assert (caught.value.status, caught.value.project, len(answers.requests)) == (status, "acme", 1)
    assert caught.value.asked == "GET /v1/fulfillments"
    assert "too large" not in f"{caught.value} {vars(caught.value)}"  # it could be a buyer's name


@pytest.mark.parametrize(
    "content", [b"", b"[1]", b'"x"', b"<html>", b'{"message":{"a":1}}', b'{"message":null}']
)
def test_a_refusal_in_any_form_is_still_a_refusal(content: bytes) -> None:
    with pytest.raises(FatalPodosError):
        run(list_page, handler=Answers(httpx.Response(400, content=content)))


FAULTS = ["429", "429_retry_after", "429_retry_after_date", "500", "502", "503", "html", "broken_json", "cut"]
FAULTS += ["garbled_json", "half_closed", "length_too_long"]


@pytest.mark.parametrize("fault", [*FAULTS, "cut_before_answer", "timeout"])
def test_a_fault_that_passes_ends_in_the_answer(sandbox: Sandbox, fault: str) -> None:
    sandbox.faults.hang_seconds = 0.0
    sandbox.faults.then(fault, times=MAX_ATTEMPTS - 1)
    assert len(run(list_page, access_to(sandbox)).rows) == 100
    assert len(sandbox.store.requests) == MAX_ATTEMPTS


@pytest.mark.parametrize("fault", [*FAULTS, "cut_before_answer", "timeout"])
def test_a_fault_that_stays_ends_in_a_retriable_error(sandbox: Sandbox, fault: str) -> None:
    sandbox.faults.hang_seconds = 0.0
    sandbox.faults.then(fault, times=3)
    with pytest.raises(RetriablePodosError) as caught:
        run(list_page, access_to(sandbox), max_attempts=3)
    assert (len(sandbox.store.requests), caught.value.project) == (3, sandbox.project)
    assert TOKEN not in str(caught.value) + repr(caught.value)


def test_silence_ends_in_a_retriable_error(sandbox: Sandbox) -> None:
    sandbox.faults.then("timeout")
    with pytest.raises(RetriablePodosError, match="did not answer in time"):
        run(list_page, access_to(sandbox), max_attempts=1, timeout_seconds=0.05)


def test_an_answer_that_drips_without_end_is_given_up(sandbox: Sandbox) -> None:
    """Each byte comes in time, the answer never does."""
    sandbox.faults.drip_seconds = 60
    sandbox.faults.then("drip")
    with pytest.raises(RetriablePodosError, match="did not answer in time"):
        run(list_page, access_to(sandbox), max_attempts=1, timeout_seconds=5, slowest_seconds=0.2)


def test_what_a_wrong_length_left_on_the_connection_is_no_answer(sandbox: Sandbox) -> None:
    sandbox.faults.then("length_too_short", times=2)
    rows = run(list_page, access_to(sandbox), timeout_seconds=1).rows
    assert [row.id for row in rows] == [row.id for row in run(list_page, access_to(sandbox)).rows]
    assert len(rows) == 100


def test_an_address_where_nobody_listens_is_a_retriable_error() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        access = PodosAccess(f"http://127.0.0.1:{unused.getsockname()[1]}", "acme", TOKEN)
        with pytest.raises(RetriablePodosError, match="could not be reached") as caught:
            run(list_page, access, max_attempts=2)
    assert caught.value.status is None


@pytest.mark.parametrize(
    "address", ["https://x:abc", "https://exa\nmple.com", "https://xn--a", "https://x/\x00", "x"]
)
def test_an_address_that_is_none_is_named(address: str) -> None:
    with pytest.raises(FatalPodosError, match="podOS Address"):
        run(list_page, PodosAccess(address, "acme", TOKEN))


def test_a_redirect_is_not_followed() -> None:
    answers = Answers(httpx.Response(302, headers={"Location": "https://elsewhere.example.test/"}))
    with pytest.raises(FatalPodosError, match="not followed"):
        run(list_page, handler=answers)
    assert [request.url.host for request in answers.requests] == ["podos.example.test"]


@pytest.mark.parametrize(
    "body", [b'{"data":[]}', b"[]", b"7", b'{"fulfillments":{}}', b'{"fulfillments":null}']
)
def test_json_that_is_no_page_is_a_wrong_answer(body: bytes) -> None:
    answers = Answers(httpx.Response(200, content=body))
    with pytest.raises(WrongAnswerError, match="podOS Address"):
        run(list_page, handler=answers)
    assert len(answers.requests) == 1


def test_a_web_page_is_named_as_such() -> None:
    page = httpx.Response(200, html="<!doctype html><title>Sign in</title>")
    with pytest.raises(RetriablePodosError, match="a web page answered"):
        run(list_page, handler=Answers(page), max_attempts=2)


def test_a_body_that_can_not_be_unpacked_is_retriable() -> None:
    """Built by hand: httpx would refuse to make such a response."""

    def handler(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, headers={"Content-Encoding": "gzip"}, stream=httpx.ByteStream(b"no gzip"))

    with pytest.raises(RetriablePodosError, match="no readable form"):
        run(list_page, handler=handler, max_attempts=2)


def test_retry_after_counts_from_the_clock_of_podos(waits: list[float]) -> None:
    """Its clock runs a day and a half behind; five seconds are asked for."""
    date = datetime.now(UTC) - timedelta(hours=36)
    until = date + timedelta(seconds=5)
    headers = {"Retry-After": format_datetime(until, usegmt=True), "Date": format_datetime(date, usegmt=True)}
    run(list_page, handler=Answers(httpx.Response(429, headers=headers), ok()))
    assert waits == [5.0]


@pytest.mark.parametrize("header", ["7", "0", "http-date", "past-date"])
def test_retry_after_is_waited_for(header: str, waits: list[float]) -> None:
    dates = {"http-date": datetime.now(UTC) + timedelta(seconds=60), "past-date": NOW - timedelta(days=900)}
    value = format_datetime(dates[header], usegmt=True) if header in dates else header
    answers = Answers(httpx.Response(429, headers={"Retry-After": value}), ok())
    run(list_page, handler=answers)
    expected = {"7": 7.0, "0": 0.0, "http-date": 60.0, "past-date": 0.0}[header]
    assert len(waits) == 1
    assert expected - 30 <= waits[0] <= expected


class Pace:
    """Lets every request begin at once, and counts the refusals."""

    def __init__(self) -> None:
        self.refusals = 0

    async def __call__(self) -> None:
        pass

    async def refused(self) -> None:
        self.refusals += 1


@pytest.mark.parametrize("throttled_seconds", [0.0, 600.0])
def test_a_slower_rate_uses_up_time_and_no_attempts(waits: list[float], throttled_seconds: float) -> None:
    answers = Answers(*[httpx.Response(429)] * (MAX_ATTEMPTS + 1), ok())
    access, pace = PodosAccess("https://podos.example.test", "acme", TOKEN), Pace()

    async def ask() -> int:
        transport = httpx.MockTransport(answers)
        async with PodosClient(
            access, transport=transport, throttled_seconds=throttled_seconds, pace=pace
        ) as client:
            try:
                await client.list_page(ListQuery())
            except RetriablePodosError:
                return -pace.refusals
            return pace.refusals

    expected = MAX_ATTEMPTS + 1 if throttled_seconds else -MAX_ATTEMPTS
    assert asyncio.run(ask()) == expected


def test_without_retry_after_the_pause_grows(waits: list[float]) -> None:
    run(list_page, handler=Answers(*[httpx.Response(503)] * 5, ok()))
    assert len(waits) == 5
    assert waits[-1] > waits[0] > 0
    assert max(waits) <= 31


def test_a_retry_after_of_hours_is_left_to_the_next_run(waits: list[float]) -> None:
    answers = Answers(httpx.Response(429, headers={"Retry-After": "7200"}))
    with pytest.raises(RetriablePodosError) as caught:
        run(list_page, handler=answers)
    assert (waits, len(answers.requests), caught.value.retry_after_seconds) == ([], 1, 7200.0)


def ids_of(rows: list[Row]) -> list[str | None]:
    return sorted((row.id for row in rows), key=str)


def test_250_ids_are_read_a_hundred_at_a_time(sandbox: Sandbox) -> None:
    wanted = sandbox.store.keys()[:250]
    found = run(lambda client: client.get_by_ids(wanted), access_to(sandbox))
    assert ids_of(found) == sorted(wanted)
    sent = [[value for name, value in request.query if name == "ids[]"] for request in sandbox.store.requests]
    assert [len(ids) for ids in sent] == [100, 100, 50]


def test_unknown_and_repeated_ids_are_no_trouble(sandbox: Sandbox) -> None:
    first, second = sandbox.store.keys()[:2]
    found = run(lambda client: client.get_by_ids([first, "unknown", first, second]), access_to(sandbox))
    assert ids_of(found) == sorted([first, second])
    assert run(lambda client: client.get_by_ids([]), access_to(sandbox)) == []


@pytest.mark.parametrize(
    "bug", ["page_size_cap", "small_pages", "duplicate_rows", "ignore_page_token", "all"]
)
def test_ids_are_found_on_whatever_pages_they_come(sandbox: Sandbox, bug: str) -> None:
    wanted = sandbox.store.keys()[:130]
    sandbox.faults.page_size_cap = 30 if bug != "small_pages" else None
    for name in ("small_pages", "duplicate_rows", "ignore_page_token"):
        setattr(sandbox.faults, name, bug in (name, "all"))
    found = run(lambda client: client.get_by_ids(wanted), access_to(sandbox))
    assert ids_of(found) == sorted(wanted)


def test_rows_that_move_while_ids_are_read_are_not_missed(sandbox: Sandbox) -> None:
    wanted = sandbox.store.keys()[:100]
    sandbox.faults.page_size_cap = 20

    def newest_becomes_oldest(store: object, number: int) -> None:
        key = sandbox.store.keys()[number % 100]
        sandbox.store.update(key, createdAt=(NOW - timedelta(days=60 + number)).isoformat())

    sandbox.faults.before_list = newest_becomes_oldest
    assert ids_of(run(lambda client: client.get_by_ids(wanted), access_to(sandbox))) == sorted(wanted)


def test_a_server_that_ignores_ids_is_named() -> None:
    rows = [{"id": f"other-{n}", "status": "paid", "createdAt": NOW.isoformat()} for n in range(3)]
    page = httpx.Response(200, content=json.dumps({"fulfillments": rows, "nextPageToken": 2}))
    with pytest.raises(WrongAnswerError, match="other orders than those asked for"):
        run(lambda client: client.get_by_ids(["a"]), handler=Answers(page))


def test_an_unreadable_order_is_found_by_its_id() -> None:
    page = httpx.Response(200, content=b'{"fulfillments":[{"id":"a","items":7}],"nextPageToken":null}')
    (row,) = run(lambda client: client.get_by_ids(["a"]), handler=Answers(page))
    assert isinstance(row, Unreadable)


def test_the_token_is_in_no_log_and_no_error(sandbox: Sandbox, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        for name in ("httpx", "httpcore", "stamina"):
            caplog.set_level(logging.DEBUG, logger=name)
        sandbox.faults.then("500", "cut", "429", "broken_json")
        run(list_page, access_to(sandbox))
        for status in ("401", "404", "400"):
            with pytest.raises(PodosError) as caught:
                run(list_page, handler=Answers(httpx.Response(int(status))))
            assert TOKEN not in f"{caught.value} {caught.value!r} {vars(caught.value)}"
            assert caught.value.__cause__ is None
    said = "\n".join(f"{record.getMessage()} {record.args} {vars(record)}" for record in caplog.records)
    assert any(record.name.startswith("httpcore") for record in caplog.records), "nothing was logged"
    assert TOKEN not in said


def test_an_error_of_the_network_keeps_no_request() -> None:
    """The error of httpx holds the request with its headers; ours must not drag it along."""
    with pytest.raises(RetriablePodosError) as caught:
        run(list_page, handler=Answers(httpx.ConnectError("no route")), max_attempts=1)
    assert caught.value.__suppress_context__
    assert "ConnectError" in str(caught.value)
    assert TOKEN not in repr(caught.value) + str(vars(caught.value))
