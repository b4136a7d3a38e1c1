"""Every difference between podOS and the desk is found with its reason, and --fix mends what is safe."""

from __future__ import annotations

import asyncio
import csv
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from prefect.client.schemas.objects import State
from sqlalchemy import Engine, text

from models.reconciling import Difference, ReconcileReport
from models.tables.runs import RunState
from models.upstream import HELD_GONE
from tasks.desk.browse import export_orders, find_order
from tasks.desk.leases import HeldLease, LeaseHeldError
from tasks.desk.run_history import list_runs
from tests.support.builders import insert_order, insert_shipment
from tests.support.commands import RunDesk
from tests.support.connected import Connected

Differences = dict[str, int]


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Retries follow at once."""
    import stamina

    from tasks.imports.extract import extract_orders
    from tasks.imports.load import load_orders

    monkeypatch.setattr(extract_orders, "retry_delay_seconds", 0)
    monkeypatch.setattr(load_orders, "retry_delay_seconds", 0)
    with stamina.set_testing(True, attempts=6):
        yield


def reconcile(name: str = "default", *, fix: bool = False) -> ReconcileReport:
    from deployments.cli.reconciling import run_and_watch

    return run_and_watch(name, None, fix=fix, on_findings=None)


def changed(before: ReconcileReport, after: ReconcileReport) -> Differences:
    """What one reconciliation found and the other did not, by reason."""
    both = {order: after.counts[order] - before.counts[order] for order in Difference}
    return {difference.value: count for difference, count in both.items() if count}


def delete_orders(engine: Engine, *ids: int) -> None:
    with engine.begin() as connection:
        for table, key in (("order_items", "order_id"), ("order_history", "order_id"), ("orders", "id")):
            for id_ in ids:
                connection.execute(text(f"DELETE FROM {table} WHERE {key} = :id"), {"id": id_})


def set_state(engine: Engine, shipment: int, state: str) -> None:
    with engine.begin() as connection:
        connection.execute(
            text("UPDATE shipments SET state = :state, sent_at = '2026-11-23 00:00:00' WHERE id = :id"),
            {"id": shipment, "state": state},
        )


def settled_orders(engine: Engine) -> list[dict[str, Any]]:
    """Orders of the desk that podOS has not touched lately, the oldest first."""
    return sorted(export_orders(engine), key=lambda order: str(order["created_at"]))[:40]


def plant(connected: Connected, engine: Engine) -> dict[str, str]:
    """Make one difference of each kind between podOS and a desk that was checked; ids by kind."""
    store = connected.sandbox.store
    orders = settled_orders(engine)
    kinds = ("missed", "refunded", "frozen", "address", "complete", "lost", "failed", "waiting", "gone")
    chosen = dict(zip(kinds, orders, strict=False))
    ids = {kind: str(order["source_id"]) for kind, order in chosen.items()}
    delete_orders(engine, chosen["missed"]["id"])
    store.update(ids["refunded"], status="refunded")
    store.update(ids["frozen"], frozen=True)
    address = (store.get(ids["address"]) or {})["shippingAddress"] | {"city": "Newtown Sample"}
    store.update(ids["address"], shippingAddress=address)
    store.update(ids["complete"], status="complete", tracking={"courier": "X", "code": "C9"})
    for kind, state in (("lost", "sent"), ("failed", "failed"), ("waiting", "waiting")):
        set_state(engine, insert_shipment(engine, chosen[kind]["id"], code=f"CODE{kind}"), state)
    store.remove(ids["gone"])
    return ids


def test_a_desk_that_was_just_checked_differs_only_by_its_filters(connected: Connected) -> None:
    imported = connected.check()
    report = reconcile()
    assert (report.read, report.here, report.alarming) == (400, imported.as_dict()["imported"], 0)
    counts = {difference.value: count for difference, count in report.counts.items() if count}
    skipped = {name: count for name, count in imported.as_dict()["skipped"].items() if count}
    assert counts == skipped | {"rejected": 1}


def test_each_planted_difference_is_found_and_a_mere_look_changes_nothing(
    connected: Connected, engine: Engine
) -> None:
    connected.check()
    before = reconcile()
    ids = plant(connected, engine)
    runs, desk = len(list_runs(engine)), list(export_orders(engine))

    with HeldLease(engine, "check:default"):  # it only reads: a check may be at work
        report = reconcile()

    assert changed(before, report) == {
        "missed": 1,
        "refunded_there": 1,
        "frozen_there": 1,
        "address_differs": 1,
        "complete_there_only": 1,
        "tracking_lost": 1,
        "tracking_failed": 1,
        "tracking_waiting": 1,
        "not_found_there": 1,
    }
    assert report.alarming == 3
    shown = report.as_dict()["examples"]
    assert (shown["missed"], shown["not_found_there"]) == ([ids["missed"]], [ids["gone"]])
    assert list(export_orders(engine)) == desk
    assert len(list_runs(engine)) == runs
    assert connected.sandbox.store.patches == []


def test_fix_mends_what_is_safe_once_and_leaves_the_rest(connected: Connected, engine: Engine) -> None:
    connected.check()
    before = reconcile()
    ids = plant(connected, engine)
    kept = {order["id"]: order for order in export_orders(engine)}

    fixed = reconcile(fix=True)
    again = reconcile(fix=True)

    assert (fixed.brought, fixed.resent, fixed.held, fixed.alarming) == (1, 2, 1, 0)
    assert (again.brought, again.resent, again.held, again.alarming) == (0, 0, 0, 0)
    gone = find_order(engine, ids["gone"])
    assert (gone.order["folder"], gone.order["hold_reason"]) == ("Needs Attention", HELD_GONE)
    assert [change.kind for change in gone.changes] == ["status"]
    assert changed(before, again) == {
        "refunded_there": 1,
        "frozen_there": 1,
        "address_differs": 1,
        "complete_there_only": 1,
        "not_found_there": 1,
    }
    assert find_order(engine, ids["missed"]).order["folder"] in {"New", "Needs Attention"}
    for kind in ("lost", "failed", "waiting"):
        there = connected.sandbox.store.get(ids[kind]) or {}
        assert (there["status"], there["tracking"]["code"]) == ("complete", f"CODE{kind}")
    assert sorted(id_ for id_, _ in connected.sandbox.store.patches) == sorted(
        ids[kind] for kind in ("lost", "failed", "waiting")
    )
    untouched = {order["id"]: order for order in export_orders(engine) if order["id"] in kept}
    moved = {id_ for id_, order in untouched.items() if order != kept[id_]}
    assert {str(kept[id_]["source_id"]) for id_ in moved} == {
        ids[kind] for kind in ("lost", "failed", "waiting", "gone")
    }
    runs = [run for run in list_runs(engine) if run.kind == "reconcile"]
    assert [(run.state, run.counts["imported"]) for run in runs] == [
        (RunState.COMPLETED, 0),
        (RunState.COMPLETED, 1),
    ]


def test_a_podos_that_lists_nothing_holds_nothing(connected: Connected, engine: Engine) -> None:
    connected.check()
    for order in connected.sandbox.store.all():
        connected.sandbox.store.remove(order["id"])
    report = reconcile(fix=True)
    assert report.counts[Difference.NOT_FOUND_THERE] > 100
    assert report.held == 0
    assert not any(order["hold_reason"] == HELD_GONE for order in export_orders(engine))


def test_an_order_that_no_check_could_have_read_is_not_missed(connected: Connected) -> None:
    assert reconcile().counts[Difference.MISSED] == 0
    connected.check()
    new = next(
        difference["id"] for difference in connected.sandbox.store.all() if difference.get("status") == "new"
    )
    later = (datetime.now(UTC) + timedelta(minutes=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
    connected.sandbox.store.update(new, status="paid", frozen=False, updatedAt=later)
    report = reconcile()
    assert (report.counts[Difference.NOT_CHECKED_YET], report.alarming) == (1, 0)
    assert reconcile(fix=True).brought == 1


def test_a_rejected_order_that_became_readable_is_named_and_brought_in(
    connected: Connected, engine: Engine
) -> None:
    connected.check()
    with engine.connect() as connection:
        query = text("SELECT source_id FROM rejected_orders WHERE source_id IS NOT NULL")
        rejected = str(connection.execute(query).scalar_one())
    connected.sandbox.store.update(rejected, items=[], status="paid", frozen=False)
    (finding,) = reconcile().examples[Difference.REJECTED]
    assert finding.source_id == rejected
    assert "readable now" in str(finding.detail)
    assert reconcile(fix=True).brought == 1
    assert reconcile().counts[Difference.REJECTED] == 0


def test_read_only_mode_sends_nothing_and_imports_all_the_same(connected: Connected, engine: Engine) -> None:
    connected.check()
    plant(connected, engine)
    connected.set(read_only=True)
    report = reconcile(fix=True)
    assert (report.brought, report.resent, report.alarming) == (1, 0, 2)
    assert "read-only mode" in report.one_line()
    assert connected.sandbox.store.patches == []


def test_fix_never_runs_beside_a_check(connected: Connected, engine: Engine) -> None:
    with HeldLease(engine, "check:default"), pytest.raises(LeaseHeldError):
        reconcile(fix=True)
    assert list_runs(engine) == []


def test_a_fix_that_was_stopped_is_finished_by_the_next_one(
    connected: Connected, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stopped between what was set to wait and the sync that sends it, as a kill would."""
    from flows import reconcile_orders

    class Killed(BaseException):
        pass

    async def killed(*_: object) -> None:
        raise Killed

    connected.check()
    plant(connected, engine)
    with monkeypatch.context() as patched:
        patched.setattr(reconcile_orders, "sync", killed)
        with pytest.raises(Killed):
            reconcile(fix=True)
    left = reconcile()
    assert (left.counts[Difference.MISSED], left.counts[Difference.TRACKING_WAITING]) == (0, 3)
    connected.sync()
    assert reconcile(fix=True).alarming == 0
    assert len(connected.sandbox.store.patches) == 3


def test_the_command_tells_by_its_exit_code_and_streams_every_difference(
    connected: Connected, engine: Engine, desk_command: RunDesk, tmp_path: Path
) -> None:
    connected.check()
    ids = plant(connected, engine)
    with engine.begin() as connection:
        statement = text("UPDATE orders SET order_number = '=1+1' WHERE source_id = :id")
        connection.execute(statement, {"id": ids["refunded"]})

    found = desk_command("reconcile", "--output", str(tmp_path / "found.csv"), "--json")
    fixed = desk_command("reconcile", "--fix", "--output", str(tmp_path / "found.jsonl"))
    clean = desk_command("reconcile")

    report = json.loads(found.out)
    assert (found.code, fixed.code, clean.code) == (1, 0, 0)
    assert "Error: orders: 1 missed here, 2 without their tracking in podOS; mend it with:" in found.err
    assert "of these, mended" in fixed.out
    with (tmp_path / "found.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == sum(report["differences"].values())
    numbers = {row["source_id"]: row["order_number"] for row in rows}
    assert numbers[ids["refunded"]] == "'=1+1"
    lines = (tmp_path / "found.jsonl").read_text("utf-8").splitlines()
    assert len(lines) == len(rows)
    everything = found.out + found.err + fixed.out + fixed.err + (tmp_path / "found.csv").read_text("utf-8")
    for order in export_orders(engine):
        assert not order["email"] or order["email"] not in everything
    assert "Newtown Sample" not in everything


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (["--since", "11/01/2026"], "is no day"),
        (["--format", "csv"], "give --output FILE"),
    ],
)
def test_the_command_refuses_what_makes_no_sense(
    connected: Connected, desk_command: RunDesk, args: list[str], words: str
) -> None:
    result = desk_command("reconcile", *args)
    assert result.code == 2
    assert words in result.err


def test_the_flow_of_all_integrations_is_named_by_what_it_found(connected: Connected, engine: Engine) -> None:
    from flows.reconcile_orders import DIFFERENCES, reconcile_orders
    from models.forms import Reconcile

    connected.check()

    async def run() -> State[Any]:
        return await reconcile_orders(Reconcile(integration="default"), return_state=True)

    fine = asyncio.run(run())
    delete_orders(engine, settled_orders(engine)[0]["id"])
    found = asyncio.run(run())
    assert (fine.name, found.name) == ("Completed", DIFFERENCES)
    assert found.is_completed()
    assert "missed 1" in str(found.message)


def test_an_order_outside_of_the_window_is_not_looked_for(connected: Connected, engine: Engine) -> None:
    from deployments.cli.reconciling import run_and_watch

    connected.check()
    old = datetime(2020, 1, 1, tzinfo=UTC)
    insert_order(engine, project=connected.sandbox.project, podos_created_at=old)
    since = datetime.now(UTC).date() - timedelta(days=5)
    report = run_and_watch("default", since, fix=False, on_findings=None)
    assert 0 < report.read < 400
    assert report.counts[Difference.NOT_FOUND_THERE] == 0
    assert reconcile().counts[Difference.NOT_FOUND_THERE] == 1
