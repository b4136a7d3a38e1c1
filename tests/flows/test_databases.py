"""The same check and import end in the same desk, on SQLite and on PostgreSQL."""

from __future__ import annotations

import pytest
from sqlalchemy import Engine

from deployments.sandbox.server import Sandbox
from models.reports import Outcome
from tasks.desk.browse import export_orders
from tests.support.connected import Connected


def test_check_ends_in_the_same_desk_on_both_databases(
    sandbox: Sandbox, desk: Engine, desk_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DESK_DATABASE_URL", desk_url)
    connected = Connected("default", sandbox)

    first = connected.check()
    again = connected.check()

    paid = {
        order["id"]
        for order in sandbox.store.all()
        if order.get("status") == "paid" and not order.get("frozen") and isinstance(order.get("items"), list)
    }
    assert {order["source_id"] for order in export_orders(desk)} == paid
    assert first.counts[Outcome.IMPORTED] == len(paid)
    assert again.counts[Outcome.IMPORTED] == 0
