"""After a restore, what was imported and sent since the backup comes in again and is not sent again."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import Engine

from models.tables.outbox import OutboxState
from tasks.desk.browse import export_orders
from tasks.upkeep.backup import back_up
from tasks.upkeep.restore import restore
from tests.support.builders import insert_shipment
from tests.support.connected import Connected


def test_tracking_that_was_sent_is_found_and_orders_come_in_again(
    connected: Connected, engine: Engine, tmp_path: Path
) -> None:
    store = connected.sandbox.store
    late = next(order for order in store.all() if order.get("status") == "new" and not order.get("frozen"))
    connected.check()
    before = list(export_orders(engine))
    shipped = next(order for order in before if order["project"] == connected.sandbox.project)
    insert_shipment(engine, shipped["id"])
    back_up(engine, tmp_path / "backup.db", force=False, on_progress=lambda *_: None)

    assert connected.sync().counts[OutboxState.SENT] == 1
    store.update(late["id"], status="paid")
    connected.check()
    assert len(store.patches) == 1
    restore(tmp_path / "backup.db", engine, now=datetime.now(UTC), on_progress=lambda *_: None)

    assert list(export_orders(engine)) == before
    assert connected.sync().counts[OutboxState.ALREADY_THERE] == 1
    assert len(store.patches) == 1
    connected.check()
    assert late["id"] in {order["source_id"] for order in export_orders(engine)}
