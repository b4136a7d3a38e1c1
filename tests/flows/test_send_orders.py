"""From the sandbox podOS through rules to two fulfillers, and back with shipments to podOS as complete."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, text

from deployments.sandbox.receiver import Receiver
from deployments.sandbox.server import Sandbox
from models.fulfillers import WebhookFulfiller
from tasks.desk.errors import RetriableDeskError
from tasks.fulfilment import queue as handover_send
from tasks.fulfilment import send as fulfil
from tasks.fulfilment.fulfillers import load_fulfiller
from tests.support.commands import Result, RunDesk, refused
from tests.support.connected import Connected
from tests.support.sending import queue, states

SECRET = "a secret of the tests"
RULES = """
rules:
  - name: Britain to acme
    event: order imported
    all:
      - shipping.country = GB
    actions:
      - send_to: acme
  - name: elsewhere to press
    event: order imported
    all:
      - shipping.country != GB
    actions:
      - send_to: press
"""


@pytest.fixture
def secret(monkeypatch: pytest.MonkeyPatch) -> None:
    """The secret of the webhook, in the environment as on a server."""
    monkeypatch.setenv("FULFILLER_SECRET", SECRET)


def test_from_order_to_parcel(
    desk_command: RunDesk, connected: Connected, engine: Engine, tmp_path: Path, secret: None
) -> None:
    (tmp_path / "press").mkdir()
    (tmp_path / "rules.yaml").write_text(RULES)
    with Receiver(SECRET) as receiver:
        added = desk_command("fulfillers", "add", "webhook", "acme", "--address", receiver.url)
        assert added.code == 0, added.err
        assert_known(desk_command, tmp_path, "Acme")
        folder = ("fulfillers", "add", "folder", "press", "--directory", str(tmp_path / "press"))
        assert desk_command(*folder).code == 0
        loaded = desk_command("rules", "load", str(tmp_path / "rules.yaml"))
        assert loaded.code == 0, loaded.err
        assert desk_command("check").code == 0
        sent = desk_command("send", "--json")
        assert sent.code == 0, sent.err
        reports = {report["fulfiller"]: report for report in json.loads(sent.out)}
        assert json.loads(desk_command("send", "--json").out)[0]["sent"] == 0
    assert receiver.problems == []
    assert len(receiver.taken) == sum(receiver.posts.values()) == reports["acme"]["sent"] > 10
    assert len(list((tmp_path / "press").glob("[!.]*.json"))) == reports["press"]["sent"] > 10
    countries = {order["order"]["shipping"]["country"] for order in receiver.taken.values()}
    assert countries == {"GB"}
    _ship_all(receiver, desk_command)
    assert_complete(connected.sandbox, receiver)
    failed = json.loads(desk_command("outbox", "--failed", "--json").out)
    assert len(failed) == sum(report["failed"] for report in reports.values())
    with engine.connect() as connection:
        query = "SELECT integration FROM import_runs WHERE kind = 'send' AND integration IN ('acme', 'press')"
        runs = connection.execute(text(query)).scalars().all()
    assert sorted(runs) == ["acme", "press"]  # the second time nothing waited for them


def _ship_all(receiver: Receiver, desk_command: RunDesk) -> None:
    for number, posted in enumerate(list(receiver.taken.values())[:3]):
        order = str(posted["order"]["id"])
        shipped = desk_command("ship", order, "--courier", "Royal Mail", "--code", f"AB{number}GB")
        assert shipped.code == 0
    assert json.loads(desk_command("sync", "--json").out)["sent"] == 3


def assert_known(desk_command: RunDesk, tmp_path: Path, name: str) -> None:
    """Make sure that maps of a fulfiller are loaded without a warning."""
    path = tmp_path / "maps.csv"
    path.write_text(f"fulfiller,map,from,to\n{name},carrier,RM,Royal Mail\n")
    loaded = desk_command("maps", "load", str(path))
    assert (loaded.code, loaded.err) == (0, "")


def assert_complete(sandbox: Sandbox, receiver: Receiver) -> None:
    """Make sure that podOS shows the first three orders as complete."""
    wanted = {posted["order"]["source_id"] for posted in list(receiver.taken.values())[:3]}
    held = [order for order in sandbox.store.all() if order.get("id") in wanted]
    assert [order["status"] for order in held] == ["complete"] * 3


def test_a_refused_secret_fails_the_command_and_says_what_to_do(
    desk_command: RunDesk, connected: Connected, secret: None
) -> None:
    with Receiver("another secret of the tests") as receiver:
        desk_command("fulfillers", "add", "webhook", "locked", "--address", receiver.url)
        desk_command("check")
        result = desk_command("send", "--folder", "New", "--to", "locked")
    assert result.code == 1
    assert "refused our key or secret (HTTP 401)" in result.err
    assert '"state": "waiting"' in desk_command("outbox", "--waiting", "--json").out


@pytest.mark.parametrize(("refusals", "kept"), [("NONE", ""), ("accepted,  error", "accepted, error")])
def test_the_fields_that_say_no_are_set_by_the_command(
    desk_command: RunDesk, connected: Connected, secret: None, refusals: str, kept: str
) -> None:
    desk_command(
        *("fulfillers", "add", "webhook", "picky", "--address", "http://127.0.0.1:9/orders"),
        *("--refusals", refusals),
    )
    fulfiller = asyncio.run(load_fulfiller("picky"))
    assert isinstance(fulfiller, WebhookFulfiller)
    assert fulfiller.refusal_fields == kept


NEXT_SECRET = "the next secret of the tests"


def test_a_secret_is_replaced_without_a_post_that_is_refused(
    desk_command: RunDesk, connected: Connected, secret: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    def add(*arguments: str, secret: str) -> Result:
        monkeypatch.setenv("FULFILLER_SECRET", secret)
        return desk_command("fulfillers", "add", "webhook", "turning", *arguments)

    def is_rotating() -> bool:
        listed = json.loads(desk_command("fulfillers", "--json").out)
        return bool(next(fulfiller["rotating"] for fulfiller in listed if fulfiller["name"] == "turning"))

    address = ("--address", "http://127.0.0.1:9/orders")
    assert "there is no webhook" in refused(add(*address, "--rotate-secret", secret=SECRET))
    assert add(*address, secret=SECRET).code == 0
    assert "no new secret" in refused(add("--rotate-secret", secret=SECRET))
    assert secrets_of("turning") == (SECRET, None)
    assert add("--rotate-secret", secret=NEXT_SECRET).code == 0
    assert secrets_of("turning") == (NEXT_SECRET, SECRET)
    assert is_rotating()
    assert "--end-rotation" in refused(add("--rotate-secret", secret="a third secret of the tests"))
    shown = desk_command("fulfillers")
    assert SECRET not in shown.out + shown.err
    assert add("--end-rotation", secret=SECRET).code == 0  # the old one still stands in the environment
    assert secrets_of("turning") == (NEXT_SECRET, None)
    assert not is_rotating()


def secrets_of(name: str) -> tuple[str, str | None]:
    fulfiller = asyncio.run(load_fulfiller(name))
    assert isinstance(fulfiller, WebhookFulfiller)
    previous = fulfiller.previous_secret
    return fulfiller.secret.get_secret_value(), previous.get_secret_value() if previous else None


def test_what_makes_no_sense_is_refused(desk_command: RunDesk, connected: Connected, secret: None) -> None:
    http = desk_command("fulfillers", "add", "webhook", "far", "--address", "http://printer.example.test/o")
    assert (http.code, "https" in http.err) == (2, True)
    unknown = desk_command("send", "--to", "nobody")
    assert (unknown.code, "there is no fulfiller 'nobody'" in unknown.err) == (2, True)
    assert SECRET not in http.err + unknown.err


def test_hold_and_release(desk_command: RunDesk, connected: Connected) -> None:
    desk_command("check")
    assert desk_command("hold", "1", "--reason", "artwork is unclear").code == 0
    assert json.loads(desk_command("order", "1", "--json").out)["hold_reason"] == "artwork is unclear"
    assert desk_command("release", "1").code == 0
    assert json.loads(desk_command("order", "1", "--json").out)["hold_reason"] is None


def contents(engine: Engine) -> dict[str, list[Any]]:
    """All rows that sending could write."""
    tables = ("orders", "handovers", "order_history", "import_runs", "shipments")
    with engine.connect() as connection:
        return {name: list(connection.execute(text(f"SELECT * FROM {name} ORDER BY id"))) for name in tables}


def test_read_only_mode_sends_and_writes_nothing_and_says_how_many_it_would(
    desk_command: RunDesk, engine: Engine, secret: None
) -> None:
    queue(engine, 3, "looker")
    queue(engine, 2, "looker", ship_city=None)  # not fit to be sent
    before = contents(engine)
    with Receiver(SECRET) as receiver:
        desk_command("fulfillers", "add", "webhook", "looker", "--address", receiver.url, "--read-only")
        sent = desk_command("send", "--to", "looker", "--json")
        said = desk_command("send", "--to", "looker")
    assert sent.code == 0, sent.err
    (report,) = json.loads(sent.out)
    assert (report["would_send"], report["sent"], report["waiting"]) == (3, 0, 5)
    assert report["run_id"] is None
    assert "read-only mode: nothing was sent, 3 would be" in said.err
    assert not receiver.posts
    assert contents(engine) == before


def test_a_busy_desk_is_waited_for_with_a_new_pass(
    desk_command: RunDesk, engine: Engine, secret: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    queue(engine, 5, "patient")
    calls, really = [], handover_send.write_results

    def busy(*args: Any, **named: Any) -> Any:
        settled = really(*args, **named)
        calls.append(1)
        if len(calls) <= 2:  # as the outcomes come, and at the end of the pass
            raise RetriableDeskError("the desk's database is locked")
        return settled

    monkeypatch.setattr(fulfil, "write_results", busy)
    monkeypatch.setattr(fulfil.hand_over, "retry_delay_seconds", 0)
    with Receiver(SECRET) as receiver:
        desk_command("fulfillers", "add", "webhook", "patient", "--address", receiver.url)
        sent = desk_command("send", "--to", "patient", "--json")
    assert sent.code == 0, sent.err
    assert len(calls) == 3
    (report,) = json.loads(sent.out)
    assert (report["pending"], report["sent"] + report["already_there"]) == (5, 5)
    assert len(receiver.taken) == 5
    assert {state for state, _, _ in states(engine)} <= {"sent", "already_there"}
    with engine.connect() as connection:
        runs = connection.execute(text("SELECT state FROM import_runs WHERE kind = 'send'"))
        assert runs.scalars().all() == ["completed"]


def test_a_fulfiller_is_removed_when_nothing_waits_for_it(
    desk_command: RunDesk, engine: Engine, connected: Connected, tmp_path: Path
) -> None:
    added = desk_command("fulfillers", "add", "folder", "leaving", "--directory", str(tmp_path))
    assert added.code == 0, added.err
    desk_command("check")
    queue(engine, 1, "leaving")
    refused_ = desk_command("fulfillers", "remove", "leaving")
    assert refused_.code == 2
    assert "1 order waits to be sent to leaving: send them (desk send --to leaving)" in unwrapped(refused_)
    (handover,) = json.loads(desk_command("outbox", "--waiting", "--json").out)
    canceled = desk_command("outbox", "cancel", str(handover["id"]))
    assert canceled.out == "1 order is taken out of the outbox\n", canceled.err
    again = desk_command("outbox", "cancel", str(handover["id"]), "--json")
    assert json.loads(again.out) == {"canceled": [], "fulfillers_to_ask": []}
    removed = desk_command("fulfillers", "remove", "leaving", "--json")
    assert json.loads(removed.out) == {"removed": "leaving"}
    assert "leaving" not in desk_command("fulfillers").out
    again = desk_command("fulfillers", "remove", "leaving")
    assert (again.code, again.err) == (2, "Error: there is no fulfiller 'leaving'; see: desk fulfillers\n")


def unwrapped(result: Result) -> str:
    return " ".join(result.err.replace("│", " ").split())


@pytest.mark.parametrize(("place", "problem"), [("none", "make it first"), ("file", "is no directory")])
def test_a_folder_fulfiller_without_a_directory_is_refused_at_once(
    desk_command: RunDesk, tmp_path: Path, place: str, problem: str
) -> None:
    (tmp_path / "file").touch()
    result = desk_command("fulfillers", "add", "folder", "nowhere", "--directory", str(tmp_path / place))
    assert result.code == 2
    assert problem in unwrapped(result)
    assert "nowhere" not in desk_command("fulfillers").out


def test_at_a_terminal_a_missing_directory_is_made(
    desk_command: RunDesk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    asked: list[str] = []

    def confirm(question: str, **_named: object) -> bool:
        asked.append(question)
        return True

    monkeypatch.setattr("typer.confirm", confirm)
    new = tmp_path / "new" / "press"
    result = desk_command("fulfillers", "add", "folder", "made", "--directory", str(new))
    assert result.code == 0, result.err
    assert new.is_dir()
    assert asked == [f"There is no directory {new}. Make it?"]


def test_a_directory_that_can_not_be_made_is_refused(
    desk_command: RunDesk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr("typer.confirm", lambda *_args, **_named: True)
    (tmp_path / "file").touch()
    place = str(tmp_path / "file" / "press")
    result = desk_command("fulfillers", "add", "folder", "unmade", "--directory", place)
    assert result.code == 2
    assert "can't be used: Not a directory" in unwrapped(result)
    assert "unmade" not in desk_command("fulfillers").out
