"""The sandbox's list call over real HTTP: every parameter, paging, order and date ranges."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from deployments.sandbox.server import Sandbox, SandboxSettings

NOW = datetime(2026, 11, 23, 10, 15, tzinfo=UTC)
LIST = "/v1/fulfillments"


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(SandboxSettings(orders=1200, now=NOW)) as running:
        yield running


@pytest.fixture(scope="module")
def client(sandbox: Sandbox) -> Iterator[httpx.Client]:
    with httpx.Client(
        base_url=sandbox.url, headers=sandbox.headers, params={"project": sandbox.project}
    ) as opened:
        yield opened


def ask(client: httpx.Client, params: dict[str, Any]) -> list[dict[str, Any]]:
    answer = client.get(LIST, params=params)
    assert answer.status_code == 200, answer.text
    rows: list[dict[str, Any]] = answer.json()["fulfillments"]
    return rows


def read_all(client: httpx.Client, params: dict[str, Any]) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    token: int | None = 1
    while token is not None:
        page = client.get(LIST, params=params | {"pageToken": token}).json()
        rows += page["fulfillments"]
        token = page["nextPageToken"]
    return rows


def test_first_page_holds_a_hundred_newest_first(client: httpx.Client) -> None:
    answer = client.get(LIST)
    page = answer.json()
    assert page.keys() == {"fulfillments", "meta", "nextPageToken"}
    assert page["meta"]["filters"]["sources"] is None
    assert page["nextPageToken"] == 2
    created = [row["createdAt"] for row in page["fulfillments"]]
    assert len(created) == 100
    assert created == sorted(created, reverse=True)
    assert answer.headers["content-type"] == "application/json"
    assert "date" in answer.headers
    assert b"https:\\/\\/" in answer.content


@pytest.mark.parametrize("page_size", [7, 100, 400])
def test_pages_together_hold_every_order_once(client: httpx.Client, sandbox: Sandbox, page_size: int) -> None:
    rows = read_all(client, {"pageSize": page_size, "sortBy[]": "createdAt"})
    assert len(rows) == len(sandbox.store)
    assert {row["id"] for row in rows} == set(sandbox.store.keys())


def test_last_page_has_no_next(client: httpx.Client) -> None:
    page = client.get(LIST, params={"pageToken": 12}).json()
    assert (len(page["fulfillments"]), page["nextPageToken"]) == (100, None)
    beyond = client.get(LIST, params={"pageToken": 13}).json()
    assert (beyond["fulfillments"], beyond["nextPageToken"]) == ([], None)


def test_page_size_is_capped_at_a_thousand(client: httpx.Client) -> None:
    assert len(ask(client, {"pageSize": 5000})) == 1000


def test_statuses_are_taken_together(client: httpx.Client, sandbox: Sandbox) -> None:
    rows = read_all(client, {"statuses[]": ["paid", "refunded"]})
    expected = {order["id"] for order in sandbox.store.all() if order["status"] in ("paid", "refunded")}
    assert {row["id"] for row in rows} == expected
    assert {row["status"] for row in rows} == {"paid", "refunded"}


def test_ids_find_only_those_and_skip_unknown_ones(client: httpx.Client, sandbox: Sandbox) -> None:
    wanted = sandbox.store.keys()[10:110]
    rows = ask(client, {"ids[]": [*wanted, "nobody", wanted[0]]})
    assert sorted(row["id"] for row in rows) == sorted(wanted)
    assert client.get(LIST, params={"ids[]": "nobody"}).json()["fulfillments"] == []


def test_ids_and_statuses_must_both_hold(client: httpx.Client, sandbox: Sandbox) -> None:
    orders = sandbox.store.all()[:50]
    rows = ask(client, {"ids[]": [order["id"] for order in orders], "statuses[]": "paid"})
    assert {row["id"] for row in rows} == {order["id"] for order in orders if order["status"] == "paid"}


def test_priority_levels_filter(client: httpx.Client) -> None:
    assert {row["priorityLevel"] for row in read_all(client, {"priorityLevels[]": "priority"})} == {
        "priority"
    }


@pytest.mark.parametrize(
    "field", ["createdAt", "updatedAt", "priorityLevel", "status", "merchantReference", "fulfillerReference"]
)
@pytest.mark.parametrize("sign", ["", "-"])
def test_rows_come_in_the_order_asked_for(client: httpx.Client, field: str, sign: str) -> None:
    few = {"statuses[]": ["new", "complete"]}
    values = [row.get(field) or "" for row in read_all(client, few | {"sortBy[]": sign + field})]
    assert len(set(values)) > 1
    assert values == sorted(values, reverse=bool(sign))


def test_second_sort_key_orders_the_ties(client: httpx.Client) -> None:
    rows = read_all(client, {"sortBy[]": ["priorityLevel", "-createdAt"], "pageSize": 500})
    priority = [row["createdAt"] for row in rows if row["priorityLevel"] == "priority"]
    assert rows[0]["priorityLevel"] == "priority"
    assert priority == sorted(priority, reverse=True)


@pytest.mark.parametrize("field", ["createdAt", "updatedAt", "statusChangedAt"])
def test_date_range_is_inclusive_on_the_date_asked_for(
    client: httpx.Client, sandbox: Sandbox, field: str
) -> None:
    dates = sorted(order[field] for order in sandbox.store.all())
    start, end = dates[300], dates[700]
    rows = read_all(client, {"start": start, "end": end, "dateFilterType": field, "sortBy[]": "updatedAt"})
    assert sorted(row[field] for row in rows) == [date for date in dates if start <= date <= end]


def test_date_range_speaks_of_creation_by_default(client: httpx.Client, sandbox: Sandbox) -> None:
    start = sandbox.store.all()[900]["createdAt"]
    rows = read_all(client, {"start": start})
    assert {row["id"] for row in rows} == {o["id"] for o in sandbox.store.all() if o["createdAt"] >= start}


def test_one_second_can_hold_more_than_a_page(client: httpx.Client, sandbox: Sandbox) -> None:
    created = [order["createdAt"] for order in sandbox.store.all()]
    burst = max(set(created), key=created.count)
    page = client.get(LIST, params={"start": burst, "end": burst, "sortBy[]": "createdAt"}).json()
    assert len(page["fulfillments"]) == 100
    assert page["nextPageToken"] == 2


def test_fields_keep_only_those_named(client: httpx.Client) -> None:
    rows = ask(client, {"fields": "id, status,nothing_like_it", "pageSize": 5})
    assert [row.keys() for row in rows] == [{"id", "status"}] * 5


@pytest.mark.parametrize(
    "params",
    [
        {"sortBy[]": "name"},
        {"start": "soon"},
        {"end": "2026-02-30"},
        {"pageSize": "0"},
        {"pageToken": "-1"},
        {"statuses[]": "cancelled"},
        {"statuses": "paid"},
        {"dateFilterType": "today"},
    ],
)
def test_mistakes_are_answered_400_with_a_reason(client: httpx.Client, params: dict[str, str]) -> None:
    answer = client.get(LIST, params=params)
    assert answer.status_code == 400
    assert answer.json()["code"] == "bad_request"
    assert next(iter(params)) in answer.json()["message"]


def test_a_plus_sign_that_was_not_encoded_is_a_bad_date(sandbox: Sandbox) -> None:
    query = "project=sandbox-100001&start=2026-11-01T00:00:00+00:00"
    answer = httpx.get(f"{sandbox.url}{LIST}?{query}", headers=sandbox.headers)
    assert answer.status_code == 400


def test_unknown_parameters_are_ignored(client: httpx.Client) -> None:
    assert len(ask(client, {"country": "GB"})) == 100


def test_same_seed_and_present_give_the_same_bytes(client: httpx.Client, sandbox: Sandbox) -> None:
    with Sandbox(sandbox.settings) as twin:
        params = {"project": twin.project, "pageSize": "1000", "sortBy[]": "createdAt"}
        again = httpx.get(twin.url + LIST, params=params, headers=twin.headers)
    assert twin.token == sandbox.token
    assert again.content == client.get(LIST, params=params).content
