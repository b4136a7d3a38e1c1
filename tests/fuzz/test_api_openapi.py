"""The HTTP API keeps to its own OpenAPI document, whatever it is asked."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
import requests
import schemathesis
from schemathesis import Case, GenerationMode
from schemathesis.specs.openapi.checks import positive_data_acceptance
from sqlalchemy import text

from deployments.stack.thread_server import served
from deployments.web.api.answers import OneOrderAnswer, OrderAnswer
from deployments.web.api.endpoints import ENDPOINTS, PREFIX
from deployments.web.app import create_app
from deployments.web.site import Site
from models.tables.people import Scope
from tasks.desk.browse import find_order
from tasks.desk.engine import opened_desk
from tasks.people.tokens_store import add_token
from tests.fuzz.looking import Looking
from tests.support.builders import insert_order

NOW = datetime(2026, 11, 27, 12, 0, tzinfo=UTC)
CALLS = [
    (endpoint.path.replace(":path}", "}"), endpoint.method, mode)
    for endpoint in ENDPOINTS
    for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE)
    # The list of folders takes nothing that could be wrong.
    if mode is GenerationMode.POSITIVE or endpoint.path != "/folders"
]
KNOWN = {"/orders/{order}": {"order": "A-1001"}, "/shipments/{shipment}": {"shipment": "1"}}


class Running:
    """The API of a desk with one order and one shipment."""

    def __init__(self, url: str, token: str) -> None:
        self.url = url
        self.headers = {"Authorization": f"Bearer {token}"}


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    url = f"sqlite:///{tmp_path_factory.mktemp('api') / 'desk.db'}"
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with opened_desk(url) as engine:
        insert_order(engine, order_number="A-1001", extras={"packing_notes": [{"text": "x"}]})
        token = add_token(engine, "fuzz", Scope.WRITE, now=NOW)
        shipment = "INSERT INTO shipments (order_id, courier, code) VALUES (1, 'DPD', '15501234567890')"
        with engine.begin() as connection:
            connection.execute(text(shipment))
        with served(create_app(Site(engine)), "127.0.0.1", port, name="api"):
            yield Running(f"http://127.0.0.1:{port}", token)


@pytest.fixture
def session() -> Iterator[requests.Session]:
    with requests.Session() as opened:
        yield opened


@pytest.mark.parametrize(("path", "method", "mode"), CALLS)
def test_every_answer_is_as_documented(
    api: Running, session: requests.Session, looking: Looking, path: str, method: str, mode: GenerationMode
) -> None:
    document = schemathesis.openapi.from_url(f"{api.url}{PREFIX}/openapi.json", headers=api.headers)
    call = document[path][method]

    # Which orders and folders there are, and what is no code, a schema can't say.
    def check(case: Case[Any]) -> None:
        answer = case.call_and_validate(
            session=session, headers=api.headers, excluded_checks=[positive_data_acceptance]
        )
        assert answer.status_code < 500

    known = KNOWN.get(path) if mode is GenerationMode.POSITIVE else None
    cases = call.as_strategy(mode, path_parameters=known) if known else call.as_strategy(mode)
    looking.run(cases, check, short=25)


def test_the_document_names_every_key_of_an_order(tmp_path: Any) -> None:
    with opened_desk(f"sqlite:///{tmp_path / 'desk.db'}") as engine:
        insert_order(engine, order_number="A-1001")
        detail = find_order(engine, "A-1001")
    assert {*detail.order, "unreadable"} == {*OrderAnswer.model_fields}
    assert {*detail.as_dict(), "unreadable"} == {*OneOrderAnswer.model_fields}
    OneOrderAnswer.model_validate(detail.as_dict())
