"""`/health` and `/metrics`: what is found, as programs read it."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import Engine

from deployments.stack.metrics_server import PLANS_FOR_SECONDS, Looker, create_app, serving
from models.watching import Planned, Plans
from tasks.desk.engine import make_engine
from tasks.monitoring.store import note, watch
from tests.e2e.running import free_port
from tests.support.builders import insert_order, insert_rejected, insert_run, insert_shipment
from tests.support.documentation import codes, page, rows, section

CHECK = "check:default"


class Server:
    """What Prefect would say, counted."""

    def __init__(self) -> None:
        self.asked = 0
        self.clock = 0.0
        moment = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
        self.plans = Plans(
            frozenset({"default"}), frozenset(), {CHECK: Planned(moment, timedelta(minutes=15))}
        )

    def __call__(self) -> Plans:
        self.asked += 1
        return self.plans

    def looker(self, engine: Engine) -> Looker:
        return Looker(engine, self, lambda: self.clock)


async def _get(looker: Looker, path: str, headers: dict[str, str]) -> httpx.Response:
    app: Any = create_app(looker, frozenset({"desk.example.test"}))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://127.0.0.1") as client:
        return await client.get(path, headers=headers)


def get(looker: Looker, path: str, **headers: str) -> httpx.Response:
    return asyncio.run(_get(looker, path, headers))


def samples(looker: Looker) -> dict[tuple[str, ...], float]:
    """Every sample by its name and labels, as Prometheus's own parser reads them."""
    response = get(looker, "/metrics")
    assert response.headers["Content-Type"].startswith("text/plain; version=")
    return {
        (sample.name, *sorted(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(response.text)
        for sample in family.samples
    }


def test_all_is_well(desk: Engine) -> None:
    now = datetime.now(UTC)
    watch(desk, CHECK)
    note(desk, well=[CHECK], troubles={}, now=now)
    insert_run(desk, started_at=now - timedelta(minutes=2), finished_at=now)
    looker = Server().looker(desk)
    health = get(looker, "/health")
    assert (health.status_code, health.json()) == (200, {"well": True, "troubles": []})
    found = samples(looker)
    assert found[("podos_desk_readable",)] == found[("podos_desk_well",)] == 1
    assert found[("podos_desk_work_well", "check", "default")] == 1
    assert found[("podos_desk_last_success_timestamp_seconds", "check", "default")] == pytest.approx(
        now.timestamp(), abs=0.01
    )
    assert found[("podos_desk_next_run_timestamp_seconds", "check", "default")] == 1795435200
    assert 120 <= found[("podos_desk_behind_podos_seconds", "default")] < 240


def test_what_is_not_well_is_503_and_named(desk: Engine) -> None:
    now = datetime.now(UTC)
    note(desk, well=[], troubles={CHECK: "podOS refused the token"}, now=now)
    insert_rejected(desk)
    insert_shipment(desk, insert_order(desk, hold_reason="asked to"))
    looker = Server().looker(desk)
    health = get(looker, "/health")
    assert health.status_code == 503
    assert health.json() == {"well": False, "troubles": [CHECK, "rejected"]}
    found = samples(looker)
    assert (found[("podos_desk_well",)], found[("podos_desk_work_well", "check", "default")]) == (0, 0)
    assert (found[("podos_desk_over", "rejected")], found[("podos_desk_over", "shipments-failed")]) == (1, 0)
    backlog = {key[1]: value for key, value in found.items() if key[0] == "podos_desk_backlog"}
    assert (backlog["rejected"], backlog["held"], backlog["shipments_waiting"]) == (1, 1, 1)


def test_nothing_personal_is_given(desk: Engine) -> None:
    insert_order(desk)
    looker = Server().looker(desk)
    text = get(looker, "/metrics").text + get(looker, "/health").text
    assert [word for word in ("ada@", "Ada", "Lovelace", "02134", "Boston") if word in text] == []


@pytest.mark.parametrize("path", ["/metrics", "/health"])
def test_no_web_page_reads_them(desk: Engine, path: str) -> None:
    looker = Server().looker(desk)
    assert get(looker, path, Host="desk.example.test").status_code in {200, 503}
    assert get(looker, path, Host="evil.example.test:9464").status_code == 421
    foreign = ({"Origin": "http://evil.example.test"}, {"Sec-Fetch-Site": "cross-site"})
    link = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}
    assert [get(looker, path, **headers).status_code for headers in (*foreign, link)] == [403] * 3


def test_every_metric_is_documented(desk: Engine) -> None:
    insert_run(desk)
    watch(desk, CHECK)
    note(desk, well=[CHECK], troubles={}, now=datetime.now(UTC))
    given = {key[0] for key in samples(Server().looker(desk))}
    table = rows(section(page("docs/runbook.md"), "A monitor"))
    assert {codes(cells[0])[0] for cells in table if codes(cells[0])} == given


def test_prefect_is_asked_once_a_minute_however_often_somebody_scrapes(desk: Engine) -> None:
    server = Server()
    looker = server.looker(desk)
    for _ in range(5):
        samples(looker)
    assert server.asked == 1
    server.clock += PLANS_FOR_SECONDS + 1
    samples(looker)
    assert server.asked == 2


def test_a_desk_that_can_not_be_read_is_not_well() -> None:
    looker = Server().looker(make_engine("postgresql+psycopg://nobody@127.0.0.1:9/nothing"))
    assert get(looker, "/health").status_code == 503
    assert samples(looker) == {("podos_desk_readable",): 0}


def test_it_is_served_on_a_port(cli_engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    with serving(free_port()) as address:
        assert httpx.get(f"{address}/health").json() == {"well": False, "troubles": ["check"]}
        assert "podos_desk_well 0.0" in httpx.get(f"{address}/metrics").text
        assert httpx.get(f"{address}/docs").status_code == 404
        assert httpx.get(f"{address}/metrics", headers={"Host": "evil.example.test"}).status_code == 421
