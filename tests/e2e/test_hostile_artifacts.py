"""Strangers' text in Prefect's own pages, in a real browser: nothing is fetched, and nothing is a link."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from playwright.sync_api import Page, expect

from deployments.sandbox.server import Sandbox
from tasks.text_cells import markdown_cell
from tests.e2e.browser import browser
from tests.e2e.running import System
from tests.support.hostile import HOSTILE
from tests.support.hostile_pages import PAGES

pytestmark = pytest.mark.e2e
REFERENCE = (
    "![x](http://evil.example/p.png) [Sign in](http://evil.example/) https://evil.example "
    "<img src=http://evil.example/i.png>"
)
"""Shorter than an order number may be."""
FIND_LINKS = """() => [...document.querySelectorAll("a, img, iframe, svg image")]
    .map(one => one.href || one.src || "").filter(address => String(address).includes("evil"))"""


@pytest.fixture
def page(system: System, tmp_path: Path) -> Iterator[Page]:
    with browser(tmp_path, base_url=system.url) as opened:
        yield opened


@pytest.fixture
def fetched(page: Page) -> list[str]:
    """What the browser asks of the stranger's server."""
    requests: list[str] = []
    page.on("request", lambda request: requests.append(request.url) if "evil" in request.url else None)
    return requests


def look(page: Page, path: str, *texts: str) -> list[str]:
    """Open a page, wait until it shows these texts, and return the links and pictures of the stranger's."""
    page.goto(path)
    for text in texts:
        expect(page.get_by_text(text).first).to_be_visible()
    found: list[str] = page.evaluate(FIND_LINKS)
    return found


def post(system: System, markdown: str, description: str, **fields: Any) -> str:
    key = f"hostile-{uuid4().hex[:8]}"
    body = {"type": "markdown", "key": key, "data": markdown, "description": description}
    return str(system.api("POST", "/artifacts/", body | fields)["id"])


def test_the_browser_test_sees_what_acts(system: System, page: Page, fetched: list[str]) -> None:
    raw = post(system, f"# Seen\n\n{HOSTILE}\n", HOSTILE)
    for interface in ("", "/v2"):
        fetched.clear()
        assert look(page, f"{interface}/artifacts/artifact/{raw}", "Seen")
        assert fetched
    system.api("DELETE", f"/artifacts/{raw}")


@pytest.mark.parametrize("interface", ["", "/v2"])
def test_no_page_of_ours_fetches_or_links_what_a_stranger_wrote(
    system: System, page: Page, fetched: list[str], interface: str
) -> None:
    title = "Token expired: sign in"
    for make in PAGES.values():
        artifact = post(system, str(make(HOSTILE)), markdown_cell(HOSTILE))
        assert look(page, f"{interface}/artifacts/artifact/{artifact}", title) == []
    assert look(page, f"{interface}/artifacts", title) == []
    assert fetched == []


def test_an_order_with_a_hostile_reference_is_imported_and_acts_in_no_page(
    system: System, slow_sandbox: Sandbox, page: Page, fetched: list[str]
) -> None:
    pattern = slow_sandbox.store.all()[0]
    item = {"quantity": 1, "applications": [{"placement": REFERENCE, "design": None}]}
    now = f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"
    hostile = {
        "id": str(uuid4()),
        "createdAt": now,
        "updatedAt": now,  # a check reads what is newer than its watermark
        "status": "paid",
        "frozen": False,
        "fulfillerReference": REFERENCE,
        "items": [item],
    }
    slow_sandbox.store.add(pattern | hostile)
    check = system.deployment("check-for-new-orders")["id"]
    run_id = system.start_run(check, {"integration": "slow"})
    assert system.finished(run_id)["state_type"] == "COMPLETED"
    mine = {"artifacts": {"flow_run_id": {"any_": [run_id]}}}
    (artifact,) = system.api("POST", "/artifacts/filter", mine)
    assert markdown_cell(REFERENCE) in artifact["data"]
    for interface in ("", "/v2"):
        assert look(page, f"{interface}/artifacts/artifact/{artifact['id']}", "Sign in") == []
        assert look(page, f"{interface}/runs/flow-run/{run_id}", "check slow") == []
        assert look(page, f"{interface}/artifacts") == []
    assert fetched == []
