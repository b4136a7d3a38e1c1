"""The pages of a real desk on SQLite."""

from __future__ import annotations

import pytest
from sqlalchemy import Engine

from deployments.web.app import create_app
from deployments.web.site import Site
from models.watching import Plans
from tests.support.pages import PageClient


@pytest.fixture
def database() -> str:
    """Pages call functions that are tested on both databases; SQLite is enough here."""
    return "sqlite"


@pytest.fixture
def site(desk: Engine) -> Site:
    """The desk, and a Prefect server that knows one fulfiller."""
    return Site(desk, lambda: Plans(frozenset({"default"}), frozenset({"acme"}), {}))


@pytest.fixture
def client(site: Site, monkeypatch: pytest.MonkeyPatch) -> PageClient:
    """A browser at the pages."""
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    return PageClient(create_app(site, hosts=frozenset({"desk.example.test"})))
