"""Changes that podOS makes after the import: noted once whatever happens, nothing of a person's is lost."""

from __future__ import annotations

import threading
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Engine, text

from models.podos import Address, ContactInformation, Fulfillment
from models.reports import Outcome
from models.rules import RuleForm
from models.upstream import HELD_FROZEN, HELD_REFUNDED, Noted
from tasks.delivery.handovers import queue_orders
from tasks.desk.browse import OrderDetail, export_orders, find_order, list_orders
from tasks.desk.engine import writing
from tasks.desk.errors import DeskRefusedError
from tasks.desk.events import events_wait
from tasks.desk.folders import move_orders
from tasks.desk.open_changes import list_changes
from tasks.desk.runs import read_watermark
from tasks.fulfilment.queue import begin_attempts, take_due
from tasks.fulfilment.store import hold_order, release_order
from tasks.imports import load as load_module
from tasks.imports import remote_changes as upstream
from tasks.imports.load import ImportRunContext, find_known, load
from tasks.imports.review import keep_ours, take_theirs
from tasks.imports.store import holds_orders
from tasks.imports.transform import prepare
from tasks.podos.scan import Batch
from tasks.rules.store import save_rules
from tasks.upkeep.erase import erase, only
from tests.support.builders import insert_shipment
from tests.support.loading import CREATED, NOW, SETTINGS, fulfillment, new_run

HOME = Address(contact_name="Ada Sample", line1="1 Main Street", city="Leeds", country="GB")
YORK = Address(contact_name="Ada Sample", line1="9 Other Street", city="York", country="GB")
OTHER_DESIGN = "https://artwork.example.test/2.png"


def wire(source_id: str = "s-1", *, minutes: int = 0, **fields: Any) -> Fulfillment:
    """An order as podOS sends it, so many minutes after it was created."""
    values: dict[str, Any] = {"shipping_address": HOME, "updated_at": CREATED + timedelta(minutes=minutes)}
    return fulfillment(source_id, **values | fields)


def check(
    desk: Engine,
    *rows: Fulfillment,
    read_to: datetime | None = None,
    began_at: datetime | None = None,
    **settings: Any,
) -> ImportRunContext:
    """Let a check read these rows."""
    run = new_run(desk)
    run.began_at = began_at or run.began_at
    run.settings = replace(SETTINGS, **settings)
    found = Batch(1, rows, read_to)
    find_known(found, run)
    load(prepare(found, run.settings), run, now=NOW)
    return run


def noted(run: ImportRunContext) -> dict[str, int]:
    """What a run counts as changed."""
    return {kind.value: count for kind, count in run.report.changed.items() if count}


def look(desk: Engine, source_id: str = "s-1") -> OrderDetail:
    return find_order(desk, source_id)


def told(detail: OrderDetail) -> list[str]:
    """What the history says of podOS's changes."""
    return [entry.text for entry in detail.history if entry.event == upstream.EVENT]


def queue(desk: Engine, fulfiller: str = "acme", source_id: str = "s-1") -> int:
    """Let an order wait for a fulfiller and return the handover."""
    with writing(desk) as connection:
        queue_orders(connection, [(look(desk, source_id).order["id"], fulfiller)], now=NOW)
        newest = text("SELECT max(id) FROM handovers")
        return int(connection.execute(newest).scalar_one())


def handover(desk: Engine, id_: int) -> tuple[str, str | None]:
    with desk.connect() as connection:
        query = text("SELECT state, reason FROM handovers WHERE id = :id")
        row = connection.execute(query, {"id": id_}).one()
        return row[0], row[1]


def test_a_refunded_order_is_moved_held_and_not_handed_over_any_more(desk: Engine) -> None:
    check(desk, wire())
    queued = queue(desk)
    run = check(desk, wire(minutes=1, status="refunded"), canceled_folder="Refunds")

    detail = look(desk)
    assert (detail.order["folder"], detail.order["podos_status"]) == ("Refunds", "refunded")
    assert detail.order["hold_reason"] == HELD_REFUNDED
    assert handover(desk, queued) == ("voided", HELD_REFUNDED)
    assert told(detail) == ["refunded before it shipped: it is held; no longer waits for acme"]
    assert "moved from Incoming to Refunds (refunded in podOS)" in str(detail.history)
    assert noted(run) == {"canceled": 1}
    assert run.report.counts[Outcome.ALREADY_IMPORTED] == run.report.fetched == 1
    assert take_due(desk, "acme", now=NOW, limit=9) == []
    assert list(list_changes(desk)) == []  # nothing is left for a person to do
    assert [change.kind for change in list_changes(desk, only_open=False)] == ["status"]


def test_the_event_of_a_change_carries_ids_only(desk: Engine) -> None:
    check(desk, wire())
    run = check(desk, wire(minutes=1, status="refunded", shipping_address=YORK))
    known = {"project": SETTINGS.project, "integration": "default", "source_id": "s-1"}
    order = {"event": "podos-order-desk.order-changed", "id": look(desk).order["id"], **known}
    assert run.to_announce == [order | {"change": "canceled"}, order | {"change": "address"}]


def test_the_same_change_is_noted_once_however_often_it_is_read(desk: Engine) -> None:
    check(desk, wire())
    changed = wire(minutes=1, frozen=True, shipping_address=YORK, design=OTHER_DESIGN)
    first = check(desk, changed)
    before = (look(desk), list(list_changes(desk, only_open=False)))

    again = [check(desk, changed), check(desk, wire(minutes=2, **_said(changed)))]

    assert noted(first) == {"held": 1, "address": 1, "artwork": 1}
    assert [noted(run) for run in again] == [{}, {}]
    assert (look(desk), list(list_changes(desk, only_open=False))) == before


def _said(row: Fulfillment) -> dict[str, Any]:
    names = ("status", "frozen", "shipping_address", "items")
    return {name: getattr(row, name) for name in names}


def test_a_change_of_a_podos_whose_clock_went_back_is_seen(desk: Engine) -> None:
    check(desk, wire(minutes=60))
    assert noted(check(desk, wire(minutes=1, status="refunded"))) == {"canceled": 1}
    assert noted(check(desk, wire(minutes=1, status="refunded"))) == {}


def test_a_second_change_of_the_same_second_is_seen_while_it_can_come(desk: Engine) -> None:
    just_now: dict[str, Any] = {"updated_at": NOW - timedelta(seconds=1)}
    check(desk, wire(**just_now))
    assert noted(check(desk, wire(status="refunded", **just_now))) == {"canceled": 1}
    assert noted(check(desk, wire(**just_now))) == {"paid_again": 1}


def test_a_known_order_of_the_same_date_is_not_compared_days_later(desk: Engine) -> None:
    check(desk, wire())
    found, run = Batch(1, [wire(), wire("s-2")], None), new_run(desk)
    find_known(found, run)
    assert found.known == {"s-1"}
    assert not found.again


def test_an_older_answer_of_a_run_that_began_before_is_passed_over(desk: Engine) -> None:
    check(desk, wire(minutes=5))
    check(desk, wire(minutes=6, status="refunded"))
    assert noted(check(desk, wire(minutes=5), began_at=NOW - timedelta(seconds=1))) == {}
    assert look(desk).order["podos_status"] == "refunded"


@pytest.mark.parametrize("step", ["note_changes", "record_counts", "move_watermark"])
def test_a_crash_at_any_step_leaves_nothing_and_the_next_check_notes_it_once(
    desk: Engine, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    check(desk, wire())
    changed = wire(minutes=1, status="refunded", shipping_address=YORK)
    before = look(desk)

    def crash(*_args: object, **_kwargs: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(load_module, step, crash)
        with pytest.raises(KeyboardInterrupt):
            check(desk, changed, read_to=NOW)
    assert (look(desk), read_watermark(desk, SETTINGS)) == (before, None)

    assert noted(check(desk, changed, read_to=NOW)) == {"canceled": 1, "address": 1}
    assert noted(check(desk, changed, read_to=NOW)) == {}
    assert len(told(look(desk))) == 2


@pytest.mark.parametrize(
    "step", ["_write_orders", "_write_changes", "_write_handovers", "add_history", "_move"]
)
def test_a_crash_within_the_noting_leaves_nothing(
    desk: Engine, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    check(desk, wire())
    queued = queue(desk)
    before = look(desk)

    def crash(*_args: object, **_kwargs: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(upstream, step, crash)
        with pytest.raises(KeyboardInterrupt):
            check(desk, wire(minutes=1, status="refunded"))
    assert (look(desk), handover(desk, queued)) == (before, ("waiting", None))
    assert noted(check(desk, wire(minutes=1, status="refunded"))) == {"canceled": 1}


def test_two_processes_at_once_note_each_change_once(desk: Engine) -> None:
    ids = [f"s-{number}" for number in range(60)]
    check(desk, *(wire(id_) for id_ in ids))
    for id_ in ids[:20]:
        queue(desk, source_id=id_)
    changed = [wire(id_, minutes=1, status="refunded", shipping_address=YORK) for id_ in ids]
    start = threading.Barrier(4)
    runs: list[ImportRunContext] = []
    failures: list[BaseException] = []

    def work(order: list[Fulfillment]) -> None:
        try:
            start.wait()
            runs.extend(check(desk, *order[first : first + 15]) for first in range(0, len(order), 15))
        except BaseException as error:  # noqa: BLE001 - shown by the test
            failures.append(error)

    threads = [
        threading.Thread(target=work, args=(rows,))
        for rows in (changed, changed[::-1], changed, changed[::-1])
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert not failures
    assert sum(run.report.changed[Noted.CANCELED] for run in runs) == 60
    assert sum(run.report.changed[Noted.ADDRESS] for run in runs) == 60
    assert all(len(told(look(desk, id_))) == 2 for id_ in ids)
    assert len(list(list_changes(desk, only_open=False))) == 120


def test_back_and_forth_ends_where_it_began_and_every_turn_is_in_the_history(desk: Engine) -> None:
    check(desk, wire())
    queued = queue(desk)
    turns = [
        check(desk, wire(minutes=1, status="refunded")),
        check(desk, wire(minutes=2)),
        check(desk, wire(minutes=3, status="refunded")),
        check(desk, wire(minutes=4)),
        check(desk, wire(minutes=5, shipping_address=YORK)),
        check(desk, wire(minutes=6)),
    ]
    detail = look(desk)
    assert [noted(run) for run in turns] == [
        {"canceled": 1},
        {"paid_again": 1},
        {"canceled": 1},
        {"paid_again": 1},
        {"address": 1},
        {},
    ]
    assert (detail.order["folder"], detail.order["hold_reason"]) == ("Incoming", None)
    assert handover(desk, queued) == ("waiting", None)
    assert len(told(detail)) == 6
    assert [change.kind for change in detail.changes] == ["status"]  # paid again: somebody must see it
    assert detail.changes[0].new_values == {"status": "paid", "folder": "Incoming"}


def test_paid_again_stays_where_a_person_put_it(desk: Engine) -> None:
    check(desk, wire())
    check(desk, wire(minutes=1, status="refunded"))
    move_orders(desk, ["s-1"], "Prepared")
    hold_order(desk, "s-1", "ask Ada", now=NOW)
    check(desk, wire(minutes=2))
    order = look(desk).order
    assert (order["folder"], order["hold_reason"]) == ("Prepared", "ask Ada")


def test_frozen_is_held_until_podos_or_a_person_lets_it_go(desk: Engine) -> None:
    check(desk, wire())
    queued = queue(desk)
    check(desk, wire(minutes=1, frozen=True, frozen_reasons=["fraud"]))
    assert look(desk).order["hold_reason"] == HELD_FROZEN
    assert take_due(desk, "acme", now=NOW, limit=9) == []

    check(desk, wire(minutes=2))
    assert look(desk).order["hold_reason"] is None
    assert [handover.id for handover in take_due(desk, "acme", now=NOW, limit=9)] == [queued]

    check(desk, wire(minutes=3, frozen=True))
    release_order(desk, "s-1", now=NOW)
    check(desk, wire(minutes=4, frozen=True))
    assert look(desk).order["hold_reason"] is None


def test_an_attempt_does_not_begin_for_an_order_that_was_held_or_refunded_meanwhile(desk: Engine) -> None:
    """What a run of sending has in its hands is looked at again just before it goes."""
    check(desk, wire("s-1"), wire("s-2"), wire("s-3"))
    ids = [queue(desk, source_id=f"s-{number}") for number in (1, 2, 3)]
    in_hand = [handover.id for handover in take_due(desk, "acme", now=NOW, limit=9)]
    check(desk, wire("s-1", minutes=1, status="refunded"), wire("s-2", minutes=1, frozen=True))

    assert in_hand == ids
    assert begin_attempts(desk, in_hand, now=NOW) == {ids[2]}
    assert begin_attempts(desk, in_hand, now=NOW) == {ids[2]}
    run = check(desk, wire("s-3", minutes=1, status="refunded"))
    assert noted(run) == {"canceled": 1}
    assert handover(desk, ids[2])[0] == "waiting"
    (change,) = list_changes(desk)
    assert change.source_id == "s-3"
    assert "acme may have it: ask them" in told(look(desk, "s-3"))[0]


@pytest.mark.parametrize("how", ["shipment", "folder", "complete in podOS"])
def test_after_shipping_there_is_history_only(desk: Engine, how: str) -> None:
    check(desk, wire())
    if how == "shipment":
        insert_shipment(desk, look(desk).order["id"])
    elif how == "folder":
        move_orders(desk, ["s-1"], "Closed")
    else:
        check(desk, wire(minutes=1, status="complete"))
    folder = look(desk).order["folder"]
    run = check(desk, wire(minutes=2, status="refunded", shipping_address=YORK, frozen=True))

    detail = look(desk)
    assert (detail.order["folder"], detail.order["hold_reason"]) == (folder, None)
    assert noted(run) == {"after_shipping": 2}
    assert len(told(detail)) == 2
    assert (run.to_announce, list(list_changes(desk, only_open=False))) == ([], [])


def test_a_voided_shipment_did_not_ship(desk: Engine) -> None:
    check(desk, wire())
    shipment = insert_shipment(desk, look(desk).order["id"])
    with desk.begin() as connection:
        connection.execute(text("UPDATE shipments SET state = 'voided' WHERE id = :id"), {"id": shipment})
    assert noted(check(desk, wire(minutes=1, status="refunded"))) == {"canceled": 1}


def test_our_own_completion_is_no_news(desk: Engine) -> None:
    check(desk, wire())
    insert_shipment(desk, look(desk).order["id"])
    history = look(desk).history
    run = check(desk, wire(minutes=1, status="complete"))
    detail = look(desk)
    assert (noted(run), detail.history, detail.order["podos_status"]) == ({}, history, "complete")
    with desk.connect() as connection:
        query = text("SELECT imported_status FROM orders")
        assert connection.execute(query).scalar_one() == "paid"


def test_what_was_edited_here_is_kept_and_podos_new_value_stands_beside_it(desk: Engine) -> None:
    check(desk, wire())
    with desk.begin() as connection:
        connection.execute(text("UPDATE orders SET ship_city = 'Edited by Ada'"))
    assert noted(check(desk, wire(minutes=1, status="processing"))) == {}
    assert noted(check(desk, wire(minutes=2, shipping_address=YORK))) == {"address": 1}

    detail = look(desk)
    assert detail.order["shipping"]["city"] == "Edited by Ada"
    (change,) = detail.changes
    assert (change.old_values["ship_city"], change.new_values["ship_city"]) == ("Edited by Ada", "York")
    assert "York" not in str(detail.history)
    assert [order.source_id for order in list_orders(desk, changed=True)] == ["s-1"]
    assert [order["source_id"] for order in export_orders(desk, changed=True)] == ["s-1"]

    keep_ours(desk, ["s-1"], now=NOW)
    assert look(desk).order["shipping"]["city"] == "Edited by Ada"
    assert list_orders(desk, changed=True) == []
    assert noted(check(desk, wire(minutes=3, shipping_address=YORK))) == {}
    with pytest.raises(DeskRefusedError, match="no change that waits for anybody"):
        keep_ours(desk, ["s-1"], now=NOW)


def test_on_request_podos_values_are_taken_over_whole(desk: Engine) -> None:
    check(desk, wire(), wire("s-2"))
    with desk.begin() as connection:
        connection.execute(
            text("UPDATE order_items SET metadata = :metadata"),
            {"metadata": '{"print_url_1": "https://artwork.example.test/1.png", "shelf": "7"}'},
        )
    changed = wire(minutes=1, design=OTHER_DESIGN, shipping_address=YORK)
    changed.items = [*(changed.items or ()), *(wire().items or ())]
    check(desk, changed, wire("s-2", minutes=1, items=[]))
    assert len(take_theirs(desk, ["s-1", "s-2"], now=NOW)) == 3

    detail = look(desk)
    assert detail.order["shipping"]["city"] == "York"
    first, second = detail.order["items"]
    assert first["metadata"]["print_url_1"] == OTHER_DESIGN
    assert first["metadata"]["shelf"] == "7"
    assert (second["sku"], second["name"], second["quantity"]) == ("TEE-M", "Tee", 2)
    assert second["metadata"]["print_location_1"] == "front"
    assert look(desk, "s-2").order["items"] == []
    assert detail.changes == []
    assert "York" not in str(detail.history)
    assert noted(check(desk, wire(minutes=2, **_said(changed)))) == {}


def test_all_orders_are_settled_or_none(desk: Engine) -> None:
    check(desk, wire(), wire("s-2"))
    check(desk, wire(minutes=1, shipping_address=YORK))
    with pytest.raises(DeskRefusedError):
        take_theirs(desk, ["s-1", "s-2"], now=NOW)
    assert look(desk).order["shipping"]["city"] == "Leeds"
    assert len(look(desk).changes) == 1


def test_erasing_takes_the_values_along_and_no_check_brings_them_back(desk: Engine) -> None:
    check(desk, wire(contact_information=ContactInformation("ada@example.test")))
    check(desk, wire(minutes=1, shipping_address=YORK))
    check(desk, wire(minutes=2, shipping_address=HOME, frozen=True))
    check(desk, wire(minutes=3, shipping_address=YORK))
    erase(desk, only([look(desk).order["id"]], []), by="ann", now=NOW)
    assert look(desk).changes == []

    run = check(desk, wire(minutes=4, shipping_address=HOME, status="refunded"))
    assert noted(run) == {"canceled": 1}
    with desk.connect() as connection:
        kept = [
            str(row)
            for table in ("orders", "order_changes", "order_history")
            for row in connection.execute(text(f"SELECT * FROM {table}"))
        ]
        digest = connection.execute(text("SELECT address_digest FROM orders")).scalar_one()
    assert digest is None
    assert not any(word in str(kept) for word in ("York", "Leeds", "Ada", "Street", "ada@"))
    assert "address (email, ship_address1, ship_city)" in str(kept)
    assert erase(desk, only([look(desk).order["id"]], []), by="ann", now=NOW) == (0, 0)


def test_an_order_from_before_the_upgrade_is_compared_with_the_desks_values(desk: Engine) -> None:
    check(desk, wire("s-1"), wire("s-2"))
    with desk.begin() as connection:
        connection.execute(text("UPDATE orders SET address_digest = NULL, artwork_digest = NULL"))
    run = check(desk, wire("s-1", minutes=1), wire("s-2", minutes=1, shipping_address=YORK))
    assert noted(run) == {"address": 1}
    with desk.connect() as connection:
        digests = connection.execute(text("SELECT address_digest, artwork_digest FROM orders")).all()
    assert all(value for row in digests for value in row)


def test_a_cancellation_is_a_changed_folder_to_the_rules(desk: Engine) -> None:
    form = {"name": "x", "event": "folder changed", "actions": [{"set_metadata": {"a": "b"}}]}
    save_rules(desk, [RuleForm.model_validate(form)])
    check(desk, wire())
    assert not events_wait(desk)
    check(desk, wire(minutes=1, status="refunded"))
    assert events_wait(desk)


def test_a_dry_run_says_what_changed_and_writes_nothing(desk: Engine) -> None:
    check(desk, wire())
    before = look(desk)
    run = new_run(desk)
    run.report.dry_run = True
    found = Batch(1, [wire(minutes=1, status="refunded", shipping_address=YORK)], None)
    find_known(found, run)
    load(prepare(found, SETTINGS), run, now=NOW)
    assert noted(run) == {"canceled": 1, "address": 1}
    assert (look(desk), run.to_announce) == (before, [])


def test_an_empty_desk_holds_no_orders_of_a_project(desk: Engine) -> None:
    assert not holds_orders(desk, SETTINGS.project)
    check(desk, wire())
    assert holds_orders(desk, SETTINGS.project)
    assert not holds_orders(desk, "other")
