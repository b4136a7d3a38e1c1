"""Alerts: what is posted, when it is tried again, and that the address is told to nobody."""

from __future__ import annotations

import asyncio
import json
import logging
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from fnmatch import fnmatch
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from uuid import uuid4

import pytest
import stamina
from prefect.blocks.abstract import NotificationError as NotSentError
from prefect.events.schemas.automations import EventTrigger
from pydantic import SecretStr, ValidationError

from deployments.stack.alerts import wanted_automations
from models.alerts import AlertWebhook
from models.watching import BacklogKind, Watch
from tasks.prefect_api import events as announcing

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
SECRET = "secret-of-the-address-4712"


class Receiver:
    """Answers posts with the statuses of a list, then with 200."""

    def __init__(self, statuses: list[int]) -> None:
        self.posts: list[tuple[str, dict[str, Any]]] = []
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                receiver.posts.append((self.path, json.loads(body)))
                self.send_response(statuses.pop(0) if statuses else 200)
                self.send_header("Location", "http://127.0.0.1:9/elsewhere")
                self.end_headers()

            def log_message(self, format: str, *args: Any) -> None:
                return

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/{SECRET}?key={SECRET}"


@pytest.fixture
def statuses() -> list[int]:
    """What the receiver answers first."""
    return []


@pytest.fixture
def receiver(statuses: list[int]) -> Iterator[Receiver]:
    """A receiver of alerts."""
    receiver = Receiver(statuses)
    thread = threading.Thread(target=receiver.server.serve_forever, daemon=True)
    thread.start()
    with stamina.set_testing(True, attempts=4):
        yield receiver
    receiver.server.shutdown()
    receiver.server.server_close()
    thread.join()


def notify(url: str) -> None:
    asyncio.run(AlertWebhook(url=SecretStr(url)).notify("the reason", "the subject"))


def test_an_alert_is_posted_as_json(receiver: Receiver) -> None:
    notify(receiver.url)
    said = {"text": "the subject\nthe reason", "subject": "the subject", "body": "the reason"}
    assert receiver.posts == [(f"/{SECRET}?key={SECRET}", said)]


@pytest.mark.parametrize("first", [[503, 429], [500]])
def test_a_receiver_that_is_busy_is_tried_again(
    receiver: Receiver, statuses: list[int], first: list[int]
) -> None:
    statuses += first
    notify(receiver.url)
    assert len(receiver.posts) == len(first) + 1


@pytest.mark.parametrize(("status", "posts"), [(404, 1), (302, 1), (500, 4)])
def test_a_refusal_says_why_and_never_where(
    receiver: Receiver, statuses: list[int], status: int, posts: int, caplog: pytest.LogCaptureFixture
) -> None:
    statuses += [status] * 4
    with caplog.at_level(logging.DEBUG), pytest.raises(NotSentError) as refused:
        notify(receiver.url)
    assert refused.value.log == f"the alert's receiver answered {status}"
    assert len(receiver.posts) == posts
    assert SECRET not in caplog.text + str([vars(record) for record in caplog.records])


def test_a_receiver_that_is_away_says_so(receiver: Receiver) -> None:
    receiver.server.shutdown()
    receiver.server.server_close()
    with pytest.raises(NotSentError) as refused:
        notify(receiver.url)
    assert refused.value.log == "the alert's receiver could not be reached (ConnectionRefusedError)"


@pytest.mark.parametrize(
    ("url", "why"),
    [
        (f"http://hooks.example.test/{SECRET}", "must begin with https://"),
        (f"https://user:{SECRET}@hooks.example.test/", "no user and no password"),
        (f"ftp://hooks.example.test/{SECRET}", "is not a web address"),
        (SECRET, "is not a web address"),
        (f"https://hooks.example.test/{SECRET} x", "is not a web address"),
    ],
)
def test_an_address_that_can_not_be_used_is_refused_without_naming_it(url: str, why: str) -> None:
    with pytest.raises(ValidationError) as refused:
        AlertWebhook(url=SecretStr(url))
    assert why in str(refused.value)
    assert SECRET not in str(refused.value)


def test_the_address_is_a_secret_of_the_block() -> None:
    block = AlertWebhook(url=SecretStr(f"https://hooks.example.test/{SECRET}"))
    assert SECRET not in repr(block) + block.model_dump_json()
    assert AlertWebhook._to_block_schema().capabilities == ["notify"]


def test_every_event_of_a_cause_has_an_automation_that_notifies() -> None:
    triggers = [automation.trigger for automation in wanted_automations(uuid4(), timedelta(minutes=45))]
    causes = ["check:default", "sync:default", "send:printer", *(pile.value for pile in BacklogKind)]
    for cause in causes:
        event = announcing.alert_of(Watch(cause, None, NOW, NOW, "why"))
        resource = event["resource"]["prefect.resource.id"]
        (trigger,) = (
            trigger
            for trigger in triggers
            if isinstance(trigger, EventTrigger) and event["event"] in trigger.expect
        )
        assert fnmatch(resource, trigger.model_dump()["match"]["prefect.resource.id"][0])


def test_a_trouble_that_is_sent_again_is_the_same_event_and_a_new_one_is_not() -> None:
    first = announcing.alert_of(Watch("check:default", None, NOW, None, "why"))
    again = announcing.alert_of(Watch("check:default", None, NOW, NOW, "why else"))
    later = announcing.alert_of(Watch("check:default", NOW, NOW + timedelta(minutes=1), None, "why"))
    assert first["id"] == again["id"] != later["id"]
