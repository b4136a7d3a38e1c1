"""Loading a batch: all of it or nothing, once however often, counted in the same transaction."""

from __future__ import annotations

import threading
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from hashlib import sha256
from typing import Any

import pytest
from sqlalchemy import Engine, text

from models.podos import ContactInformation, Price
from models.reports import ImportReport, Outcome
from tasks.desk import engine as engine_module
from tasks.desk.browse import export_orders, find_order
from tasks.desk.errors import RetriableDeskError
from tasks.desk.runs import read_watermark
from tasks.imports.load import BatchResult, ImportRunContext, load, tally
from tasks.imports.rejected_list import list_rejected
from tasks.upkeep.erase import erase, only
from tests.support.loading import CREATED, NOW, SETTINGS, batch, fulfillment, new_run, unreadable


def count(desk: Engine, table: str) -> int:
    """How many rows a table has."""
    with desk.connect() as connection:
        return int(connection.execute(text(f"SELECT count(*) FROM {table}")).scalar_one())


def test_load_writes_the_order_as_podos_gave_it(desk: Engine) -> None:
    load(batch(fulfillment("s-1", fulfiller_reference="F1")), new_run(desk), now=NOW)

    (order,) = export_orders(desk)
    assert (order["source_id"], order["order_number"], order["folder"]) == ("s-1", "A-F1", "Incoming")
    assert order["declared_value"] == "39.80"
    assert order["created_at"] == "2026-11-20T08:30:00+00:00"
    (item,) = order["items"]
    assert item["metadata"] == {
        "print_url_1": "https://artwork.example.test/1.png",
        "print_location_1": "front",
        "print_sku": "TEE-M",
    }
    assert (item["quantity"], item["sku"]) == (2, "TEE-M")


def test_money_is_exact_in_the_database(desk: Engine) -> None:
    load(batch(fulfillment("s-1", declared_value=Price("0.10", "EUR"))), new_run(desk), now=NOW)

    with desk.connect() as connection:
        assert Decimal(
            str(connection.execute(text("SELECT declared_value FROM orders")).scalar())
        ) == Decimal("0.10")


def test_a_reference_longer_than_an_index_takes_comes_in_with_its_neighbours(desk: Engine) -> None:
    reference = "".join(sha256(bytes([number])).hexdigest() for number in range(128))
    run = new_run(desk)
    load(batch(fulfillment("s-1", merchant_reference=reference), fulfillment("s-2")), run, now=NOW)
    first, second = export_orders(desk)
    assert first["merchant_reference"] == reference
    assert reference.startswith(first["order_number"].removeprefix("A-"))
    assert (second["source_id"], run.report.counts[Outcome.IMPORTED]) == ("s-2", 2)


def test_loading_twice_changes_nothing(desk: Engine) -> None:
    prepared = batch(fulfillment("s-1"), fulfillment("s-2", design=None), unreadable("s-3"))
    load(prepared, new_run(desk), now=NOW)
    before = list(export_orders(desk))

    run = new_run(desk)
    load(prepared, run, now=NOW)

    assert list(export_orders(desk)) == before
    assert run.report.counts[Outcome.ALREADY_IMPORTED] == 2
    assert run.report.counts[Outcome.REJECTED] == 1
    assert run.report.needs_attention == 0
    assert (count(desk, "rejected_orders"), count(desk, "order_history")) == (1, 1)


def test_rows_built_by_parts_are_the_orders_of_the_whole_batch(
    desk: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tasks.imports.store._AT_ONCE", 2)
    ids = [f"order-{number}" for number in range(5)]
    load(batch(fulfillment(ids[2])), new_run(desk), now=NOW)
    run = new_run(desk)
    rows_of_podos = [fulfillment(id_) for id_ in ids[:4]] + [fulfillment(ids[4], design=None)]
    load(batch(*rows_of_podos), run, now=NOW)
    assert run.report.counts[Outcome.IMPORTED] == 4
    assert run.report.counts[Outcome.ALREADY_IMPORTED] == 1
    with desk.connect() as connection:
        rows = connection.execute(
            text(
                "SELECT o.source_id, f.name, count(i.position) FROM orders o "
                "JOIN folders f ON f.id = o.folder_id JOIN order_items i ON i.order_id = o.id "
                "GROUP BY o.source_id, f.name ORDER BY 1"
            )
        ).all()
    assert [tuple(row) for row in rows] == [
        (id_, "Needs Attention" if id_ == ids[4] else "Incoming", 1) for id_ in ids
    ]


def test_an_order_without_design_waits_in_needs_attention_with_its_reason(desk: Engine) -> None:
    run = new_run(desk)
    load(batch(fulfillment("s-1"), fulfillment("s-2", design=" ")), run, now=NOW)

    detail = find_order(desk, "s-2").as_dict()
    assert detail["folder"] == "Needs Attention"
    assert "no design address: item 1, print 1" in str(detail["history"])
    assert [problem.source_id for problem in run.report.attention] == ["s-2"]


@pytest.mark.parametrize(
    "step", ["insert_orders", "add_history", "rejected.write_rejected", "record_counts", "move_watermark"]
)
def test_a_crash_at_any_step_leaves_nothing_of_the_batch(
    desk: Engine, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    prepared = batch(fulfillment("s-1", design=None), unreadable("s-2"), read_to=CREATED)
    run = new_run(desk)

    def crash(*_args: object, **_kwargs: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(f"tasks.imports.load.{step}", crash)
        with pytest.raises(KeyboardInterrupt):
            load(prepared, run, now=NOW)

    assert [
        count(desk, table) for table in ("orders", "order_items", "order_history", "rejected_orders")
    ] == [0] * 4
    assert read_watermark(desk, SETTINGS) is None
    assert run.report.fetched == 0
    load(prepared, run, now=NOW)
    assert (run.report.fetched, count(desk, "orders"), read_watermark(desk, SETTINGS)) == (2, 1, CREATED)


def test_counts_and_mark_are_written_with_the_rows(desk: Engine) -> None:
    run = new_run(desk)
    load(batch(fulfillment("s-1"), fulfillment("s-2", status="new"), read_to=CREATED), run, now=NOW)

    with desk.connect() as connection:
        counts = connection.execute(text("SELECT counts FROM import_runs")).scalar()
    assert '"imported": 1' in str(counts).replace("'", '"')
    assert '"status": 1' in str(counts).replace("'", '"')
    assert read_watermark(desk, SETTINGS) == CREATED


def test_the_mark_vouches_for_its_filters_only(desk: Engine) -> None:
    from dataclasses import replace

    load(batch(read_to=CREATED), new_run(desk), now=NOW)

    assert read_watermark(desk, SETTINGS) == CREATED
    assert read_watermark(desk, replace(SETTINGS, folder="Elsewhere", order_prefix="")) == CREATED
    assert read_watermark(desk, replace(SETTINGS, statuses=("paid", "new"))) is None
    assert read_watermark(desk, replace(SETTINGS, countries=("GB",))) is None


def test_two_loading_at_once_make_each_order_once(desk: Engine) -> None:
    rows = [fulfillment(f"s-{number}") for number in range(300)]
    runs = [new_run(desk) for _ in range(4)]
    start = threading.Barrier(4)
    failures: list[BaseException] = []

    def work(run: ImportRunContext) -> None:
        try:
            start.wait()
            for first in range(0, 300, 50):
                load(batch(*rows[first : first + 50]), run, now=NOW)
        except BaseException as error:  # noqa: BLE001 - shown by the test
            failures.append(error)

    threads = [threading.Thread(target=work, args=(run,)) for run in runs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert not failures
    assert (count(desk, "orders"), count(desk, "order_items")) == (300, 300)
    assert sum(run.report.counts[Outcome.IMPORTED] for run in runs) == 300
    assert all(run.report.fetched == 300 for run in runs)


def test_an_order_seen_before_as_unreadable_is_taken_back_when_it_can_be_read(desk: Engine) -> None:
    load(batch(unreadable("s-1"), unreadable("s-2"), unreadable(None)), new_run(desk), now=NOW)

    load(batch(fulfillment("s-1"), fulfillment("s-2", status="refunded")), new_run(desk), now=NOW)

    with desk.connect() as connection:
        left = connection.execute(text("SELECT source_id FROM rejected_orders")).scalars().all()
    assert left == [None]


def test_an_imported_order_that_became_unreadable_stays_imported(desk: Engine) -> None:
    load(batch(fulfillment("s-1")), new_run(desk), now=NOW)
    run = new_run(desk)

    load(batch(unreadable("s-1")), run, now=NOW)

    assert run.report.counts[Outcome.ALREADY_IMPORTED] == 1
    assert count(desk, "rejected_orders") == 0


def test_same_id_in_two_projects_is_two_orders(desk: Engine) -> None:
    from dataclasses import replace

    load(batch(fulfillment("s-1")), new_run(desk), now=NOW)
    other = new_run(desk)
    other.settings = replace(SETTINGS, project="other-1", integration="other")

    load(batch(fulfillment("s-1")), other, now=NOW)

    assert count(desk, "orders") == 2


def test_text_with_nul_does_not_stop_the_batch(desk: Engine) -> None:
    odd = fulfillment("s-1", merchant_reference="M\x00-1")

    load(batch(odd, unreadable("s-2", '{"a": "\x00"}')), new_run(desk), now=NOW)

    assert next(export_orders(desk))["order_number"] == "A-M-1"


def test_a_locked_database_leaves_the_report_and_can_be_tried_again(
    sqlite_template: Any, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    import shutil

    shutil.copy(sqlite_template, tmp_path / "desk.db")
    monkeypatch.setattr(engine_module, "BUSY_TIMEOUT_SECONDS", 0)
    desk = engine_module.make_engine(f"sqlite:///{tmp_path / 'desk.db'}")
    run = new_run(desk)
    with engine_module.writing(desk), pytest.raises(RetriableDeskError, match="locked"):
        load(batch(fulfillment("s-1")), run, now=NOW)
    assert run.report.fetched == 0

    load(batch(fulfillment("s-1")), run, now=NOW)
    assert run.report.counts[Outcome.IMPORTED] == 1
    desk.dispose()


def test_tally_counts_an_order_that_comes_again_once_as_its_latest_outcome() -> None:
    seen: dict[str, Outcome] = {}
    report = ImportReport("default", "check", dry_run=False)
    for outcomes in (
        {"a": Outcome.STATUS, "b": Outcome.IMPORTED},
        {"a": Outcome.IMPORTED, "b": Outcome.ALREADY_IMPORTED, "c": Outcome.FROZEN},
    ):
        result = BatchResult(dict(outcomes), [])
        report = tally(report, result, seen)
        seen.update(result.outcomes)

    assert report.fetched == 3
    assert report.counts[Outcome.IMPORTED] == 2
    assert report.counts[Outcome.FROZEN] == 1
    assert report.counts[Outcome.STATUS] == 0


def test_the_mark_never_moves_back_unless_the_filter_changed(desk: Engine) -> None:
    """A batch that ends inside a busy second vouches only for what was read before that second."""
    run, earlier = new_run(desk), NOW - timedelta(minutes=5)
    load(batch(fulfillment("a"), read_to=NOW), run, now=NOW)
    load(batch(fulfillment("b"), read_to=earlier), run, now=NOW)
    assert read_watermark(desk, SETTINGS) == NOW

    other = replace(SETTINGS, statuses=("paid", "printed"))
    run.settings = other
    load(batch(fulfillment("c"), read_to=earlier), run, now=NOW)
    assert read_watermark(desk, other) == earlier


def test_an_erased_order_is_neither_imported_again_nor_refilled(desk: Engine) -> None:
    run = new_run(desk)
    personal = ContactInformation("ada@example.test")
    load(batch(fulfillment("f-1", contact_information=personal)), run, now=NOW)
    (order,) = export_orders(desk)
    erase(desk, only([order["id"]], []), by="ann", now=NOW)
    again = new_run(desk)
    changed = fulfillment(
        "f-1", contact_information=ContactInformation("ada@example.test"), status="complete"
    )
    load(batch(changed), again, now=NOW)
    load(batch(unreadable("f-1", payload='{"email": "ada@example.test"}')), again, now=NOW)
    assert again.report.counts[Outcome.ALREADY_IMPORTED] == 2
    (order,) = export_orders(desk)
    assert order["email"] is None
    assert [rejected.source_id for rejected in list_rejected(desk)] == []


def test_a_row_that_comes_whole_and_broken_is_counted_as_imported(desk: Engine) -> None:
    run = new_run(desk)
    load(batch(fulfillment("s-1"), unreadable("s-1")), run, now=NOW)
    assert run.report.counts[Outcome.IMPORTED] == 1
    assert run.report.counts[Outcome.ALREADY_IMPORTED] == run.report.counts[Outcome.REJECTED] == 0
