"""A person at the desk's pages, in a real browser that runs no script of anybody."""

from __future__ import annotations

import re
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Page, expect

from tasks.desk.browse import find_order
from tasks.desk.engine import open_desk
from tests.e2e.browser import browser
from tests.e2e.running import DESK, START_SECONDS, STOP_SECONDS, System, environment, free_port, wait_for
from tests.support.builders import insert_order

pytestmark = pytest.mark.e2e
ART = "https://files.example.test/2.png"
HOSTILE = "<script>document.title = 'taken'</script><img src=x onerror=alert(1)>\u202e"


@pytest.fixture
def pages(tmp_path: Path) -> Iterator[str]:
    """`desk web` of a desk with two orders; it ends cleanly at the end."""
    url = environment(tmp_path)["DESK_DATABASE_URL"]
    engine = open_desk(url)
    insert_order(
        engine, order_number="A-1001", ship_name=HOSTILE, items=({"item_metadata": {}, "notes": HOSTILE},)
    )
    insert_order(engine, order_number="A-1002")
    engine.dispose()
    port = free_port()
    with (tmp_path / "web.log").open("wb") as log:
        process = subprocess.Popen(
            [DESK, "web", "--port", str(port), "--no-password"],
            env=environment(tmp_path),
            stdout=log,
            stderr=log,
        )
    said = tmp_path / "web.log"
    try:
        wait_for("desk web", lambda: "Ctrl-C stops it" in said.read_text() or None, START_SECONDS)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.send_signal(signal.SIGTERM)
        code = process.wait(STOP_SECONDS)
    assert code == 0, said.read_text()
    assert [word for word in ("Lovelace", "A-1001", "Traceback") if word in said.read_text()] == []


@pytest.mark.parametrize("with_script", [True, False])
def test_a_walk_over_the_floor(pages: str, tmp_path: Path, with_script: bool) -> None:
    asked: list[str] = []
    with browser(tmp_path, base_url=pages, java_script_enabled=with_script) as page:
        page.on("request", lambda request: asked.append(request.url))
        page.on("dialog", lambda dialog: pytest.fail(f"a script ran: {dialog.message}"))
        page.goto("/")
        page.get_by_role("link", name="New").click()
        page.get_by_role("link", name="A-1001").click()
        expect(page.get_by_text("<script>").first).to_be_visible()
        expect(page).to_have_title("A-1001 · Order desk")
        _edit_artwork(page)
        _scan(page)
    assert [url for url in asked if not url.startswith((pages, ART, "data:"))] == []
    engine = open_desk(environment(tmp_path)["DESK_DATABASE_URL"])
    detail = find_order(engine, "A-1001")
    engine.dispose()
    assert detail.order["items"][0]["metadata"] == {"print_url_1": ART}
    assert [entry.event for entry in detail.history] == ["imported", "edited", "shipped"]


def _edit_artwork(page: Page) -> None:
    page.get_by_text("Edit item 1").click()
    form = page.locator("#item-1 form")
    form.get_by_label("New metadata").fill("print_url_1")
    form.get_by_label("Its value").fill("no address")
    form.get_by_role("button", name="Save item 1").click()
    expect(page.get_by_role("alert")).to_contain_text("must be an address")
    expect(form.get_by_label("Its value")).to_have_value("no address")
    form.get_by_label("Its value").fill(ART)
    form.get_by_role("button", name="Save item 1").click()
    expect(page.get_by_role("status")).to_contain_text("item 1 print_url_1")
    expect(page.get_by_alt_text("Design of print 1")).to_have_attribute("src", ART)


def _scan(page: Page) -> None:
    page.get_by_role("link", name="Scan", exact=True).click()
    page.get_by_label("Courier").fill("DPD")
    box = page.get_by_label("Order number or desk:ID")
    box.focus()
    page.keyboard.type("A-1001\n")  # from here on as a hand scanner: it only types
    expect(page.get_by_role("heading", name="Tracking of A-1001")).to_be_visible()
    page.keyboard.type("15501234567890\n")
    expect(page.get_by_role("status")).to_contain_text("shipped")
    expect(page.get_by_role("cell", name="15501234567890")).to_be_visible()
    page.keyboard.type("desk:2\n")
    expect(page.get_by_role("heading", name="Tracking of A-1002")).to_be_visible()


@pytest.mark.parametrize("host", ["0.0.0.0", "192.0.2.1"])
def test_other_machines_are_not_served(tmp_path: Path, host: str) -> None:
    done = subprocess.run(
        [DESK, "web", "--host", host, "--port", str(free_port())],
        env=environment(tmp_path),
        capture_output=True,
        text=True,
        timeout=START_SECONDS,
        check=False,
    )
    assert (done.returncode, "the pages know no people yet" in done.stderr) == (2, True)


def test_up_serves_the_pages_and_they_know_what_prefect_knows(system: System) -> None:
    (address,) = re.findall(r"pages: +(http://127\.0\.0\.1:\d+) ", system.output)
    floor = httpx.get(address)
    assert floor.status_code == 200
    assert re.search(r"<td>check<td>default<td>", floor.text)


@pytest.mark.parametrize(
    ("kind", "width_mm", "height_mm"), [("job", 210, 297), ("slip", 210, 297), ("label", 100, 150)]
)
def test_each_order_is_printed_on_a_sheet_of_its_size(
    pages: str, tmp_path: Path, kind: str, width_mm: int, height_mm: int
) -> None:
    with browser(tmp_path, base_url=pages) as page:
        page.goto(f"/sheets?kind={kind}&order=1&order=2")
        pdf = page.pdf(prefer_css_page_size=True)
    sizes = re.findall(rb"/MediaBox \[0 0 ([0-9.]+) ([0-9.]+)\]", pdf)
    found = {(round(float(width) / 72 * 25.4), round(float(height) / 72 * 25.4)) for width, height in sizes}
    assert found == {(width_mm, height_mm)}
    assert len(re.findall(rb"/Type /Page\b", pdf)) == 2
