"""Personal data is erased: from the rows and the file's bytes; what counts and guards stays."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, event, text

from models.privacy import age
from tasks.desk.browse import export_orders
from tasks.desk.engine import writing
from tasks.desk.errors import DeskRefusedError
from tasks.desk.history import add_history
from tasks.imports.rejected import waiting_rows
from tasks.tracking.store import resend_shipments
from tasks.upkeep import erase as erasing
from tests.support.builders import PROJECT, insert_order, insert_rejected, insert_shipment
from tests.support.commands import RunDesk, refused

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
OLD = NOW - timedelta(days=200)
PERSONAL: dict[str, Any] = {
    "email": "canary.e-mail@example.test",
    "phone": "+44 20 CANARY-PHONE",
    "ship_name": "Canary Name",
    "ship_company": "Canary Company",
    "ship_address1": "1 Canary Street",
    "ship_address2": "Canary Floor",
    "ship_city": "Canarytown",
    "ship_postal_code": "CNR 1AA",
    "ship_state": "Canaryshire",
    "extras": {"packing_notes": ["for Canary Junior"]},
}
BYTES = [b"anary", b"CANARY", b"CNR 1AA"]


def personal_order(desk: Engine, **overrides: Any) -> int:
    """An order with something personal wherever it can be."""
    values: dict[str, Any] = (
        {"folder": "Closed", "imported_at": OLD, "ship_country": "GB"} | PERSONAL | overrides
    )
    order_id = insert_order(desk, items=({"notes": "Canary wants it blue"}, {}), **values)
    with writing(desk) as connection:
        lines = [
            (order_id, "moved", "moved from New to Closed"),
            (order_id, "held", "held: Canary called"),
            (order_id, "tracking", "shipment 1 failed: podOS says Canary"),
        ]
        add_history(connection, lines, at=OLD)
    return order_id


def ship(desk: Engine, order_id: int, code: str, state: str) -> int:
    shipment_id = insert_shipment(desk, order_id, code=code)
    run(
        desk,
        "UPDATE shipments SET state = :state, url = :url WHERE id = :id",
        state=state,
        url=f"https://track.example.test/{code}",
        id=shipment_id,
    )
    return shipment_id


def run(desk: Engine, statement: str, **values: Any) -> None:
    with desk.begin() as connection:
        connection.execute(text(statement), values)


def rows(desk: Engine, query: str) -> list[tuple[Any, ...]]:
    with desk.connect() as connection:
        return [tuple(row) for row in connection.execute(text(query))]


def erase(desk: Engine, *order_ids: int) -> tuple[int, int]:
    return erasing.erase(desk, erasing.only(order_ids, []), by="ann", now=NOW)


def test_what_is_personal_is_blanked_and_the_rest_stays(desk: Engine) -> None:
    order_id = personal_order(desk, hold_reason="Canary is ill", order_metadata={"shelf": "7"})
    untouched = personal_order(desk)
    ship(desk, order_id, "CANARY-1", "sent")
    before, _ = export_orders(desk)
    assert erase(desk, order_id) == (1, 0)
    after, other = export_orders(desk)
    assert "anary" not in json.dumps(after)
    assert (other["id"], other["email"]) == (untouched, PERSONAL["email"])
    kept = ("source_id", "order_number", "folder", "podos_status", "created_at", "metadata", "declared_value")
    assert {name: after[name] for name in kept} == {name: before[name] for name in kept}
    assert after["shipping"]["country"] == "GB"
    assert after["hold_reason"] == "personal data erased"
    assert [item["metadata"] for item in after["items"]] == [item["metadata"] for item in before["items"]]
    history = rows(desk, f"SELECT event, text FROM order_history WHERE order_id = {order_id} ORDER BY id")
    assert history == [
        ("moved", "moved from New to Closed"),
        ("held", "personal data erased"),
        ("tracking", "personal data erased"),
        ("erased", "personal data erased by ann"),
    ]
    ((shipment_id, code, url, state),) = rows(desk, "SELECT id, code, url, state FROM shipments")
    assert (code, url, state) == (f"erased-{shipment_id}", None, "sent")


def test_erasing_again_changes_nothing(desk: Engine) -> None:
    order_id = personal_order(desk)
    erase(desk, order_id)
    before = rows(desk, "SELECT * FROM order_history ORDER BY id")
    assert erase(desk, order_id) == (0, 0)
    assert rows(desk, "SELECT * FROM order_history ORDER BY id") == before


def test_tracking_that_waits_is_kept_until_podos_has_it(desk: Engine) -> None:
    order_id = personal_order(desk)
    shipment_id = insert_shipment(desk, order_id, code="CANARY-2")
    erase(desk, order_id)
    assert rows(desk, "SELECT code, state FROM shipments") == [("CANARY-2", "waiting")]
    run(desk, "UPDATE shipments SET state = 'sent'")
    assert erase(desk, order_id) == (1, 0)
    assert rows(desk, "SELECT code FROM shipments") == [(f"erased-{shipment_id}",)]


@pytest.mark.parametrize("state", ["failed", "superseded"])
def test_an_erased_tracking_code_is_never_sent(desk: Engine, state: str) -> None:
    shipment_id = ship(desk, personal_order(desk), "CANARY-3", state)
    erase(desk, *[row[0] for row in rows(desk, "SELECT id FROM orders")])
    assert rows(desk, "SELECT state FROM shipments") == [("voided",)]
    assert resend_shipments(desk, None, overwrite=False, now=NOW) == []
    with pytest.raises(DeskRefusedError, match="was erased"):
        resend_shipments(desk, [shipment_id], overwrite=True, now=NOW)


def test_an_order_without_an_address_does_not_wait_for_a_fulfiller(desk: Engine) -> None:
    order_id = personal_order(desk)
    run(desk, "INSERT INTO handovers (order_id, fulfiller) VALUES (:id, 'press')", id=order_id)
    erase(desk, order_id)
    assert rows(desk, "SELECT state, reason FROM handovers") == [("failed", "personal data erased")]


@pytest.mark.parametrize(
    ("prepared", "is_erased"),
    [
        ({"folder": "Closed"}, True),
        ({"folder": "Canceled"}, True),
        ({"folder": "New", "podos_status": "refunded"}, True),
        ({"folder": "New", "shipment": "sent"}, True),
        ({"folder": "New"}, False),
        ({"folder": "Prepared"}, False),
        ({"folder": "Closed", "shipment": "waiting"}, False),
        ({"folder": "Closed", "shipment": "failed"}, False),
        ({"folder": "Closed", "queued": True}, False),
        ({"folder": "Closed", "imported_at": NOW - timedelta(days=179)}, False),
    ],
    ids=str,
)
def test_by_age_only_finished_orders_are_erased(
    desk: Engine, prepared: dict[str, Any], is_erased: bool
) -> None:
    columns = {name: value for name, value in prepared.items() if name not in {"shipment", "queued"}}
    order_id = personal_order(desk, **columns)
    if "shipment" in prepared:
        ship(desk, order_id, "CODE", prepared["shipment"])
    if "queued" in prepared:
        run(desk, "INSERT INTO handovers (order_id, fulfiller) VALUES (:id, 'press')", id=order_id)
    selection = erasing.older_than(NOW - age("180d"))
    report = erasing.count_erasable(desk, selection)
    is_old = "imported_at" not in prepared
    assert (report.orders, report.not_finished) == (int(is_erased), int(is_old and not is_erased))
    erasing.erase(desk, selection, by="ann", now=NOW)
    (order,) = export_orders(desk)
    assert (order["email"] is None) == is_erased


def test_the_payload_of_a_rejected_order_goes_with_it(desk: Engine) -> None:
    old = insert_rejected(desk, last_seen_at=OLD, payload='{"email": "canary"}')
    insert_rejected(desk, last_seen_at=NOW, payload="new")
    selection = erasing.older_than(NOW - age("180d"))
    assert erasing.count_erasable(desk, selection).rejected == 1
    assert erasing.erase(desk, selection, by="ann", now=NOW) == (0, 1)
    payloads = rows(desk, "SELECT id, payload FROM rejected_orders ORDER BY id")
    assert payloads == [(old, ""), (old + 1, "new")]
    _, replayable = waiting_rows(desk, PROJECT)
    assert [payload for _, payload in replayable] == ["new"]


class PowerCutError(Exception):
    """The process dies."""


def test_a_crash_between_two_batches_leaves_whole_orders(
    desk: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(5):
        personal_order(desk)
    monkeypatch.setattr(erasing, "BATCH_SIZE", 2)
    calls = []
    blank = erasing._blank_history

    def dies(*arguments: Any) -> None:
        blank(*arguments)
        calls.append(arguments)
        if len(calls) == 2:
            raise PowerCutError

    monkeypatch.setattr(erasing, "_blank_history", dies)
    selection = erasing.older_than(NOW - age("180d"))
    with pytest.raises(PowerCutError):
        erasing.erase(desk, selection, by="ann", now=NOW)
    assert [order["email"] is None for order in export_orders(desk)] == [True, True, False, False, False]
    assert erasing.erase(desk, selection, by="ann", now=NOW) == (3, 0)
    assert rows(desk, "SELECT count(*) FROM order_history WHERE event = 'erased'") == [(5,)]


# --- the command --------------------------------------------------------------------------------------------


def test_the_bytes_are_gone_from_the_file(
    desk_command: RunDesk, cli_engine: Engine, cli_database: Path
) -> None:
    order_ids = [personal_order(cli_engine) for _ in range(3)]
    ship(cli_engine, order_ids[0], "CANARY-4", "sent")
    insert_rejected(cli_engine, source_id="f-9", payload='{"name": "Canary"}')
    run(cli_engine, "DELETE FROM order_history WHERE event = 'held'")  # freed pages hold bytes, too
    assert remains(cli_database)
    result = desk_command("privacy", "erase", *map(str, order_ids), "f-9", "--yes", "--json")
    assert (result.code, remains(cli_database)) == (0, [])
    assert json.loads(result.out) == {
        "dry_run": False,
        "orders": 3,
        "rejected": 1,
        "not_finished": 0,
        "tracking_kept": 0,
        "handed_over": {},
        "file_cleaned": True,
    }


def remains(database: Path) -> list[str]:
    files = [path for path in database.parent.iterdir() if path.name.startswith(database.name)]
    return [path.name for path in files if any(byte in path.read_bytes() for byte in BYTES)]


@pytest.fixture
def insecure_sqlite() -> Iterator[None]:
    """Every connection begins as SQLite's own default has it; Debian builds it with secure_delete on."""

    def switch_off(connection: Any, _record: object) -> None:
        if isinstance(connection, sqlite3.Connection):
            connection.execute("PRAGMA secure_delete=OFF")

    event.listen(Engine, "connect", switch_off)
    yield
    event.remove(Engine, "connect", switch_off)


def emptied_log(engine: Engine) -> None:
    """Bring all that was written into the file; what SQLite freed stays in it as it is."""
    with engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_what_erasing_frees_is_overwritten_whatever_sqlite_does_by_itself(
    insecure_sqlite: None, desk: Engine
) -> None:
    database = Path(str(desk.url.database))
    insert_order(desk, ship_name="Lingers " * 50)  # long: what takes its place covers a part of it
    run(desk, "UPDATE orders SET ship_name = NULL")
    emptied_log(desk)
    assert b"Lingers" in database.read_bytes(), "this SQLite overwrites by itself: the test says nothing"

    erase(desk, personal_order(desk, ship_name="Kanarienvogel " * 50))
    emptied_log(desk)
    assert b"Kanarienvogel" not in database.read_bytes()


def test_a_file_in_use_is_said_and_cleaned_by_the_next_try(
    desk_command: RunDesk, cli_engine: Engine, cli_database: Path
) -> None:
    order_id = personal_order(cli_engine)
    reader = sqlite3.connect(cli_database, isolation_level=None)
    reader.execute("BEGIN")
    reader.execute("SELECT count(*) FROM orders").fetchone()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tasks.desk.engine.BUSY_TIMEOUT_SECONDS", 0)
        result = desk_command("privacy", "erase", str(order_id), "--yes")
    reader.execute("COMMIT")
    reader.close()
    assert result.code == 1
    assert "1 orders and 0 rejected orders were erased" in result.err
    assert desk_command("privacy", "erase", str(order_id), "--yes").code == 0
    assert remains(cli_database) == []


def test_an_unfinished_order_is_refused_unless_forced(desk_command: RunDesk, cli_engine: Engine) -> None:
    done = personal_order(cli_engine)
    new = personal_order(cli_engine, folder="New", order_number="A-1")
    message = refused(desk_command("privacy", "erase", str(done), "A-1", "--yes"))
    assert f"order {new} (A-1) is not shipped" in message
    assert "--force" in message
    assert all(order["email"] for order in export_orders(cli_engine))
    assert desk_command("privacy", "erase", str(done), "A-1", "--yes", "--force").code == 0
    assert not any(order["email"] for order in export_orders(cli_engine))


def test_a_dry_run_counts_and_erases_nothing(desk_command: RunDesk, cli_engine: Engine) -> None:
    personal_order(cli_engine, imported_at=datetime(2020, 1, 1, tzinfo=UTC))
    personal_order(cli_engine, imported_at=datetime(2020, 1, 1, tzinfo=UTC), folder="New")
    result = desk_command("privacy", "erase", "--older-than", "180d", "--dry-run", "--json")
    counts = json.loads(result.out)
    assert (result.code, counts["orders"], counts["not_finished"]) == (0, 1, 1)
    assert all(order["email"] for order in export_orders(cli_engine))


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--yes"], "--older-than"),
        (["A-1", "--older-than", "180d", "--yes"], "--older-than"),
        (["--older-than", "180d", "--yes", "--force"], "--force"),
        (["--older-than", "half a year", "--yes"], "180d"),
        (["--older-than", "180d", "--json"], "--yes"),
        (["nobody", "--yes"], "no order 'nobody'"),
    ],
)
def test_what_makes_no_sense_is_refused(desk_command: RunDesk, arguments: list[str], says: str) -> None:
    assert says in refused(desk_command("privacy", "erase", *arguments))


def test_a_person_is_asked_first(
    desk_command: RunDesk, cli_engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    personal_order(cli_engine, order_number="A-1")
    monkeypatch.setattr("deployments.cli.privacy.sys.stdin.isatty", lambda: True)
    for answer, code in ((False, 1), (True, 0)):
        monkeypatch.setattr("typer.confirm", lambda *_, answer=answer, **__: answer)
        assert desk_command("privacy", "erase", "A-1").code == code
        (order,) = export_orders(cli_engine)
        assert (order["email"] is None) == answer


def test_what_podos_said_of_production_goes_and_what_it_was_told_stays(desk: Engine) -> None:
    order_id = insert_order(desk)
    reasons = {"processing": None, "printed": "podOS did not accept the status: Ada Lovelace"}
    for status, reason in reasons.items():
        columns, values = "order_id, status, state, reason", ":id, :status, :state, :reason"
        insert = f"INSERT INTO production_states ({columns}) VALUES ({values})"
        state = "failed" if reason else "sent"
        run(desk, insert, id=order_id, status=status, state=state, reason=reason)
    with writing(desk) as connection:
        lines = [
            (order_id, "production", "podOS was told processing"),
            (order_id, "printed", "noted (desk printed)"),
        ]
        lines.append((order_id, "production", f"podOS was not told printed: {reasons['printed']}"))
        add_history(connection, lines, at=NOW)
    erase(desk, order_id)
    assert rows(desk, "SELECT status, reason FROM production_states ORDER BY id") == [
        ("processing", None),
        ("printed", "personal data erased"),
    ]
    texts = [row[0] for row in rows(desk, "SELECT text FROM order_history ORDER BY id")]
    told = [text for text in texts if "printed" in text or "told" in text]
    assert told == ["podOS was told processing", "noted (desk printed)"]
