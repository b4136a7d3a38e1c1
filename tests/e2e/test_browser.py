"""What a person does in Prefect's pages, in a real browser."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, Request, expect

from tests.e2e.browser import browser
from tests.e2e.running import System, wait_for

pytestmark = pytest.mark.e2e


@pytest.fixture
def page(system: System, tmp_path: Path) -> Iterator[Page]:
    """A browser that nobody has used, at the system's pages."""
    with browser(tmp_path, base_url=f"{system.url}/v2/") as page:
        yield page


def test_no_page_asks_another_host(system: System, page: Page) -> None:
    asked: list[str] = []
    page.on("requestfinished", lambda request: asked.append(request.url))
    page.on("response", lambda response: asked.append(response.url))
    page.on("requestfailed", lambda request: asked.append(request.url) if _was_sent(request) else None)
    for path, text in {
        "dashboard": "Dashboard",
        "runs": "Runs",
        "deployments": "check-for-new-orders",
        "blocks": "Blocks",
    }.items():
        page.goto(path)
        expect(page.get_by_text(text).first).to_be_visible()
        page.wait_for_load_state("networkidle")
    assert asked
    assert [url for url in asked if not url.startswith((f"{system.url}/", "data:", "blob:"))] == []


def _was_sent(request: Request) -> bool:
    """Return whether a request that failed was sent; the page's policy blocks some before."""
    return "csp" not in str(request.failure).lower()


def test_a_manual_import_by_its_form_ends_with_the_orders_in_the_folder(system: System, page: Page) -> None:
    since = _fill_the_form_of_a_manual_import(page)
    _submit(page)
    link = page.get_by_role("link", name=f"import default from {since:%Y-%m-%d}").first
    expect(link).to_be_visible()
    expect(page.get_by_text("Completed", exact=True).first).to_be_visible()
    link.click()
    page.wait_for_url("**/runs/flow-run/**")
    page.get_by_role("tab", name="Details").click()
    expect(page.get_by_text("fetched 250: imported")).to_be_visible()
    page.get_by_role("tab", name="Artifacts").click()
    expect(page.get_by_role("link", name="import-default")).to_be_visible()
    _the_run_is_told(system, page.url.partition("flow-run/")[2].partition("?")[0])


def _fill_the_form_of_a_manual_import(page: Page) -> datetime:
    """Fill in the form as a person does, and return the day that was picked."""
    _open_form(page, "manual-import", {"Dry run (Optional)": "Write nothing"})
    expect(page.get_by_label("Dry run (Optional)")).to_have_role("switch")
    return _pick_import_from(page)


def _open_form(page: Page, deployment: str, more: dict[str, str]) -> None:
    """Open the run form of an import, and look for its fields with their help."""
    page.goto("deployments")
    page.get_by_role("link", name=deployment, exact=True).first.click()
    page.get_by_role("button", name="Run", exact=True).click()
    page.get_by_role("menuitem", name="Custom run").click()
    for title, help_text in {
        "Integration (Optional)": "The name of the connected integration",
        "Import from": "Orders created on this day or later",
        "Until (Optional)": "The last day, counted whole",
        **more,
    }.items():
        expect(page.get_by_text(title, exact=True)).to_be_visible()
        expect(page.get_by_text(help_text)).to_be_visible()
    expect(page.get_by_label("Integration (Optional)")).to_have_value("default")


def _pick_import_from(page: Page) -> datetime:
    page.get_by_label("Import from").click()
    calendar = page.get_by_role("dialog")
    first = datetime.now(UTC).replace(day=1) - timedelta(days=40)
    for _ in range(2):
        calendar.get_by_role("button", name="Previous Month").click()
    calendar.get_by_role("button", name=f"{first:%B} 2nd, {first.year}").click()
    page.keyboard.press("Escape")
    expect(page.get_by_label("Import from")).to_have_text(f"{first:%B} 2nd, {first.year}")
    return first.replace(day=2)


def _submit(page: Page) -> None:
    """Submit the form; while Prefect's database is busy its page says so, and a person tries again."""
    for _ in range(5):
        with page.expect_response("**/create_flow_run") as answer:
            page.get_by_role("button", name="Submit").click()
        if answer.value.status != 503:
            break
    assert answer.value.status == 201


def _the_run_is_told(system: System, run_id: str) -> None:
    run = system.finished(run_id)
    report = json.loads(system.desk("runs", "--json"))
    (counts,) = [run["counts"] for run in report if run["flow_run_id"] == run_id]
    assert system.orders_in("New") + system.orders_in("Needs Attention") == counts["imported"] > 100
    assert f"imported {counts['imported']}, " in run["state"]["message"]
    mine = {"flow_runs": {"id": {"any_": [run_id]}}}
    # Prefect writes task runs a moment after the run that they belong to.
    names = wait_for("its task runs", lambda: _task_names(system, mine))
    assert names == {"extract 1", "transform 1", "load 1"}
    (artifact,) = system.api("POST", "/artifacts/filter", {"artifacts": {"flow_run_id": {"any_": [run_id]}}})
    for words in (
        f"| Imported | {counts['imported']} |",
        f"| Skipped: status is not in the Order Status Filter | {counts['status']} |",
        "## Need attention",
        "## Not imported: frozen in podOS",
    ):
        assert words in artifact["data"]


def _task_names(system: System, mine: dict[str, Any]) -> set[str] | None:
    runs = system.api("POST", "/task_runs/filter", mine)
    return {run["name"] for run in runs} if len(runs) >= 3 else None


def test_settings_have_a_form_that_refuses_what_is_invalid(system: System, page: Page) -> None:
    page.goto("blocks")
    page.get_by_role("link", name="default", exact=True).click()
    page.wait_for_url("**/blocks/block/**")
    page.goto(f"{page.url}/edit")
    expect(page.get_by_label("Sync Tracking Numbers (Optional)")).to_have_role("switch")
    page.get_by_role("tab", name="date").click()
    expect(page.get_by_role("button", name="Pick a date")).to_be_visible()
    page.get_by_role("tab", name="None").click()
    _choose(page, page.get_by_text("Select", exact=True).nth(1), "GB", "FR")
    _choose(page, page.get_by_text("Select", exact=True).first, "printed")

    page.get_by_label("Project Name").fill("no good!")
    page.get_by_label("podOS Address (Optional)").fill("http://podos.example.test")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("it has a character that can't be in it")).to_be_visible()
    expect(page.get_by_text("podOS Address must begin with https://")).to_be_visible()
    before = json.loads(system.desk("settings", "--json"))
    assert before["statuses"] == ["paid"]

    page.get_by_label("Project Name").fill(before["project"])
    page.get_by_label("podOS Address (Optional)").fill(before["base_url"])
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("Block updated successfully")).to_be_visible()
    now = json.loads(system.desk("settings", "--json"))
    assert set(now["statuses"]) == {"paid", "printed"}
    assert set(now["country_filter"]["countries"]) == {"GB", "FR"}
    undo = ("--status", "paid", "--country", "ALL")
    system.desk("connect", *undo)  # podOS is asked again: the token outlived the editing


def _choose(page: Page, field: Locator, *values: str) -> None:
    """Choose from a list with a search field."""
    field.click()
    for value in values:
        page.get_by_role("option", name=value, exact=True).click()
    page.keyboard.press("Escape")


def test_a_backfill_by_its_form_shows_how_far_it_is(system: System, page: Page) -> None:
    _open_form(page, "backfill", {"Windows (Optional)": "Into how many parts the orders are split"})
    since = _pick_import_from(page)
    expect(page.get_by_label("Windows (Optional)")).to_have_value("8")
    page.get_by_label("Windows (Optional)").fill("2")
    _submit(page)
    link = page.get_by_role("link", name=f"backfill default from {since:%Y-%m-%d}").first
    link.click()
    page.wait_for_url("**/runs/flow-run/**")
    expect(page.get_by_text("Completed", exact=True).first).to_be_visible()
    page.get_by_role("tab", name="Details").click()
    expect(page.get_by_text("fetched 250: imported")).to_be_visible()
    page.get_by_role("tab", name="Artifacts").click()
    page.get_by_role("link", name="backfill-progress-default").click()
    expect(page.get_by_text("windows of the backfill of default that are done").first).to_be_visible()
    progress = system.api("GET", "/artifacts/backfill-progress-default/latest")
    assert progress["data"] == 100
    deployment = system.deployment("import-window")["id"]
    mine = {"deployments": {"id": {"any_": [deployment]}}, "sort": "EXPECTED_START_TIME_DESC", "limit": 2}
    runs = system.api("POST", "/flow_runs/filter", mine)
    assert [run["state_type"] for run in runs] == ["COMPLETED"] * 2
