"""No token and nothing about customers in anything that the system wrote. Runs after the others.

Only the desk's database holds personal data, and only encrypted settings hold tokens. Everything else is
searched byte by byte: Prefect's database and storage, logs, temporary files, the home directory, what
commands said, all with logs at their most talkative. podOS, a webhook and Order Desk repeat what they were
sent and what they know, in messages, headers, reason phrases, references and carriers.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from uuid import uuid4

import pytest

from deployments.sandbox.faults import FAULTS
from deployments.sandbox.receiver import Receiver
from deployments.sandbox.server import Sandbox, SandboxSettings
from tests.e2e.canaries import contents_of, forms_of, found_in, rows_of
from tests.e2e.running import FULFILLER_SECRET, System
from tests.support.order_desk import KEY, FakeOrderDesk

pytestmark = pytest.mark.e2e
SHORTEST = 6
"""A shorter text could stand anywhere by chance."""
DAYS = (f"2019-01-{day:02}" for day in range(1, 32))
"""Each is another filter, also when the test is tried again."""
PERSON = "kanarienvogel0815"
"""Stands in everything personal of the planted orders."""
TALKATIVE = dict.fromkeys(
    ("PREFECT_LOGGING_LEVEL", "PREFECT_LOGGING_ROOT_LEVEL", "PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL"), "DEBUG"
)
"""The root logger's level lets the HTTP clients' own messages through."""


def test_prefect_holds_no_token_and_no_personal_data(system: System, slow_sandbox: Sandbox) -> None:
    readable, broken = plant(slow_sandbox)
    run_with_faults(system, slow_sandbox)
    assert broken in system.desk("rejected", "--json")
    ship_to_podos(system, slow_sandbox, readable)
    # It is complete by now: without this, the last look at podOS would keep it back.
    system.desk("connect", "slow", "--status", "paid", "--status", "complete")
    said = hand_over(system, readable)

    planted = {slow_sandbox.token, Sandbox(SandboxSettings(orders=0)).token, FULFILLER_SECRET, KEY, PERSON}
    needles = {form for text in planted for form in forms_of(text)}
    people = set(_personal_data(system))
    assert len(people) > 300
    needles |= {form for text in people for form in (text.encode(), json.dumps(text)[1:-1].encode())}
    assert found_in({"what is searched for": PERSON.upper().encode()}, needles)

    desk = set(system.place.glob("desk.db*"))
    assert PERSON.encode() in b"".join(file.read_bytes() for file in desk)
    files = [file for file in system.place.rglob("*") if file.is_file() and file not in desk]
    assert {"prefect.db", "prefect.db-wal", "up.log"} <= {file.name for file in files}
    contents = contents_of(files, system.place)
    assert any(b"httpcore" in content for content in contents.values()), "the logs are not talkative"
    contents["rows of prefect.db"] = rows_of(system.home / "prefect.db")
    contents["what commands said"] = "\n".join(said).encode()
    assert found_in(contents, needles) == {}


def plant(sandbox: Sandbox) -> tuple[str, str]:
    """Add an order whose personal fields all hold the canary, and an unreadable one; return their ids."""
    pattern = sandbox.store.all()[0]
    personal = {
        "status": "paid",
        "frozen": False,
        "contactInformation": {"email": f"zoe.{PERSON}@example.test", "phone": f"+44 {PERSON}"},
        "shippingAddress": {
            **dict.fromkeys(("contactName", "company", "line1", "line2", "city"), f"Zoë {PERSON}"),
            "postalCode": PERSON,
            "country": "IE",
        },
        "packingNotes": [{"type": "insert", "text": f"for {PERSON}"}],
    }
    ids = str(uuid4()), str(uuid4())
    sandbox.store.add(pattern | personal | {"id": ids[0]})
    sandbox.store.add(pattern | personal | {"id": ids[1], "items": f"none for {PERSON}"})
    return ids


def run_with_faults(system: System, sandbox: Sandbox) -> None:
    """Import in every way, and let runs fail."""
    check, manual = (system.deployment(name)["id"] for name in ("check-for-new-orders", "manual-import"))
    since = {"request": {"integration": "default", "since": "2020-01-01"}}
    runs = [system.start_run(manual, since, **TALKATIVE)]
    runs.append(system.start_run(check, {"integration": "default"}, **TALKATIVE))
    assert [system.finished(run)["state_type"] for run in runs] == ["COMPLETED", "COMPLETED"]
    for fault in (None, "503_repeats", "unordered", "401", "400_repeats"):
        system.desk("connect", "slow", "--first-import-date", next(DAYS))  # the next check reads all
        sandbox.faults.ignore_sort = fault == "unordered"
        if fault in FAULTS:
            sandbox.faults.then(fault, times=3)
        run = system.finished(system.start_run(check, {"integration": "slow"}, **TALKATIVE))
        fails = fault not in {None, "503_repeats"}  # which is asked again
        assert run["state_type"] == ("FAILED" if fails else "COMPLETED"), run["state"]
        sandbox.faults.reset()


def ship_to_podos(system: System, sandbox: Sandbox, source_id: str) -> None:
    """Send tracking that leads to a person; first podOS refuses the token, then the tracking."""
    with sqlite3.connect(system.place / "desk.db", timeout=30) as desk:  # as another program does: no event
        desk.execute(
            "INSERT INTO shipments (order_id, courier, code, url) SELECT id, 'Parcel Co', ?, ? FROM orders "
            "WHERE source_id = ?",
            (f"{PERSON}1", f"https://track.example.test/{PERSON}", source_id),
        )
    desk.close()
    sync = system.deployment("sync-tracking")["id"]
    sandbox.faults.then("401", times=3)
    refused = system.finished(system.start_run(sync, {"integration": "slow"}, **TALKATIVE))
    sandbox.faults.reset()
    assert refused["state_type"] == "FAILED", refused["state"]
    sandbox.faults.then("400_repeats", method="PATCH")
    done = system.finished(system.start_run(sync, {"integration": "slow"}, **TALKATIVE))
    assert done["state_type"] == "COMPLETED", done["state"]
    sandbox.faults.reset()
    (failed,) = json.loads(system.desk("shipments", "--failed", "--json"))
    assert failed["reason"].startswith("podOS did not accept the tracking (HTTP 400): No parcel for Zoë")
    assert not is_told(system, failed["reason"])
    assert is_told(system, "podOS did not accept the tracking (HTTP 400)")
    system.desk("shipments", "resend", str(failed["id"]))
    sent = system.finished(system.start_run(sync, {"integration": "slow"}, **TALKATIVE))
    assert sent["state_type"] == "COMPLETED", sent["state"]
    order = sandbox.store.get(source_id)
    assert order is not None
    assert order["tracking"]["code"] == f"{PERSON}1"


def hand_over(system: System, source_id: str) -> list[str]:
    """Send the order to webhooks and Order Desk stores, some of which refuse it; return what was said."""
    mark = uuid4().hex[:8]
    said: list[str] = []

    def desk(*arguments: str, code: int = 0, secret: str = "") -> None:
        done = system.run_desk(*arguments, **TALKATIVE, FULFILLER_SECRET=secret)
        assert done.returncode == code, (arguments, done.stdout, done.stderr)
        said.extend((done.stdout, done.stderr))

    with Receiver(FULFILLER_SECRET) as receiver, FakeOrderDesk() as store:
        add = ("fulfillers", "add")
        desk(*add, "webhook", f"hook-{mark}", "--address", receiver.url, secret=FULFILLER_SECRET)
        where = ("--address", store.url, "--store-id", "77")
        desk(*add, "orderdesk", f"store-{mark}", *where, secret=KEY)
        desk("send", source_id, "--to", f"hook-{mark}")
        parcel = {"carrier_code": f"by hand to {PERSON}", "tracking_number": f"{PERSON}2"}
        store.shipments[store.FIRST_ID] = [parcel | {"tracking_url": f"https://track.example.test/{PERSON}2"}]
        desk("send", source_id, "--to", f"store-{mark}")
        assert (len(receiver.taken), len(store.orders)) == (1, 1)
        assert parcel["carrier_code"] in system.desk("shipments", "--json")
        desk(*add, "orderdesk", f"closed-{mark}", *where, secret=f"{PERSON}-not-the-key")
        desk("send", source_id, "--to", f"closed-{mark}", code=1)
        receiver.faults += ["repeat", "repeat after taking"]
        for name in ("refuses", "repeats"):
            desk(*add, "webhook", f"{name}-{mark}", "--address", receiver.url, secret=FULFILLER_SECRET)
            desk("send", source_id, "--to", f"{name}-{mark}")
        with FakeOrderDesk() as other:  # a store that has not got the order yet
            other.repeats = True
            where = ("--address", other.url, "--store-id", "77")
            desk(*add, "orderdesk", f"refusing-{mark}", *where, secret=KEY)
            desk("send", source_id, "--to", f"refusing-{mark}")
    outbox = {load["fulfiller"]: load for load in json.loads(system.desk("outbox", "--json"))}
    assert PERSON in outbox[f"repeats-{mark}"]["reference"]
    words = outbox[f"refusing-{mark}"]["reason"]
    assert words == f"Order Desk did not accept the order (HTTP 400): No parcel for Zoë {PERSON}"
    assert not is_told(system, words)
    assert is_told(system, "Order Desk did not accept the order (HTTP 400)")
    return said


def is_told(system: System, words: str) -> bool:
    """Whether an artifact in Prefect says these words."""
    artifacts = system.api("POST", "/artifacts/filter", {"sort": "CREATED_DESC", "limit": 50})
    return any(words in str(artifact["data"]) for artifact in artifacts)


def _personal_data(system: System) -> Iterator[str]:
    for line in system.desk("orders", "export").splitlines():
        order = json.loads(line)
        shipping = order["shipping"]
        texts = [order["email"], order["phone"], *(shipping[key] for key in ("name", "address1", "address2"))]
        yield from (text for text in texts if text and len(text) >= SHORTEST)
