"""The benchmark mode: it answers as the sandbox does, and every client reads all of it."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from deployments.sandbox.benchmark import Benchmark, serve_benchmark
from deployments.sandbox.prerendered import PrerenderedOrders
from deployments.sandbox.query import parse_query
from tasks.podos.client import PodosAccess, PodosClient
from tasks.podos.scan import Scan, ScanPlan, newest_date

ORDERS = 1234


@pytest.fixture(scope="module")
def orders() -> PrerenderedOrders:
    return PrerenderedOrders(ORDERS)


@pytest.fixture
def benchmark(orders: PrerenderedOrders) -> Benchmark:
    orders.visible = ORDERS
    return Benchmark(orders, "acme", "token")


@pytest.fixture
def url(benchmark: Benchmark, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Its address; it runs in a thread, where there are no signals to wait for."""
    ready, found = threading.Event(), []
    loop = asyncio.new_event_loop()
    monkeypatch.setattr(loop, "add_signal_handler", lambda *_args: None)

    def tell(address: str) -> None:
        found.append(address)
        ready.set()

    def serve() -> None:
        asyncio.set_event_loop(loop)
        task = loop.create_task(serve_benchmark(benchmark, 0, tell))
        stop.append(lambda: loop.call_soon_threadsafe(task.cancel))
        try:
            loop.run_until_complete(task)
        except asyncio.CancelledError:
            loop.close()

    stop: list[Any] = []
    thread = threading.Thread(target=serve)
    thread.start()
    assert ready.wait(10)
    yield found[0]
    stop[0]()
    thread.join(10)


def page(orders: PrerenderedOrders, **wanted: str) -> list[dict[str, Any]]:
    cut = orders.cut(parse_query([(name.replace("_", ""), value) for name, value in wanted.items()]))
    rows: list[dict[str, Any]] = json.loads(b"[" + b"".join(map(bytes, cut.pieces)) + b"]")
    return rows


def test_orders_have_two_items_and_three_or_four_prints(orders: PrerenderedOrders) -> None:
    for row in page(orders, pageSize="64"):
        assert len(row["items"]) == 2
        assert sum(len(item["applications"]) for item in row["items"]) in {3, 4}


def test_dates_bound_what_is_answered(orders: PrerenderedOrders) -> None:
    everything = orders.cut(parse_query([("pageSize", "1000"), ("sortBy[]", "createdAt")]))
    rows = json.loads(b"[" + b"".join(map(bytes, everything.pieces)) + b"]")
    dates = [row["createdAt"] for row in rows]
    assert dates == sorted(dates)
    assert everything.more
    asked = [("sortBy[]", "createdAt"), ("start", dates[100]), ("end", dates[150]), ("pageSize", "1000")]
    cut = orders.cut(parse_query(asked))
    found = [row["createdAt"] for row in json.loads(b"[" + b"".join(map(bytes, cut.pieces)) + b"]")]
    assert found == [date for date in dates if dates[100] <= date <= dates[150]]


@pytest.mark.parametrize("latency_seconds", [0.0, 0.03])
def test_our_scan_reads_each_order_once_and_splits_only_where_it_waits(
    url: str, benchmark: Benchmark, latency_seconds: float
) -> None:
    benchmark.latency_seconds = latency_seconds

    async def read() -> tuple[list[str], int]:
        ids: list[str] = []
        async with PodosClient(PodosAccess(url, "acme", "token")) as client:
            newest = await newest_date(client, "createdAt")
            before = benchmark.pages
            async with Scan(client, ScanPlan("createdAt", newest=newest), project="acme") as scan:
                while batch := await scan.next_batch(200):
                    ids += [row.id or "" for row in batch.fulfillments]
        return ids, benchmark.pages - before

    ids, pages = asyncio.run(read())
    assert len(ids) == len(set(ids)) == ORDERS
    whole_pages = -(-ORDERS // 100)
    if latency_seconds:
        assert pages > whole_pages
    else:
        assert pages <= whole_pages + 1


def test_a_plain_page_loop_reads_each_order_once(url: str) -> None:
    ids: list[str] = []
    number: int | None = 1
    while number:
        params: dict[str, str | int] = {"project": "acme", "pageToken": number, "pageSize": 100}
        answer = httpx.get(f"{url}/v1/fulfillments", params=params, headers={"Authorization": "token"}).json()
        ids += [row["id"] for row in answer["fulfillments"]]
        number = answer["nextPageToken"]
    assert len(ids) == len(set(ids)) == ORDERS


@pytest.mark.parametrize(
    ("path", "token", "status"),
    [
        ("/v1/fulfillments?project=acme", "wrong", 401),
        ("/v1/fulfillments?project=other", "token", 404),
        ("/v1/fulfillments?project=acme&pageSize=none", "token", 400),
        ("/v1/other?project=acme", "token", 404),
    ],
)
def test_what_is_wrong_is_refused(url: str, path: str, token: str, status: int) -> None:
    assert httpx.get(url + path, headers={"Authorization": token}).status_code == status


def test_orders_can_appear_later(url: str, benchmark: Benchmark) -> None:
    httpx.get(f"{url}/_benchmark?visible=1000&latency_ms=0")
    access = PodosAccess(url, "acme", "token")

    async def newest() -> datetime | None:
        async with PodosClient(access) as client:
            return await newest_date(client, "updatedAt")

    before = asyncio.run(newest())
    httpx.get(f"{url}/_benchmark?visible={ORDERS}")
    after = asyncio.run(newest())
    assert before is not None
    assert after is not None
    assert datetime(2026, 1, 1, tzinfo=UTC) < before < after
