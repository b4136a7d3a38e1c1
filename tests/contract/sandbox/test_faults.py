"""The sandbox's faults, server bugs and moving rows, as a client sees them."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from itertools import count, pairwise
from typing import Any

import httpx
import pytest

from deployments.sandbox.faults import FAULTS, Fault, FaultPlan, churn
from deployments.sandbox.server import Sandbox, SandboxSettings
from deployments.sandbox.store import Store

NOW = datetime(2026, 11, 23, 10, 15, tzinfo=UTC)
LIST = "/v1/fulfillments"


@pytest.fixture(scope="module")
def shared() -> Iterator[Sandbox]:
    with Sandbox(SandboxSettings(orders=120, now=NOW)) as running:
        yield running


@pytest.fixture
def sandbox(shared: Sandbox) -> Sandbox:
    shared.faults.reset()
    shared.store.log.clear()
    return shared


@pytest.fixture
def faults(sandbox: Sandbox) -> FaultPlan:
    return sandbox.faults


@pytest.fixture
def client(sandbox: Sandbox) -> Iterator[httpx.Client]:
    with httpx.Client(
        base_url=sandbox.url, headers=sandbox.headers, params={"project": sandbox.project}
    ) as opened:
        yield opened


def patch(sandbox: Sandbox, client: httpx.Client, status: str) -> httpx.Response:
    return client.patch(f"{LIST}/{sandbox.store.keys()[0]}", json={"status": status})


def status_of_first(sandbox: Sandbox) -> str:
    order = sandbox.store.get(sandbox.store.keys()[0])
    assert order is not None
    return str(order["status"])


@pytest.mark.parametrize("name", ["429", "500", "502", "503", "401", "403", "404"])
def test_refusals_answer_their_status_once_and_apply_nothing(
    sandbox: Sandbox, client: httpx.Client, name: str
) -> None:
    sandbox.store.update(sandbox.store.keys()[0], status="paid")
    sandbox.faults.then(name)
    answer = patch(sandbox, client, "printed")
    assert answer.status_code == int(name)
    assert answer.json().keys() == {"code", "message"}
    assert "retry-after" not in answer.headers
    assert status_of_first(sandbox) == "paid"
    assert patch(sandbox, client, "printed").status_code == 200
    assert [request.fault for request in sandbox.store.requests] == [name, None]


def test_retry_after_in_seconds(faults: FaultPlan, client: httpx.Client) -> None:
    faults.retry_after_seconds = 7
    faults.then("429_retry_after")
    answer = client.get(LIST)
    assert (answer.status_code, answer.headers["retry-after"]) == (429, "7")


def test_retry_after_as_a_date(faults: FaultPlan, client: httpx.Client) -> None:
    faults.retry_after_seconds = 3600
    faults.then("429_retry_after_date")
    answer = client.get(LIST)
    wait = parsedate_to_datetime(answer.headers["retry-after"]) - parsedate_to_datetime(
        answer.headers["date"]
    )
    assert answer.status_code == 429
    assert 3500 < wait.total_seconds() < 3700


def test_timeout_stays_silent_longer_than_the_client_waits(sandbox: Sandbox, client: httpx.Client) -> None:
    sandbox.faults.then("timeout")
    with pytest.raises(httpx.ReadTimeout):
        client.get(LIST, timeout=0.2)
    assert client.get(LIST).status_code == 200
    assert [request.status for request in sandbox.store.requests] == [504, 200]


def test_timeout_ends_in_a_504(faults: FaultPlan, client: httpx.Client) -> None:
    faults.hang_seconds = 0.01
    faults.then("timeout")
    assert client.get(LIST).status_code == 504


def test_cut_breaks_off_in_the_middle_of_the_body(faults: FaultPlan, client: httpx.Client) -> None:
    faults.then("cut")
    with pytest.raises(httpx.RemoteProtocolError, match="without sending complete"):
        client.get(LIST)
    assert client.get(LIST).status_code == 200


def test_cut_before_answer_applies_and_says_nothing(sandbox: Sandbox, client: httpx.Client) -> None:
    sandbox.store.update(sandbox.store.keys()[0], status="paid")
    sandbox.faults.then("cut_before_answer", method="PATCH")
    assert client.get(LIST).status_code == 200
    with pytest.raises(httpx.RemoteProtocolError, match="without sending a response"):
        patch(sandbox, client, "printed")
    assert status_of_first(sandbox) == "printed"
    assert [request.status for request in sandbox.store.requests] == [200, 0]


def test_broken_json_looks_like_a_good_answer(faults: FaultPlan, client: httpx.Client) -> None:
    faults.then("broken_json")
    answer = client.get(LIST)
    assert answer.status_code == 200
    assert int(answer.headers["content-length"]) == len(answer.content)
    with pytest.raises(ValueError, match=r"Expecting|Unterminated|Invalid"):
        answer.json()


def test_html_page_instead_of_json(faults: FaultPlan, client: httpx.Client) -> None:
    faults.then("html")
    answer = client.get(LIST)
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/html")
    assert answer.text.startswith("<!doctype html>")


def test_garbled_json_is_whole_but_for_its_middle(faults: FaultPlan, client: httpx.Client) -> None:
    good = client.get(LIST).content
    faults.then("garbled_json")
    bad = client.get(LIST).content
    assert len(bad) == len(good)
    assert (bad[:100], bad[-100:]) == (good[:100], good[-100:])
    with pytest.raises(ValueError, match=r"decode|control"):
        json.loads(bad)


def test_half_closed_ends_in_the_middle_and_still_listens(sandbox: Sandbox) -> None:
    sandbox.faults.then("half_closed")
    path = f"{LIST}?project={sandbox.project}"
    host = sandbox.url.removeprefix("http://")
    name, _, port = host.partition(":")
    with socket.create_connection((name, int(port)), timeout=10) as plain:
        head = f"GET {path} HTTP/1.1\r\nHost: {host}\r\nAuthorization: {sandbox.token}\r\n\r\n"
        plain.sendall(head.encode())
        got = b"".join(iter(lambda: plain.recv(65536), b""))
        for _ in range(3):
            plain.sendall(b"still here")  # a connection that is gone would refuse it
    _, _, body = got.partition(b"\r\n\r\n")
    assert 0 < len(body) < int(got.lower().split(b"content-length: ")[1].split()[0])


def test_half_closed_is_told_by_the_client(faults: FaultPlan, client: httpx.Client) -> None:
    faults.then("half_closed")
    with pytest.raises(httpx.RemoteProtocolError, match="without sending complete"):
        client.get(LIST)


def test_a_length_too_long_keeps_the_client_waiting(faults: FaultPlan, client: httpx.Client) -> None:
    faults.then("length_too_long", times=2)
    with pytest.raises(httpx.ReadTimeout):
        client.get(LIST, timeout=0.3)
    faults.hang_seconds = 0.05
    with pytest.raises(httpx.RemoteProtocolError, match="without sending complete"):
        client.get(LIST)


def test_a_length_too_short_leaves_half_an_answer_and_a_spoilt_connection(
    faults: FaultPlan, client: httpx.Client
) -> None:
    whole = client.get(LIST).content
    faults.then("length_too_short")
    half = client.get(LIST).content
    assert half == whole[: len(half)]
    assert len(half) < len(whole)
    with suppress(httpx.RemoteProtocolError):  # what was too much may be taken for the next answer
        assert client.get(LIST).content == whole
    assert client.get(LIST).content == whole


def test_a_dripping_answer_comes_whole(faults: FaultPlan, client: httpx.Client) -> None:
    whole = client.get(LIST).content
    faults.drip_seconds = 0.1
    faults.then("drip")
    with client.stream("GET", LIST) as answer:
        pieces = list(answer.iter_raw())
    assert b"".join(pieces) == whole
    assert len(pieces) > 5


def test_a_spike_is_late_and_nothing_else(faults: FaultPlan, client: httpx.Client) -> None:
    faults.spike_seconds = 0.5
    faults.then("spike", times=2)
    with pytest.raises(httpx.ReadTimeout):
        client.get(LIST, timeout=0.1)
    assert client.get(LIST).status_code == 200


@pytest.mark.parametrize("ahead", [3600, -3600])
def test_a_wrong_clock_dates_changes_and_answers(sandbox: Sandbox, client: httpx.Client, ahead: int) -> None:
    sandbox.faults.clock_ahead_seconds = ahead
    changed = patch(sandbox, client, "printed")
    moments = [
        datetime.fromisoformat(changed.json()["updatedAt"]),
        parsedate_to_datetime(changed.headers["date"]),
    ]
    assert [(moment - NOW).total_seconds() for moment in moments] == [ahead, ahead]
    sandbox.faults.reset()
    assert datetime.fromisoformat(patch(sandbox, client, "paid").json()["updatedAt"]) == NOW


def test_rates_hit_some_requests(faults: FaultPlan, client: httpx.Client) -> None:
    faults.rates = {"500": 0.5}
    answers = [client.get(LIST, params={"pageSize": 1}).status_code for _ in range(30)]
    assert set(answers) == {200, 500}
    assert faults.played["500"] == answers.count(500)


def test_latency_does_not_change_the_answer(faults: FaultPlan, client: httpx.Client) -> None:
    faults.latency_seconds = faults.latency_jitter_seconds = 0.005
    assert client.get(LIST).status_code == 200


@pytest.mark.parametrize("name", FAULTS)
def test_sandbox_answers_again_after_every_fault(sandbox: Sandbox, client: httpx.Client, name: str) -> None:
    sandbox.faults.hang_seconds = sandbox.faults.spike_seconds = sandbox.faults.drip_seconds = 0
    sandbox.faults.script.append(Fault(name))
    try:
        client.get(LIST)
    except httpx.RemoteProtocolError:
        assert name in {"cut", "cut_before_answer", "half_closed", "length_too_long", "length_too_short"}
    for _ in range(2):  # what was left on a connection can spoil one more answer
        with suppress(httpx.RemoteProtocolError):
            client.get(LIST)
    assert client.get(LIST).status_code == 200


def get_page(client: httpx.Client, **params: Any) -> dict[str, Any]:
    names = {"size": "pageSize", "page": "pageToken", "sort": "sortBy[]"}
    answer: dict[str, Any] = client.get(LIST, params={names.get(k, k): v for k, v in params.items()}).json()
    return answer


def ids(page: dict[str, Any]) -> list[str]:
    return [row["id"] for row in page["fulfillments"]]


def test_bug_ignored_sort_answers_newest_first(faults: FaultPlan, client: httpx.Client) -> None:
    faults.ignore_sort = True
    created = [row["createdAt"] for row in get_page(client, sort="createdAt")["fulfillments"]]
    assert created == sorted(created, reverse=True)
    assert created[0] != created[-1]


def test_bug_ignored_start_answers_older_orders(faults: FaultPlan, client: httpx.Client) -> None:
    start = NOW.isoformat()
    assert ids(get_page(client, start=start)) == []
    faults.ignore_start = True
    assert len(ids(get_page(client, start=start))) == 100


def test_bug_ignored_page_token_answers_page_one_for_ever(faults: FaultPlan, client: httpx.Client) -> None:
    faults.ignore_page_token = True
    assert get_page(client, page=1) == get_page(client, page=2) == get_page(client, page=99)
    assert get_page(client, page=99)["nextPageToken"] == 2


def test_bug_capped_page_size(faults: FaultPlan, client: httpx.Client) -> None:
    faults.page_size_cap = 25
    page = get_page(client, size=100, page=4)
    assert (len(ids(page)), page["nextPageToken"]) == (25, 5)


def read_all(client: httpx.Client, **params: Any) -> list[list[str]]:
    pages: list[list[str]] = []
    for number in count(1):
        page = get_page(client, page=number, **params)
        pages.append(ids(page))
        if page["nextPageToken"] is None:
            break
    return pages


def test_small_pages_lose_nothing(sandbox: Sandbox, client: httpx.Client) -> None:
    sandbox.faults.small_pages = True
    pages = read_all(client, size=20, sort="createdAt")
    assert len({len(page) for page in pages}) > 3
    assert sorted(key for page in pages for key in page) == sorted(sandbox.store.keys())


def test_bug_duplicate_rows_repeat_on_the_next_page(sandbox: Sandbox, client: httpx.Client) -> None:
    sandbox.faults.duplicate_rows = True
    pages = read_all(client, size=10, sort="createdAt")
    rows = [key for page in pages for key in page]
    assert len(rows) > len(set(rows)) == len(sandbox.store)
    assert any(before[-1] == after[0] for before, after in pairwise(pages))
    assert max(map(len, pages)) <= 10


@pytest.mark.parametrize("bug", ["start_exclusive", "end_exclusive"])
def test_bug_exclusive_edges(sandbox: Sandbox, client: httpx.Client, bug: str) -> None:
    moment = sandbox.store.all()[60]["createdAt"]
    assert ids(get_page(client, start=moment, end=moment))
    setattr(sandbox.faults, bug, True)
    assert ids(get_page(client, start=moment, end=moment)) == []


def test_before_list_is_called_with_the_store_and_a_number() -> None:
    seen: list[tuple[int, int]] = []

    def hook(store: Store, number: int) -> None:
        seen.append((number, len(store)))
        store.remove(store.keys()[0])

    with Sandbox(SandboxSettings(orders=5, now=NOW)) as sandbox:
        sandbox.faults.before_list = hook
        params = {"project": sandbox.project}
        rows = [
            len(httpx.get(sandbox.url + LIST, params=params, headers=sandbox.headers).json()["fulfillments"])
            for _ in range(2)
        ]
    assert seen == [(1, 5), (2, 4)]
    assert rows == [4, 3]


def run_with_churn(seed: int) -> tuple[Sandbox, list[str], tuple[list[str], ...]]:
    with Sandbox(SandboxSettings(orders=300, now=NOW)) as sandbox:
        sandbox.store.set_clock(lambda: datetime(2026, 11, 23, 11, tzinfo=UTC))
        hook = sandbox.faults.before_list = churn(rate=2.5, seed=seed)
        client = httpx.Client(
            base_url=sandbox.url, headers=sandbox.headers, params={"project": sandbox.project}
        )
        with client:
            pages = read_all(client, size=10, sort="updatedAt", **{"statuses[]": "paid"})
    return (
        sandbox,
        [key for page in pages for key in page],
        (hook.moved, hook.left, hook.returned, hook.appeared),
    )


def test_churn_makes_a_plain_page_loop_lose_orders() -> None:
    sandbox, read, (moved, left, returned, appeared) = run_with_churn(seed=3)
    paid = {order["id"] for order in sandbox.store.all() if order["status"] == "paid"}
    assert moved
    assert set(returned) <= set(left)
    assert returned
    assert appeared
    assert paid - set(read), "the loop should have missed some"
    assert len(sandbox.store) == 300 + len(appeared)
    assert len(set(left) & paid) <= len(returned)


def test_churn_does_the_same_for_the_same_seed() -> None:
    assert run_with_churn(seed=5)[1:] == run_with_churn(seed=5)[1:]


def test_a_failing_hook_is_told_on_the_log(
    sandbox: Sandbox, client: httpx.Client, caplog: pytest.LogCaptureFixture
) -> None:
    def hook(store: Store, number: int) -> None:
        raise RuntimeError(f"hook failed at {number}")

    sandbox.faults.before_list = hook
    answer = client.get(LIST)
    assert (answer.status_code, answer.json()["code"]) == (500, "sandbox_failure")
    assert "hook failed at" in caplog.text
    assert sandbox.token not in caplog.text
