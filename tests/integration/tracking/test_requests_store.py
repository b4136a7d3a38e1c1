"""A request that adds a shipment is done once, also when it comes twice at the same moment."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from threading import Barrier

import pytest
from sqlalchemy import Engine

from models.tables.people import Scope
from tasks.desk.engine import make_engine
from tasks.desk.errors import DeskRefusedError
from tasks.people.tokens_store import add_token, find_token
from tasks.tracking.intake import Taken, take_requested
from tasks.tracking.requests_store import KeyReusedError, ShipmentRequestKey
from tasks.tracking.shipment_file import FileRow
from tasks.tracking.shipment_list import list_shipments
from tests.support.builders import insert_order

NOW = datetime(2026, 11, 27, 12, 0, tzinfo=UTC)
ROW = FileRow(1, "A-1001", "DPD", "15501234567890", "", "")


@pytest.fixture
def key(desk: Engine) -> ShipmentRequestKey:
    """A request for the order A-1001."""
    insert_order(desk, order_number="A-1001")
    token = find_token(desk, add_token(desk, "a", Scope.WRITE, now=NOW))
    assert token is not None
    return ShipmentRequestKey(token.id, "key", "body")


def take(engine: Engine, key: ShipmentRequestKey, row: FileRow = ROW) -> Taken:
    return take_requested(engine, row, key, overwrite=False, now=NOW, by="API token a")


def test_processes_that_come_at_once_do_it_once(desk: Engine, key: ShipmentRequestKey) -> None:
    ready = Barrier(6)

    def ask(_: int) -> Taken:
        engine = make_engine(desk.url.render_as_string(hide_password=False))  # as a process of its own
        try:
            ready.wait(30)
            return take(engine, key)
        finally:
            engine.dispose()

    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(ask, range(6)))
    assert answers == [answers[0]] * 6
    assert answers[0].added == 1
    assert len(list(list_shipments(desk))) == 1


def test_the_same_later_is_answered_the_same(desk: Engine, key: ShipmentRequestKey) -> None:
    first = take(desk, key)
    assert take(desk, key) == first
    assert first.integrations == {"default"}


def test_another_body_is_refused_and_changes_nothing(desk: Engine, key: ShipmentRequestKey) -> None:
    take(desk, key)
    with pytest.raises(KeyReusedError, match="take a new key"):
        take(desk, key._replace(body_digest="other"), ROW._replace(code="15509999999999"))
    assert len(list(list_shipments(desk))) == 1


def test_what_was_refused_can_be_asked_again_with_the_key(desk: Engine, key: ShipmentRequestKey) -> None:
    with pytest.raises(DeskRefusedError):
        take(desk, key, ROW._replace(order="B-1"))
    assert take(desk, key._replace(body_digest="other")).added == 1
