"""Take the pictures of the desk's pages that the documentation shows: ``make pictures``.

The desk is the one of the documentation's examples. Artwork lies on a host that does not exist: a drawing
stands in its place.
"""

from __future__ import annotations

import re
import tempfile
from datetime import timedelta
from pathlib import Path

from playwright.sync_api import Page, Route

from deployments.stack.environment import ROOT
from deployments.stack.thread_server import served
from deployments.web.app import create_app
from deployments.web.site import Site
from models.watching import Planned, Plans, Work, cause_of
from tasks.desk.engine import opened_desk
from tasks.desk.references import desk_reference
from tasks.monitoring.store import note
from tasks.tracking.intake import take_one
from tasks.tracking.shipment_file import FileRow
from tests.e2e.browser import browser
from tests.e2e.running import free_port
from tests.support import example_desk

PLACE = ROOT / "docs" / "pictures"
SIZE = {"width": 1200, "height": 760}
PATHS = {
    "floor": "/",
    "orders": "/orders?folder=New",
    "order": "/orders/87",
    "scan": "/scan?id=1&courier=Royal+Mail",
    "sheets": "/sheets?order=1&order=2",
}
PLANS = Plans(
    integrations=frozenset({"default"}),
    fulfillers=frozenset({"acme"}),
    # The examples' check is of a day in the past: with this interval it is not late.
    work={
        cause_of(work, name): Planned(None, timedelta(days=3650))
        for work, name in ((Work.CHECK, "default"), (Work.SYNC, "default"), (Work.SEND, "acme"))
    },
)
DRAWING = (
    '<svg xmlns="http://www.w3.org/2000/svg" width="140" height="140"><rect width="140" height="140" '
    'fill="#f2e8d5"/><circle cx="70" cy="58" r="34" fill="#c8553d"/><path d="M20 122 L70 84 L120 122" '
    'fill="none" stroke="#588b8b" stroke-width="10"/></svg>'
)


def main() -> None:
    """Write one picture of each page."""
    PLACE.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        with opened_desk(f"sqlite:///{place}/desk.db") as engine:
            example_desk.fill(engine)
            work = {
                cause_of(Work.CHECK, "default"),
                cause_of(Work.SYNC, "default"),
                cause_of(Work.SEND, "acme"),
            }
            note(engine, well=work, troubles={}, now=example_desk.NOW)
            for order_id in (3, 4, 5):
                row = FileRow(1, desk_reference(order_id), "Royal Mail", f"AB12345678{order_id}GB", "", "")
                take_one(engine, row, overwrite=False, now=example_desk.NOW)
            port = free_port()
            with (
                served(create_app(Site(engine, lambda: PLANS)), "127.0.0.1", port, name="web"),
                browser(place, base_url=f"http://127.0.0.1:{port}") as page,
            ):
                _take_all(page)


def _take_all(page: Page) -> None:
    page.route(re.compile("^https://"), _draw)
    page.set_viewport_size({"width": SIZE["width"], "height": SIZE["height"]})
    for name, path in PATHS.items():
        page.goto(path)
        page.wait_for_load_state("networkidle")
        page.screenshot(path=PLACE / f"{name}.png")


def _draw(route: Route) -> None:
    route.fulfill(content_type="image/svg+xml", body=DRAWING)


if __name__ == "__main__":
    main()
