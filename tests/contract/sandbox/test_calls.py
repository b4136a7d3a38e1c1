"""The sandbox's get and PATCH calls, who may ask, and what it keeps of the requests."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from deployments.sandbox.server import Sandbox, SandboxSettings

NOW = datetime(2026, 11, 23, 10, 15, tzinfo=UTC)
LIST = "/v1/fulfillments"
TRACKING = {"courier": "Example Mail", "code": "0012345", "url": "https://track.example.test/0012345"}


@pytest.fixture(scope="module")
def shared() -> Iterator[Sandbox]:
    with Sandbox(SandboxSettings(orders=40, now=NOW)) as running:
        yield running


@pytest.fixture
def sandbox(shared: Sandbox) -> Iterator[Sandbox]:
    before = set(shared.store.keys())
    shared.store.set_clock(lambda: NOW)
    yield shared
    for added in set(shared.store.keys()) - before:
        shared.store.remove(added)
    shared.store.log.enabled = True
    shared.store.log.clear()


@pytest.fixture
def client(sandbox: Sandbox) -> Iterator[httpx.Client]:
    with httpx.Client(
        base_url=sandbox.url, headers=sandbox.headers, params={"project": sandbox.project}
    ) as opened:
        yield opened


def id_of(sandbox: Sandbox, status: str) -> str:
    order_id = sandbox.store.add(
        {"id": f"one-{status}", "status": status, "tracking": None, "statusHistory": []}
    )
    return f"{LIST}/{order_id}"


def test_get_answers_one_order(sandbox: Sandbox, client: httpx.Client) -> None:
    order = sandbox.store.all()[7]
    answer = client.get(f"{LIST}/{order['id']}")
    assert (answer.status_code, answer.json()) == (200, order)


@pytest.mark.parametrize("method", ["GET", "PATCH"])
def test_unknown_order_is_404(client: httpx.Client, method: str) -> None:
    answer = client.request(
        method, f"{LIST}/nobody", json={"status": "complete"} if method == "PATCH" else None
    )
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


def test_patch_writes_tracking_and_status_in_one(sandbox: Sandbox, client: httpx.Client) -> None:
    path = id_of(sandbox, "paid")
    body = {"status": "complete", "tracking": TRACKING}
    answer = client.patch(path, json=body)
    moment = "2026-11-23T10:15:00+00:00"
    assert answer.status_code == 200
    assert answer.json() == {
        "id": "one-paid",
        "status": "complete",
        "tracking": TRACKING,
        "statusHistory": [{"status": "complete", "createdAt": moment}],
        "updatedAt": moment,
        "statusChangedAt": moment,
    }
    assert client.get(path).json() == answer.json()
    assert sandbox.store.patches == [("one-paid", body)]


def test_patch_moves_the_order_in_the_list(sandbox: Sandbox, client: httpx.Client) -> None:
    path = id_of(sandbox, "paid")
    sandbox.store.set_clock(lambda: datetime(2026, 11, 24, tzinfo=UTC))
    client.patch(path, json={"status": "printed"})
    rows = client.get(LIST, params={"sortBy[]": "-updatedAt", "pageSize": 1}).json()["fulfillments"]
    assert rows[0]["id"] == "one-paid"


def test_patch_with_null_clears_the_tracking(sandbox: Sandbox, client: httpx.Client) -> None:
    path = id_of(sandbox, "complete")
    client.patch(path, json={"tracking": TRACKING})
    answer = client.patch(path, json={"tracking": None})
    assert (answer.status_code, answer.json()["tracking"]) == (200, None)


def test_patch_without_changes_changes_nothing(sandbox: Sandbox, client: httpx.Client) -> None:
    path = id_of(sandbox, "paid")
    assert "updatedAt" not in client.patch(path, json={}).json()


@pytest.mark.parametrize(
    "body",
    [
        ["status"],
        "complete",
        {"status": "shipped"},
        {"status": None},
        {"status": ["complete"]},
        {"tracking": "0012345"},
        {"tracking": {"courier": "Example Mail"}},
        {"tracking": {"courier": "Example Mail", "code": ""}},
        {"tracking": {"courier": "  ", "code": "1"}},
        # White space in Python's expressions or in JavaScript's: openapi.json names them.
        {"tracking": {"courier": "\x1d", "code": "1"}},
        {"tracking": {"courier": "A", "code": "\x85\ufeff"}},
        {"tracking": {"courier": "Example Mail", "code": 12345}},
        {"tracking": TRACKING | {"url": 5}},
        {"tracking": TRACKING | {"weight": 5}},
        {"tracking": TRACKING | {"url": None}},
        {"trackingNumber": "0012345"},
    ],
)
def test_patch_with_a_mistake_is_400_and_changes_nothing(
    sandbox: Sandbox, client: httpx.Client, body: Any
) -> None:
    path = id_of(sandbox, "paid")
    before = client.get(path).json()
    answer = client.patch(path, json=body)
    assert (answer.status_code, answer.json()["code"]) == (400, "bad_request")
    assert client.get(path).json() == before
    assert sandbox.store.patches == []


@pytest.mark.parametrize(
    "body",
    [
        b"status=complete",
        b'{"status":"paid","tracking":NaN}',
        b'{"tracking":{"courier":"A","code":"\\ud800"}}',
        b'{"tracking":' + b"[" * 5000 + b"]" * 5000 + b"}",
    ],
)
def test_patch_that_is_not_json_is_400(sandbox: Sandbox, client: httpx.Client, body: bytes) -> None:
    assert client.patch(id_of(sandbox, "paid"), content=body).status_code == 400


def test_refunded_order_takes_tracking_but_not_complete(sandbox: Sandbox, client: httpx.Client) -> None:
    path = id_of(sandbox, "refunded")
    assert client.patch(path, json={"status": "complete", "tracking": TRACKING}).status_code == 400
    assert client.get(path).json()["tracking"] is None
    assert client.patch(path, json={"tracking": TRACKING}).status_code == 200


@pytest.mark.parametrize(
    ("scheme", "prefix", "status"),
    [
        ("raw", "", 200),
        ("raw", "Bearer ", 401),
        ("bearer", "", 401),
        ("bearer", "Bearer ", 200),
        ("both", "", 200),
        ("both", "Bearer ", 200),
    ],
)
def test_token_is_taken_the_way_the_scheme_says(scheme: Any, prefix: str, status: int) -> None:
    with Sandbox(SandboxSettings(orders=1, token="a-secret", auth_scheme=scheme)) as sandbox:
        headers = {"Authorization": f"{prefix}a-secret"}
        answer = httpx.get(sandbox.url + LIST, params={"project": sandbox.project}, headers=headers)
        assert answer.status_code == status
        ours = httpx.get(sandbox.url + LIST, params={"project": sandbox.project}, headers=sandbox.headers)
        assert ours.status_code == 200


@pytest.mark.parametrize("headers", [{}, {"Authorization": "wrong"}, {"Authorization": ""}])
def test_without_the_token_it_is_401(sandbox: Sandbox, headers: dict[str, str]) -> None:
    answer = httpx.get(sandbox.url + LIST, params={"project": sandbox.project}, headers=headers)
    assert answer.status_code == 401
    assert answer.json()["code"] == "unauthorized"
    assert answer.json()["message"]


def test_wrong_project_is_404_and_none_is_400(sandbox: Sandbox) -> None:
    wrong = httpx.get(sandbox.url + LIST, params={"project": "acme-1"}, headers=sandbox.headers)
    missing = httpx.get(sandbox.url + LIST, headers=sandbox.headers)
    assert (wrong.status_code, missing.status_code) == (404, 400)
    assert "project" in missing.json()["message"]


def test_other_addresses_and_methods_are_refused_as_json(client: httpx.Client) -> None:
    assert client.get("/v2/orders").json()["code"] == "not_found"
    answer = client.delete(LIST)
    assert (answer.status_code, answer.json()["code"]) == (405, "method_not_allowed")
    assert "GET" in answer.headers["Allow"]


def test_requests_are_kept_without_the_token(sandbox: Sandbox, client: httpx.Client) -> None:
    client.get(LIST, params={"statuses[]": ["paid", "new"]})
    client.patch(f"{LIST}/nobody", json={"status": "complete"})
    first, second = sandbox.store.requests
    assert (first.method, first.path, first.body, first.status) == ("GET", LIST, None, 200)
    assert first.query == [("project", sandbox.project), ("statuses[]", "paid"), ("statuses[]", "new")]
    assert (second.method, second.path, second.status) == ("PATCH", f"{LIST}/nobody", 404)
    assert second.body == {"status": "complete"}
    assert first.started <= second.started
    assert sandbox.token not in repr(sandbox.store.requests)


def test_keeping_requests_can_be_switched_off_and_cleared(sandbox: Sandbox, client: httpx.Client) -> None:
    client.get(LIST)
    sandbox.store.log.enabled = False
    client.patch(id_of(sandbox, "paid"), json={"status": "printed"})
    assert (len(sandbox.store.requests), sandbox.store.patches) == (1, [])
    sandbox.store.log.clear()
    assert sandbox.store.requests == []
