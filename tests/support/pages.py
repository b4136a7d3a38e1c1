"""A browser at the desk's pages, without a network: it follows redirects as a browser does."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import httpx

BROWSER = {"Sec-Fetch-Site": "same-origin", "Origin": "null"}
"""As a browser sends our own forms: the pages send no referrer, so the origin is null."""


class PageClient:
    """Asks an application.

    Args:
        app: the pages.
        headers: with every request.
    """

    def __init__(self, app: Any, headers: Mapping[str, str] = BROWSER) -> None:
        self.app = app
        self._headers = dict(headers)

    def get(self, path: str, **options: Any) -> httpx.Response:
        """Follow a link."""
        return asyncio.run(self._ask("GET", path, options))

    def post(self, path: str, **options: Any) -> httpx.Response:
        """Send a form, and look at the page after it."""
        return asyncio.run(self._ask("POST", path, options))

    async def _ask(self, method: str, path: str, options: dict[str, Any]) -> httpx.Response:
        headers = self._headers | options.pop("headers", {})
        transport, base = httpx.ASGITransport(self.app), "http://127.0.0.1:4280"
        async with httpx.AsyncClient(transport=transport, base_url=base, follow_redirects=True) as client:
            return await client.request(method, path, headers=headers, **options)
