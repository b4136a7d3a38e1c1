"""The system behind nginx, as the runbook sets it up: pages, websockets, commands, a worker."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import httpx
import pytest
from playwright.sync_api import expect
from websockets.exceptions import InvalidStatus
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Origin, Subprotocol

from tests.e2e.browser import browser
from tests.e2e.conftest import PUBLIC_NAME
from tests.e2e.nginx import Proxy, reverse_proxy
from tests.e2e.running import System

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def proxy(system: System, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxy]:
    """Run nginx before the system, whose DESK_ALLOWED_HOSTS names it."""
    with reverse_proxy(tmp_path_factory.mktemp("nginx"), PUBLIC_NAME, system.port) as proxy:
        yield proxy


def websocket(proxy: Proxy, origin: str) -> ClientConnection:
    return connect(
        f"wss://127.0.0.1:{proxy.local_port}/api/events/out",
        subprotocols=[Subprotocol("prefect")],
        origin=Origin(origin),
        ssl=proxy.trusting(),
        open_timeout=60,
    )


def test_its_pages_and_their_buttons_work(system: System, proxy: Proxy, tmp_path: Path) -> None:
    name = f"behind-nginx-{uuid4().hex[:8]}"
    deployment = system.copy_deployment("check-for-new-orders", "desk", name=name)
    rules = f"--host-resolver-rules=MAP {proxy.name}:443 127.0.0.1:{proxy.port}"
    with browser(tmp_path, rules, base_url=f"https://{proxy.name}/v2/", ignore_https_errors=True) as page:
        page.goto("deployments")
        page.get_by_role("link", name=name, exact=True).first.click()
        page.get_by_role("button", name="Run", exact=True).click()
        with page.expect_response("**/create_flow_run") as started:
            page.get_by_role("menuitem", name="Quick run").click()
        assert started.value.status == 201
        run_id = started.value.json()["id"]
        listen = """() => new Promise((resolve) => {
            const opened = new WebSocket(`wss://${location.host}/api/events/out`, ["prefect"]);
            opened.onopen = () => opened.send(JSON.stringify({type: "auth", token: null}));
            opened.onmessage = ({data}) => resolve(data);
            opened.onerror = () => resolve("closed");
        })"""
        assert "auth_success" in page.evaluate(listen)
        page.goto("blocks")
        expect(page.get_by_role("link", name="default", exact=True)).to_be_visible()
    run = system.finished(run_id)
    assert run["state_type"] == "COMPLETED", run["state"]
    system.api("DELETE", f"/deployments/{deployment}")


def test_a_worker_and_commands_work_through_it(system: System, proxy: Proxy) -> None:
    pool = f"nginx-{uuid4().hex[:8]}"
    deployment = system.copy_deployment("check-for-new-orders", pool)
    with system.worker(pool, **proxy.environment):
        run = system.finished(system.start_run(deployment, {"integration": "default"}))
    assert run["state_type"] == "COMPLETED", run["state"]
    shown = system.run_desk("settings", "--json", **proxy.environment)
    assert (shown.returncode, json.loads(shown.stdout)["api_token"]) == (0, "********")
    assert system.run_desk("check", **proxy.environment).returncode == 0


@pytest.mark.parametrize(
    "headers", [{"Origin": "https://evil.example.test"}, {"Origin": "null"}, {"Sec-Fetch-Site": "cross-site"}]
)
def test_it_lets_no_page_of_another_address_in(proxy: Proxy, headers: dict[str, str]) -> None:
    address = f"https://127.0.0.1:{proxy.local_port}/api/block_documents/filter"
    own = {"Origin": f"https://{proxy.name}", "Sec-Fetch-Site": "same-origin"}
    assert httpx.post(address, json={}, headers=own, verify=proxy.trusting()).is_success
    assert httpx.post(address, json={}, headers=headers, verify=proxy.trusting()).status_code == 403


def test_it_lets_no_foreign_websocket_in(proxy: Proxy) -> None:
    with websocket(proxy, f"https://{proxy.name}") as opened:
        opened.send(json.dumps({"type": "auth", "token": None}))
        assert "auth_success" in str(opened.recv(30))
    with pytest.raises(InvalidStatus, match="403"):
        websocket(proxy, "https://evil.example.test")


def test_under_a_name_that_is_not_allowed_it_says_what_to_set(system: System, tmp_path: Path) -> None:
    with reverse_proxy(tmp_path, "other.example.test", system.port) as proxy:
        page = httpx.get(f"https://127.0.0.1:{proxy.local_port}/v2/", verify=proxy.trusting())
        assert (page.status_code, "DESK_ALLOWED_HOSTS" in page.text) == (421, True)
        refused = system.run_desk("settings", **proxy.environment)
    assert refused.returncode == 1
    assert "DESK_ALLOWED_HOSTS" in refused.stderr
