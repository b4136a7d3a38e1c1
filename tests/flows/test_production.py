"""From the handover to podOS's `processing`, `printed` and `complete`; and off where podOS refuses it."""

from __future__ import annotations

import asyncio
from collections.abc import Collection

import pytest
from sqlalchemy import Engine, text

from deployments.sandbox.receiver import Receiver
from models.production import TellProduction
from tasks.delivery.handovers import queue_orders
from tasks.desk.browse import find_order
from tasks.desk.engine import writing
from tasks.prefect_api.integrations import load_integration
from tests.support.commands import RunDesk
from tests.support.connected import Connected
from tests.support.sending import NOW

SECRET = "a secret of the tests"


def hand_over(desk_command: RunDesk, engine: Engine) -> list[str]:
    """Import orders, hand three of them over to a webhook, and return their podOS ids."""
    checked = desk_command("check")  # a command first: it keeps Prefect's log out of what commands say
    assert checked.code == 0, checked.err
    with writing(engine) as connection:
        query = text("SELECT id, source_id FROM orders WHERE hold_reason IS NULL ORDER BY id LIMIT 3")
        orders = connection.execute(query).all()
        queue_orders(connection, [(order.id, "acme") for order in orders], now=NOW)
    with Receiver(SECRET) as receiver:
        added = desk_command("fulfillers", "add", "webhook", "acme", "--address", receiver.url)
        assert added.code == 0, added.err
        sent = desk_command("send", "--to", "acme")
        assert sent.code == 0, sent.err
    return [order.source_id for order in orders]


def status_of(connected: Connected, source_ids: list[str]) -> list[object]:
    orders = {order.get("id"): order["status"] for order in connected.sandbox.store.all()}
    return [orders[source_id] for source_id in source_ids]


@pytest.mark.parametrize("moment", ["handover", "accepted"])
def test_the_sync_tells_podos_of_every_step_and_a_check_finds_no_news(
    desk_command: RunDesk,
    connected: Connected,
    engine: Engine,
    monkeypatch: pytest.MonkeyPatch,
    moment: str,
) -> None:
    monkeypatch.setenv("FULFILLER_SECRET", SECRET)
    connected.set(tell_production=moment)
    asked: list[set[str]] = []

    async def emit(integrations: Collection[str]) -> bool:
        asked.append(set(integrations))
        return True

    monkeypatch.setattr("flows.send_orders.emit_shipments_added", emit)
    source_ids = hand_over(desk_command, engine)
    assert asked == [{"default"}]  # the sync begins at once
    report = connected.sync()
    assert (report.production and report.production.one_line()) == "3 pending: 3 sent"
    assert status_of(connected, source_ids) == ["processing"] * 3
    assert not any(connected.check().changed.values())
    events = [entry.event for source_id in source_ids for entry in find_order(engine, source_id).history]
    assert (events.count("production"), events.count("changed in podOS")) == (3, 0)

    assert desk_command("printed", *source_ids).out == "3 orders are printed\n"
    synced = desk_command("sync")
    assert (synced.code, "production: 3 pending: 3 sent" in synced.err) == (0, True)
    assert status_of(connected, source_ids) == ["printed"] * 3
    shipped = desk_command("ship", source_ids[0], "--courier", "DPD", "--code", "15500000000001")
    assert shipped.code == 0, shipped.err
    connected.sync()
    assert status_of(connected, source_ids) == ["complete", "printed", "printed"]
    assert connected.sync().is_idle


def test_without_the_setting_podos_hears_nothing(
    desk_command: RunDesk, connected: Connected, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FULFILLER_SECRET", SECRET)
    source_ids = hand_over(desk_command, engine)
    assert connected.sync().production is None
    assert status_of(connected, source_ids) == ["paid"] * 3


def test_a_refusal_switches_it_off_for_the_integration(
    desk_command: RunDesk, connected: Connected, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FULFILLER_SECRET", SECRET)
    connected.set(tell_production="accepted")
    connected.sandbox.faults.takes_production = False
    source_ids = hand_over(desk_command, engine)
    report = connected.sync()
    assert report.production is not None
    assert "switched off" in report.one_line()
    assert asyncio.run(load_integration("default")).tell_production is TellProduction.OFF
    assert status_of(connected, source_ids) == ["paid"] * 3
    assert connected.sync().production is None
