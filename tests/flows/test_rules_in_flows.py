"""Rules in the flows: an import lets them look at its orders, and a later run at what a crash left."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import Engine, text

from models.reports import Outcome
from models.rules import RuleForm
from tasks.desk.browse import export_orders
from tasks.desk.events import events_wait
from tasks.imports.report import report_page
from tasks.prefect_api.foreign_errors import FaultError
from tasks.rules import apply as module
from tasks.rules.store import save_rules
from tests.support.builders import insert_shipment
from tests.support.connected import Connected


def rule(event: str, *actions: dict[str, Any], **more: Any) -> RuleForm:
    return RuleForm.model_validate({"name": event, "event": event, "actions": list(actions), **more})


def firings(engine: Engine) -> list[int]:
    """How often a rule fired on each order on which one did."""
    query = "SELECT count(*) FROM order_history WHERE event = 'rule' GROUP BY order_id"
    with engine.connect() as connection:
        return list(connection.execute(text(query)).scalars())


def test_an_import_lets_the_rules_look_at_each_new_order_once(connected: Connected, engine: Engine) -> None:
    save_rules(engine, [rule("order imported", {"set_metadata": {"lane": "2"}}, {"send_to": "acme"})])
    report = connected.check()
    imported = report.counts[Outcome.IMPORTED]
    assert report.as_dict()["rules"] == {"fired": imported, "queued": imported}
    assert report.one_line().endswith(f", rules fired {imported} times and queued {imported} orders")
    assert f"| Queued by rules | {imported} |" in str(report_page(report))
    assert connected.check().as_dict()["rules"] == {"fired": 0, "queued": 0}
    assert firings(engine) == [1] * imported
    assert all(order["metadata"] == {"lane": "2"} for order in export_orders(engine))
    with engine.connect() as connection:
        waiting = connection.execute(text("SELECT count(*) FROM handovers WHERE fulfiller = 'acme'"))
        assert waiting.scalar_one() == imported


def test_a_dry_run_lets_no_rule_look(connected: Connected, engine: Engine) -> None:
    save_rules(engine, [rule("order imported", {"hold": "x"})])
    assert "rules" not in connected.manual_import("2020-01-01", dry_run=True).as_dict()
    assert firings(engine) == []


def test_without_rules_the_report_does_not_mention_them(connected: Connected) -> None:
    report = connected.check()
    assert "rules" not in report.as_dict()
    assert "rules" not in report.one_line() + str(report_page(report))


def test_what_a_crash_before_the_rules_left_is_done_by_the_next_check(
    connected: Connected, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_rules(engine, [rule("order imported", {"hold": "x"})])

    def crash(*_args: Any, **_named: Any) -> None:
        raise RuntimeError("the power went")

    with monkeypatch.context() as patch:
        patch.setattr(module, "apply_rules", crash)
        with pytest.raises(FaultError, match="unexpected RuntimeError"):
            connected.check()
    orders = list(export_orders(engine))
    assert orders
    assert firings(engine) == []
    connected.check()
    assert firings(engine) == [1] * len(list(export_orders(engine)))
    assert not events_wait(engine)


def test_a_sync_lets_the_rules_look_at_a_shipment_that_came_by_sql(
    connected: Connected, engine: Engine
) -> None:
    connected.set(sync_tracking=False)
    connected.check()
    save_rules(engine, [rule("shipment added", {"move_to": "Closed"})])
    (order, *_) = list(export_orders(engine))
    insert_shipment(engine, order["id"], "AB123")
    connected.sync()
    assert [order["id"] for order in export_orders(engine, folder="Closed")] == [order["id"]]
    connected.sync()
    assert firings(engine) == [1]
