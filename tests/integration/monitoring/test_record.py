"""What is watched over in the desk: looked at cheaply, noted since when, told once."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Engine, text

from models.tables.orders import NEEDS_ATTENTION
from models.tables.runs import RunState
from models.watching import Backlog, CheckDone, Thresholds
from tasks.desk.folders import add_folder, move_orders
from tasks.monitoring.record import note_what_is, resend_alerts
from tasks.monitoring.store import note, take_snapshot, take_untold, untell, watch
from tasks.prefect_api.events import alert_of
from tests.support.builders import (
    IMPORTED,
    insert_lease,
    insert_order,
    insert_rejected,
    insert_run,
    insert_shipment,
)
from tests.support.commands import RunDesk

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
CHECK = "check:default"
NEEDS = "needs-attention"


def since(engine: Engine, cause: str) -> datetime | None:
    watched = take_snapshot(engine, now=NOW).watches.get(cause)
    return watched.trouble_at if watched else None


def test_an_empty_desk_can_be_looked_at(desk: Engine) -> None:
    look = take_snapshot(desk, now=NOW)
    assert (look.watches, look.checks, look.died, look.backlog) == ({}, {}, {}, Backlog())


def test_what_waits_is_counted_under_what_it_is(desk: Engine) -> None:
    add_folder(desk, NEEDS_ATTENTION)
    orders = [insert_order(desk) for _ in range(5)]
    move_orders(desk, [str(orders[0])], NEEDS_ATTENTION)
    insert_order(desk, hold_reason="asked to")
    insert_rejected(desk)
    shipments = [insert_shipment(desk, order) for order in orders[:3]]
    statements = [
        f"UPDATE shipments SET state = 'failed' WHERE id = {shipments[0]}",
        f"UPDATE shipments SET state = 'sent' WHERE id = {shipments[1]}",
        *(f"INSERT INTO handovers (order_id, fulfiller) VALUES ({order}, 'printer')" for order in orders),
        f"UPDATE handovers SET state = 'failed' WHERE order_id IN ({orders[0]}, {orders[1]})",
        f"UPDATE handovers SET state = 'sent' WHERE order_id = {orders[2]}",
    ]
    with desk.begin() as connection:
        for statement in statements:
            connection.execute(text(statement))
    assert take_snapshot(desk, now=NOW).backlog == Backlog(
        shipments_waiting=1,
        shipments_failed=1,
        handovers_waiting=2,
        handovers_failed=2,
        needs_attention=1,
        rejected=1,
        held=1,
    )


def test_the_last_complete_check_counts_not_an_import_and_not_a_failed_one(desk: Engine) -> None:
    watch(desk, CHECK)
    insert_run(desk, mark_after=IMPORTED)
    insert_run(desk, started_at=IMPORTED + MINUTE, state=RunState.FAILED)
    insert_run(desk, started_at=IMPORTED + 2 * MINUTE, kind="import")
    look = take_snapshot(desk, now=NOW)
    assert look.checks == {"default": CheckDone(IMPORTED, IMPORTED + timedelta(seconds=3), IMPORTED)}


@pytest.mark.parametrize(
    ("newest", "lives", "died"),
    [
        (RunState.RUNNING, False, True),
        (RunState.RUNNING, True, False),
        (RunState.CRASHED, False, True),
        (RunState.FAILED, False, False),
        (RunState.COMPLETED, False, False),
    ],
)
def test_a_run_died_if_it_never_ended_and_nobody_works_on_it(
    desk: Engine, newest: RunState, lives: bool, died: bool
) -> None:
    watch(desk, CHECK)
    insert_run(desk)
    insert_run(desk, state=newest, started_at=IMPORTED + MINUTE)
    if lives:
        insert_lease(desk, CHECK, expires_at=NOW + MINUTE)
    assert take_snapshot(desk, now=NOW).died == ({CHECK: IMPORTED + MINUTE} if died else {})


def test_a_trouble_is_told_once_however_often_it_is_noted(desk: Engine) -> None:
    for minutes in range(3):
        note(desk, well=[], troubles={CHECK: f"reason {minutes}"}, now=NOW + minutes * MINUTE)
    (told,) = take_untold(desk, now=NOW)
    assert (told.cause, told.trouble_at, told.reason) == (CHECK, NOW, "reason 2")
    note(desk, well=[], troubles={CHECK: "still"}, now=NOW + 9 * MINUTE)
    assert take_untold(desk, now=NOW) == []
    assert note(desk, well=[CHECK], troubles={}, now=NOW + 10 * MINUTE) == [CHECK]
    assert since(desk, CHECK) is None
    note(desk, well=[], troubles={CHECK: "again"}, now=NOW + 11 * MINUTE)
    assert [watch.trouble_at for watch in take_untold(desk, now=NOW)] == [NOW + 11 * MINUTE]


def test_what_could_not_be_told_is_told_the_next_time(desk: Engine) -> None:
    note(desk, well=[], troubles={CHECK: "away"}, now=NOW)
    taken = take_untold(desk, now=NOW)
    untell(desk, [watch.cause for watch in taken])
    assert [watch.cause for watch in take_untold(desk, now=NOW)] == [CHECK]


@pytest.mark.parametrize("is_taken", [True, False])
def test_whoever_is_new_is_told_of_what_holds(
    desk: Engine, monkeypatch: pytest.MonkeyPatch, is_taken: bool
) -> None:
    """Alerts that are set up while something is wrong: the server drops an event that it has seen."""
    sent: list[list[dict[str, Any]]] = []

    async def emit(events: list[dict[str, Any]]) -> bool:
        sent.append(events)
        return is_taken

    monkeypatch.setattr("tasks.prefect_api.events._emit", emit)
    note(desk, well=(), troubles={CHECK: "podOS is away"}, now=NOW)
    (told,) = take_untold(desk, now=NOW)
    note(desk, well={"sync:default"}, troubles={NEEDS: "30"}, now=NOW)
    asyncio.run(resend_alerts(desk))
    (events,) = sent
    assert [event["payload"]["cause"] for event in events] == [CHECK, NEEDS]
    assert events[0]["id"] != alert_of(told)["id"]
    untold = take_untold(desk, now=NOW)
    assert [alert.cause for alert in untold] == ([] if is_taken else [CHECK, NEEDS])


def test_a_trouble_that_ends_untold_needs_no_word(desk: Engine) -> None:
    note(desk, well=[], troubles={CHECK: "away"}, now=NOW)
    assert note(desk, well=[CHECK], troubles={}, now=NOW) == []
    assert take_untold(desk, now=NOW) == []


def test_a_threshold_is_crossed_once_and_clears_when_the_pile_is_done(desk: Engine) -> None:
    def look_over(minutes: int, over: int = 1) -> list[str]:
        thresholds = Thresholds(attention_over=over)
        return note_what_is(desk, thresholds, well=set(), failed={}, now=NOW + minutes * MINUTE)

    add_folder(desk, NEEDS_ATTENTION)
    orders = [insert_order(desk) for _ in range(3)]
    move_orders(desk, [str(order) for order in orders[:1]], NEEDS_ATTENTION)
    look_over(0)
    assert since(desk, NEEDS) is None  # one is allowed
    move_orders(desk, [str(order) for order in orders[1:]], NEEDS_ATTENTION)
    look_over(1)
    look_over(2)
    assert since(desk, NEEDS) == NOW + MINUTE
    assert [watch.reason for watch in take_untold(desk, now=NOW)] == [
        "orders in Needs Attention: 3 (over 1); see: desk orders --folder 'Needs Attention'"
    ]
    move_orders(desk, [str(order) for order in orders], "New")
    assert look_over(3) == [NEEDS]
    assert since(desk, NEEDS) is None


def test_a_death_is_found_by_the_run_of_something_else_and_stays_until_it_is_well(desk: Engine) -> None:
    watch(desk, CHECK)
    insert_run(desk, state=RunState.CRASHED, started_at=NOW)

    def sync_ends(minutes: int) -> None:
        note_what_is(desk, Thresholds(), well={"sync:default"}, failed={}, now=NOW + minutes * MINUTE)

    sync_ends(1)
    assert since(desk, CHECK) == NOW + MINUTE
    note_what_is(desk, Thresholds(), well={CHECK}, failed={}, now=NOW + 2 * MINUTE)
    sync_ends(3)  # the newest row is still that of the dead run: it must not raise it again
    assert since(desk, CHECK) is None


def status(desk_command: RunDesk, *options: str) -> tuple[int, dict[str, Any]]:
    result = desk_command("status", "--json", *options)
    return result.code, json.loads(result.out)


def test_status_says_what_is_not_well_and_ends_with_1(
    cli_engine: Engine, desk_command: RunDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    code, found = status(desk_command)
    assert (code, found["well"], found["work"], found["plans_known"]) == (1, False, [], False)
    now = datetime.now(UTC)
    watch(cli_engine, CHECK)
    insert_run(cli_engine, started_at=now - 30 * MINUTE, finished_at=now - 29 * MINUTE, mark_after=IMPORTED)
    code, found = status(desk_command)
    (check,) = found["work"]
    assert (code, check["work"], check["name"]) == (0, "check", "default")
    assert check["next_run_at"] is None
    assert 1800 <= check["behind_podos_seconds"] < 1900
    assert check["mark_at"] == IMPORTED.isoformat()

    code, found = status(desk_command, "--late-after", "20")
    assert (code, found["well"]) == (1, False)
    assert [problem["cause"] for problem in found["troubles"]] == [CHECK]
    monkeypatch.setenv("DESK_LATE_AFTER_MINUTES", "25")
    assert status(desk_command)[0] == 1
    monkeypatch.setenv("DESK_LATE_AFTER_MINUTES", "40")
    assert status(desk_command)[0] == 0


def test_status_for_people(
    cli_engine: Engine, desk_command: RunDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    assert "not well: no check has ever been complete" in desk_command("status").out
    now = datetime.now(UTC)
    watch(cli_engine, CHECK)
    insert_run(cli_engine, started_at=now, finished_at=now, mark_after=IMPORTED)
    assert "all is well" in desk_command("status").out
    note(cli_engine, well=[], troubles={CHECK: "podOS refused the token"}, now=now)
    insert_rejected(cli_engine, run_id=insert_run(cli_engine, started_at=now))
    result = desk_command("status")
    assert result.code == 1
    assert "not well: the check of default fails: podOS refused the token (since" in result.out
    assert "not well: orders that could not be read: 1 (over 0); see: desk rejected" in result.out
    assert "unknown" in result.out  # no Prefect server was asked


def test_a_threshold_that_is_no_number_is_named(
    desk_command: RunDesk, cli_engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DESK_FAILED_OVER", "-1")
    result = desk_command("status")
    assert (result.code, result.out) == (2, "")
    assert "desk_failed_over" in result.err
