"""A real browser, as somebody has it who never used it before."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect, sync_playwright

CHROMIUM = shutil.which("chromium")
PATIENCE_MS = 60_000
CALM = [
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-gpu",
    "--disable-quic",
    "--disable-sync",
    "--headless",
    "--no-first-run",
    "--no-sandbox",
]


@contextmanager
def browser(place: Path, *arguments: str, **options: Any) -> Iterator[Page]:
    """Give the first page of a browser; its last look is kept as ``last.png``.

    Args:
        place: an empty directory for its profile.
        arguments: more of Chromium's own.
        options: of the browser context.
    """
    if CHROMIUM is None:
        pytest.skip("Chromium is not installed: apt-get install chromium (.ci/run does)")
    expect.set_options(timeout=PATIENCE_MS)
    with sync_playwright() as playwright:
        context = playwright.chromium.launch_persistent_context(
            place / "profile",
            executable_path=CHROMIUM,
            args=[*CALM, *arguments],
            viewport={"width": 1400, "height": 1300},
            **options,
        )
        context.set_default_timeout(PATIENCE_MS)
        page = context.pages[0]
        yield page
        page.screenshot(path=place / "last.png", full_page=True)
        context.close()
