"""Tracking goes back to podOS exactly once, or the shipment says why not, whatever goes wrong on the way."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import pytest
from sqlalchemy import Engine, text

from deployments.sandbox.server import Sandbox, SandboxSettings
from models.tables.outbox import OutboxState
from tasks.desk.browse import find_order
from tasks.desk.leases import HeldLease, LeaseHeldError
from tasks.desk.run_history import list_runs
from tasks.podos.errors import RetriablePodosError, TokenRefusedError, UnknownProjectError
from tasks.tracking.intake import take_file
from tasks.tracking.shipment_list import ShipmentSummary, list_shipments
from tasks.tracking.store import resend_shipments, void_shipment
from tasks.tracking.sync_run import SyncRun
from tests.support.builders import insert_order, insert_run, insert_shipment
from tests.support.connected import Connected

SENT, THERE, WAITING = OutboxState.SENT, OutboxState.ALREADY_THERE, OutboxState.WAITING
FAILED, SUPERSEDED = OutboxState.FAILED, OutboxState.SUPERSEDED
NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Retries follow at once."""
    import stamina

    from tasks.tracking import send as tracking

    async def at_once(_seconds: float) -> None:
        return None

    monkeypatch.setattr(tracking.send_tracking, "retry_delay_seconds", 0)
    monkeypatch.setattr("flows.sync_tracking.SyncRun", partial(SyncRun, sleep=at_once))
    with stamina.set_testing(True, attempts=6):
        yield


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    """A small sandbox podOS whose orders can all be shipped."""
    with Sandbox(SandboxSettings(orders=0)) as sandbox:
        for number in range(60):
            dates = dict.fromkeys(("createdAt", "updatedAt"), "2026-11-01T00:00:00Z")
            sandbox.store.add({"id": f"source-{number}", "status": "paid", "tracking": None, **dates})
        yield sandbox


@pytest.fixture
def paid(sandbox: Sandbox) -> list[str]:
    """Orders of the sandbox that can be shipped."""
    return [
        order["id"]
        for order in sandbox.store.all()
        if order.get("status") == "paid" and not order.get("tracking")
    ]


def fill(engine: Engine, sandbox: Sandbox, source_ids: list[str], **overrides: Any) -> list[int]:
    """Put orders of the sandbox into the desk and return their desk ids."""
    run_id = insert_run(engine)
    return [
        insert_order(engine, source_id=id_, project=sandbox.project, run_id=run_id, **overrides)
        for id_ in source_ids
    ]


def ship(engine: Engine, sandbox: Sandbox, source_ids: list[str]) -> list[int]:
    """Put orders into the desk with a shipment each, and return the shipments."""
    orders = fill(engine, sandbox, source_ids)
    return [insert_shipment(engine, order, code=f"RM{order:09d}GB") for order in orders]


def shipments(engine: Engine) -> dict[int, ShipmentSummary]:
    return {shipment.id: shipment for shipment in list_shipments(engine)}


def states(engine: Engine) -> Counter[str]:
    return Counter(shipment.state for shipment in list_shipments(engine))


def written(sandbox: Sandbox) -> Counter[str]:
    """How often each order was changed in podOS."""
    return Counter(id_ for id_, _ in sandbox.store.patches)


def let_all_try_again(engine: Engine) -> None:
    """Put the clock forward, as it were."""
    with engine.begin() as connection:
        connection.execute(text("UPDATE shipments SET next_attempt_at = NULL WHERE state = 'waiting'"))


def all_in_podos_once(engine: Engine, sandbox: Sandbox) -> None:
    """Every shipment is in podOS, and each order was changed once."""
    for shipment in list_shipments(engine):
        assert shipment.state in {SENT, THERE}, shipment
        order = sandbox.store.get(shipment.source_id or "")
        assert order is not None
        assert (order["status"], order["tracking"]["code"]) == ("complete", shipment.code)
    assert set(written(sandbox).values()) == {1}


def test_tracking_and_status_go_in_one_call(connected: Connected, engine: Engine, paid: list[str]) -> None:
    ship(engine, connected.sandbox, paid[:3])
    report = connected.sync()
    assert report.as_dict() == {
        "run_id": report.run_id,
        "integration": "default",
        "pending": 3,
        "sent": 3,
        "already_there": 0,
        "waiting": 0,
        "failed": 0,
        "superseded": 0,
        "seconds": report.as_dict()["seconds"],
    }
    _, body = connected.sandbox.store.patches[0]
    code = body["tracking"]["code"]
    url = f"https://www.royalmail.com/track-your-item#/tracking-results/{code}"
    assert body == {"status": "complete", "tracking": {"courier": "Royal Mail", "code": code, "url": url}}
    all_in_podos_once(engine, connected.sandbox)
    assert all(
        shipment.url and shipment.sent_at and shipment.attempts == 1 for shipment in list_shipments(engine)
    )


def test_a_sent_order_moves_and_says_so_in_its_history(
    connected: Connected, engine: Engine, paid: list[str]
) -> None:
    (shipment,) = ship(engine, connected.sandbox, paid[:1])
    connected.sync()
    detail = find_order(engine, paid[0])
    assert detail.order["folder"] == "Closed"
    assert [(line.event, line.text) for line in detail.history[1:]] == [
        ("tracking", f"shipment {shipment} sent to podOS"),
        ("moved", "moved from New to Closed (tracking is in podOS)"),
    ]


@pytest.mark.parametrize(("move_to", "folder"), [("", "New"), ("Gone", "Gone")])
def test_where_a_sent_order_goes_is_a_setting(
    connected: Connected, engine: Engine, paid: list[str], move_to: str, folder: str
) -> None:
    connected.set(after_shipment_folder=move_to)
    ship(engine, connected.sandbox, paid[:1])
    connected.sync()
    assert find_order(engine, paid[0]).order["folder"] == folder


def test_nothing_waiting_is_no_request_and_no_run(connected: Connected, engine: Engine) -> None:
    before = len(connected.sandbox.store.requests)
    report = connected.sync()
    assert (report.pending, report.run_id, report.one_line()) == (0, None, "nothing waits to be sent")
    assert len(connected.sandbox.store.requests) == before
    assert list_runs(engine) == []


def test_a_second_sync_sends_nothing_again(connected: Connected, engine: Engine, paid: list[str]) -> None:
    ship(engine, connected.sandbox, paid[:5])
    connected.sync()
    assert connected.sync().pending == 0
    all_in_podos_once(engine, connected.sandbox)


def test_what_is_there_already_is_not_sent(connected: Connected, engine: Engine, paid: list[str]) -> None:
    (shipment,) = ship(engine, connected.sandbox, paid[:1])
    code = shipments(engine)[shipment].code
    connected.sandbox.store.update(
        paid[0], status="complete", tracking={"courier": "RM", "code": f" {code.lower()}"}
    )
    assert connected.sync().counts[THERE] == 1
    assert connected.sandbox.store.patches == []
    assert find_order(engine, paid[0]).order["folder"] == "Closed"


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"status": "refunded"}, "refunded"),
        ({"status": "complete", "tracking": {"courier": "DPD", "code": "OTHER"}}, "another tracking"),
        (None, "does not know this order"),
    ],
)
def test_what_podos_can_never_take_is_final_at_once(
    connected: Connected, engine: Engine, paid: list[str], change: dict[str, Any] | None, reason: str
) -> None:
    (shipment,) = ship(engine, connected.sandbox, paid[:1])
    if change is None:
        connected.sandbox.store.remove(paid[0])
    else:
        connected.sandbox.store.update(paid[0], **change)
    assert connected.sync().counts[FAILED] == 1
    assert reason in (shipments(engine)[shipment].reason or "")
    assert connected.sandbox.store.patches == []


def test_force_replaces_another_tracking(connected: Connected, engine: Engine, paid: list[str]) -> None:
    (shipment,) = ship(engine, connected.sandbox, paid[:1])
    connected.sandbox.store.update(paid[0], status="complete", tracking={"courier": "DPD", "code": "OTHER"})
    connected.sync()
    resend_shipments(engine, [shipment], overwrite=True, now=NOW)
    assert connected.sync().counts[SENT] == 1
    all_in_podos_once(engine, connected.sandbox)


def test_a_400_is_final_with_the_words_of_podos(
    connected: Connected, engine: Engine, paid: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (shipment,) = ship(engine, connected.sandbox, paid[:1])
    original = connected.sandbox.store.body

    def refunded_between_look_and_change(order_id: str) -> bytes | None:
        connected.sandbox.store.update(order_id, status="refunded")
        return original(order_id)

    monkeypatch.setattr(connected.sandbox.store, "body", refunded_between_look_and_change)
    assert connected.sync().counts[FAILED] == 1
    reason = shipments(engine)[shipment].reason
    assert reason == (
        "podOS did not accept the tracking (HTTP 400): status: a refunded fulfillment can't be completed"
    )


def test_a_404_for_one_order_is_not_an_unknown_project(
    connected: Connected, engine: Engine, paid: list[str]
) -> None:
    ship(engine, connected.sandbox, paid[:3])
    connected.sandbox.faults.then("404", method="PATCH")
    report = connected.sync()
    assert (report.counts[FAILED], report.counts[SENT]) == (1, 2)


def test_an_unknown_project_leaves_all_waiting(connected: Connected, engine: Engine, paid: list[str]) -> None:
    ship(engine, connected.sandbox, paid[:3])
    connected.sandbox.faults.then("404", method="GET")
    report, error = connected.sync_and_error()
    assert isinstance(error, UnknownProjectError)
    assert report is not None
    assert (report.pending, report.counts[WAITING]) == (3, 3)


@pytest.mark.parametrize("fault", ["401", "403"])
def test_a_refused_token_halfway_stops_the_run_and_all_else_waits(
    connected: Connected, engine: Engine, paid: list[str], fault: str
) -> None:
    connected.set(connections=1)
    ship(engine, connected.sandbox, paid[:6])
    connected.sandbox.faults.then("ok", "ok", fault, method="PATCH")
    report, error = connected.sync_and_error()
    assert isinstance(error, TokenRefusedError)
    assert report is not None
    assert report.as_dict() | {"run_id": 0, "seconds": 0} == {
        **{"run_id": 0, "integration": "default", "pending": 6, "sent": 2, "already_there": 0},
        **{"waiting": 4, "failed": 0, "superseded": 0, "seconds": 0},
    }
    assert list_runs(engine)[0].state == "failed"
    assert connected.sync().counts[SENT] == 4
    all_in_podos_once(engine, connected.sandbox)


@pytest.mark.parametrize("fault", ["cut", "cut_before_answer", "broken_json", "500", "503", "html", "429"])
def test_an_unclear_answer_is_looked_into_before_anything_is_sent_again(
    connected: Connected, engine: Engine, paid: list[str], fault: str
) -> None:
    ship(engine, connected.sandbox, paid[:10])
    connected.sandbox.faults.then(fault, method="PATCH", times=4)
    report = connected.sync()
    assert report.counts[SENT] + report.counts[THERE] == 10
    all_in_podos_once(engine, connected.sandbox)


@pytest.mark.parametrize(
    "fault", ["429", "429_retry_after", "503", "cut", "cut_before_answer", "broken_json"]
)
def test_a_storm_ends_with_every_shipment_in_podos_once(
    connected: Connected, engine: Engine, paid: list[str], fault: str
) -> None:
    ship(engine, connected.sandbox, paid[:40])
    connected.sandbox.faults.rates = {fault: 0.4}
    for _ in range(10):
        connected.sync()
        let_all_try_again(engine)
    connected.sandbox.faults.reset()
    connected.sync()
    all_in_podos_once(engine, connected.sandbox)


def test_podos_down_for_changes_lets_all_wait_with_the_reason(
    connected: Connected, engine: Engine, paid: list[str]
) -> None:
    ship(engine, connected.sandbox, paid[:60])
    connected.sandbox.faults.then("503", method="PATCH", times=1000)
    report = connected.sync()
    assert report.counts[WAITING] == 60
    assert connected.sandbox.faults.played["503"] < 60 * 5, "it is not asked on and on"
    for shipment in list_shipments(engine):
        assert shipment.next_attempt_at is not None
        assert shipment.next_attempt_at > datetime.now(UTC)
        assert "HTTP 503" in (shipment.reason or "")
        assert shipment.code not in (shipment.reason or "")


def test_a_long_retry_after_outlives_the_process(
    connected: Connected, engine: Engine, paid: list[str]
) -> None:
    connected.set(connections=2)
    ship(engine, connected.sandbox, paid[:20])
    connected.sandbox.faults.retry_after_seconds = 3600
    connected.sandbox.faults.then("429_retry_after", method="PATCH", times=100)
    began = datetime.now(UTC)
    assert connected.sync().counts[WAITING] == 20
    assert connected.sandbox.faults.played["429_retry_after"] <= 3
    due = [shipment.next_attempt_at for shipment in list_shipments(engine)]
    assert all(moment and moment >= began + timedelta(seconds=3600) for moment in due)
    requests = len(connected.sandbox.store.requests)
    assert connected.sync().counts[WAITING] == 20
    assert len(connected.sandbox.store.requests) == requests
    connected.sandbox.faults.reset()
    let_all_try_again(engine)
    connected.sync()
    all_in_podos_once(engine, connected.sandbox)


def test_podos_out_of_reach_fails_the_run_and_loses_nothing(
    connected: Connected, engine: Engine, paid: list[str]
) -> None:
    ship(engine, connected.sandbox, paid[:3])
    url = connected.sandbox.url
    connected.sandbox.stop()
    report, error = connected.sync_and_error()
    assert isinstance(error, RetriablePodosError)
    assert report is not None
    assert report.counts[WAITING] == 3
    assert all("could not be reached" in (shipment.reason or "") for shipment in list_shipments(engine))
    assert url not in str(error)


def test_two_syncs_at_once_send_once(connected: Connected, engine: Engine, paid: list[str]) -> None:
    ship(engine, connected.sandbox, paid[:3])
    with HeldLease(engine, "sync:default"):
        report, error = connected.sync_and_error()
        assert isinstance(error, LeaseHeldError)
        assert report is not None
        assert report.counts[WAITING] == 3
        assert connected.sandbox.store.patches == []
    connected.sync()
    all_in_podos_once(engine, connected.sandbox)


def test_a_second_parcel_is_kept_and_sent_only_when_the_first_is_voided(
    connected: Connected, engine: Engine, paid: list[str]
) -> None:
    (order,) = fill(engine, connected.sandbox, paid[:1])
    first, second = insert_shipment(engine, order, "ONE"), insert_shipment(engine, order, "TWO")
    report = connected.sync()
    assert (report.counts[SENT], report.counts[SUPERSEDED]) == (1, 1)
    assert f"shipment {first} has it" in (shipments(engine)[second].reason or "")
    assert void_shipment(engine, first, now=NOW) == second
    assert connected.sync().counts[SENT] == 1
    assert [body["tracking"]["code"] for _, body in connected.sandbox.store.patches] == ["ONE", "TWO"]
    assert states(engine) == {"voided": 1, "sent": 1}


def test_a_voided_shipment_is_not_sent(connected: Connected, engine: Engine, paid: list[str]) -> None:
    (shipment,) = ship(engine, connected.sandbox, paid[:1])
    assert void_shipment(engine, shipment, now=NOW) is None
    assert connected.sync().pending == 0
    assert connected.sandbox.store.patches == []


def test_the_next_parcel_takes_the_place_of_one_that_failed(
    connected: Connected, engine: Engine, paid: list[str]
) -> None:
    (order,) = fill(engine, connected.sandbox, paid[:1])
    insert_shipment(engine, order, "ONE")
    insert_shipment(engine, order, "TWO")
    connected.sandbox.faults.then("404", method="PATCH")
    connected.sync()
    connected.sync()
    assert states(engine) == {"failed": 1, "sent": 1}
    assert [body["tracking"]["code"] for _, body in connected.sandbox.store.patches] == ["TWO"]


def test_read_only_mode_writes_nothing_and_says_what_it_would_send(
    connected: Connected, engine: Engine, paid: list[str]
) -> None:
    connected.set(read_only=True)
    ship(engine, connected.sandbox, paid[:4])
    connected.sandbox.store.update(paid[0], status="refunded")
    report = connected.sync()
    assert (report.pending, report.counts[WAITING], report.would_send) == (4, 4, 3)
    assert {request.method for request in connected.sandbox.store.requests} == {"GET"}
    assert states(engine) == {"waiting": 4}
    connected.set(read_only=False)
    assert connected.sync().counts[SENT] == 3


def test_switched_off_nothing_is_asked_and_switched_on_later_all_is_sent(
    connected: Connected, engine: Engine, paid: list[str]
) -> None:
    connected.set(sync_tracking=False)
    ship(engine, connected.sandbox, paid[:4])
    before = len(connected.sandbox.store.requests)
    assert connected.sync().one_line() == "Sync Tracking Numbers is off: 4 waiting"
    assert len(connected.sandbox.store.requests) == before
    connected.set(sync_tracking=True)
    assert connected.sync().counts[SENT] == 4


def test_a_carrier_code_becomes_the_name_podos_shows(
    connected: Connected, engine: Engine, paid: list[str]
) -> None:
    connected.set(couriers={"RM24": "Royal Mail"})
    (order,) = fill(engine, connected.sandbox, paid[:1])
    insert_shipment(engine, order, code=" 0034 ", courier=" rm24 ")
    connected.sync()
    tracking = connected.sandbox.store.patches[0][1]["tracking"]
    assert tracking == {
        "courier": "Royal Mail",
        "code": "0034",
        "url": "https://www.royalmail.com/track-your-item#/tracking-results/0034",
    }
    assert [(shipment.courier, shipment.code) for shipment in list_shipments(engine)] == [("rm24", "0034")]


def test_orders_of_another_project_wait_with_the_reason(
    connected: Connected, engine: Engine, paid: list[str]
) -> None:
    order = insert_order(engine, source_id=paid[0], project="acme-441595")
    insert_shipment(engine, order)
    assert connected.sync().counts[WAITING] == 1
    assert "project acme-441595" in (next(list_shipments(engine)).reason or "")


def test_requests_stay_under_the_cap_and_few(connected: Connected, engine: Engine, paid: list[str]) -> None:
    connected.set(requests_per_second=1000.0)
    before = len(connected.sandbox.store.requests)
    ship(engine, connected.sandbox, paid[:50])
    connected.sync()
    assert len(connected.sandbox.store.requests) - before == 51


KILLED_SYNC = """
import asyncio, os, signal, sys
from tasks.podos import tracking as calls
from tasks.tracking import send as tracking, sync_run
when, count = sys.argv[1], [0]

def die_at(third):
    count[0] += 1
    if count[0] == third:
        os.kill(os.getpid(), signal.SIGKILL)

def patched(original, after):
    async def call(*args, **kwargs):
        if not after:
            die_at(3)
        answer = await original(*args, **kwargs)
        if after:
            die_at(3)
        return answer
    return call

if when == "before the look":
    async def look(*args, **kwargs):
        os.kill(os.getpid(), signal.SIGKILL)
    tracking.held_by_id = look
elif when == "before an answer":
    tracking.patch_fulfillment = patched(calls.patch_fulfillment, False)
elif when == "after an answer":
    tracking.patch_fulfillment = patched(calls.patch_fulfillment, True)
elif when == "while writing":
    original = sync_run.record_counts
    def write(*args):
        original(*args)
        os.kill(os.getpid(), signal.SIGKILL)
    sync_run.record_counts = write

from tasks.prefect_api.integrations import load_integration
from flows.sync_tracking import sync
integration = asyncio.run(load_integration("default"))
asyncio.run(sync("default", integration))
"""


@pytest.mark.parametrize("when", ["before the look", "before an answer", "after an answer", "while writing"])
def test_killed_at_any_step_the_next_sync_ends_the_same(
    connected: Connected, engine: Engine, paid: list[str], when: str
) -> None:
    from prefect.settings import PREFECT_API_URL

    ship(engine, connected.sandbox, paid[:8])
    environment = {**os.environ, "PREFECT_API_URL": str(PREFECT_API_URL.value())}
    killed = subprocess.run([sys.executable, "-c", KILLED_SYNC, when], env=environment, check=False)
    assert killed.returncode == -signal.SIGKILL
    connected.sync()
    all_in_podos_once(engine, connected.sandbox)
    assert [run.state for run in list_runs(engine)][-1] == "completed"


def test_no_code_or_token_is_told_to_prefect(
    connected: Connected, engine: Engine, paid: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    from models.shipments import SyncReport
    from tasks.tracking.report import sync_page

    ship(engine, connected.sandbox, paid[:10])
    connected.sandbox.store.update(paid[0], status="complete", tracking={"courier": "DPD", "code": "OTHER"})
    connected.sandbox.faults.then("503", "cut", "404", method="PATCH")
    with caplog.at_level("DEBUG"):
        report = connected.sync()
    assert isinstance(report, SyncReport)
    ours = [
        record.getMessage() for record in caplog.records if not record.name.startswith(("httpx", "httpcore"))
    ]
    told = "\n".join([*ours, str(sync_page(report)), report.one_line(), json.dumps(report.as_dict())])
    for shipment in list_shipments(engine):
        assert shipment.code not in told
    assert connected.sandbox.token not in told


def test_numbers_of_a_file_that_are_desk_ids_too_swap_no_tracking(
    connected: Connected, engine: Engine
) -> None:
    """The orders ACME-2 to ACME-6 have the desk ids 1 to 5; a file says 3 and 4, without the prefix."""
    store = connected.sandbox.store
    for order in store.all():
        store.remove(order["id"])
    for number in range(2, 7):
        dates = dict.fromkeys(("createdAt", "updatedAt"), f"2026-11-02T00:00:0{number}Z")
        store.add(
            {"id": f"own-{number}", "fulfillerReference": str(number), "status": "paid", "items": [], **dates}
        )
    connected.set(order_prefix="ACME-")
    connected.check()
    with engine.connect() as connection:
        numbers = connection.execute(text("SELECT id, order_number FROM orders ORDER BY id")).all()
    assert [tuple(row) for row in numbers] == [(number - 1, f"ACME-{number}") for number in range(2, 7)]

    content = b"Order,Courier,Code\n3,DPD,15509990003\n4,DPD,15509990004\n1,DPD,15509990001\n"
    taken = take_file(engine, content, strict=False, overwrite=False, now=NOW)
    assert (taken.added, [row.line for row in taken.bad]) == (2, [4])
    assert connected.sync().counts[SENT] == 2
    shown = {order["id"]: (order.get("tracking") or {}).get("code") for order in store.all()}
    assert shown == {
        **{"own-2": None, "own-3": "15509990003", "own-4": "15509990004"},
        **{"own-5": None, "own-6": None},
    }


@pytest.mark.parametrize(
    ("courier", "code", "reason"),
    [
        ("DPD", "#N/A", "the code is an error of a spreadsheet"),
        ("#REF!", "X1", "the courier is an error of a spreadsheet"),
        ("DPD", "nan", "the code is a word for no value"),
        ("DPD", "1.55012345678E13", "a spreadsheet made a number of the code"),
        ("DPD", "15501234567890.0", "a spreadsheet made a number of the code"),
        ("UPS", "1Z999AA10123456784/1Z999AA10123456795", "the code is more than one"),
    ],
)
def test_what_a_spreadsheet_made_of_a_value_is_not_sent_whoever_wrote_the_row(
    connected: Connected, engine: Engine, paid: list[str], courier: str, code: str, reason: str
) -> None:
    bad, good = fill(engine, connected.sandbox, paid[:2])
    shipment = insert_shipment(engine, bad, code, courier)
    insert_shipment(engine, good, '="00340434161094042557"', "'DPD")
    report = connected.sync()
    assert (report.counts[FAILED], report.counts[SENT]) == (1, 1)
    assert (shipments(engine)[shipment].reason or "").startswith(reason)
    ((source_id, body),) = connected.sandbox.store.patches
    assert (source_id, body["tracking"]["courier"]) == (paid[1], "DPD")
    assert body["tracking"]["code"] == "00340434161094042557"
    insert_shipment(engine, bad, "15501234567890", "DPD")  # the right row of the next day
    assert connected.sync().counts[SENT] == 1
