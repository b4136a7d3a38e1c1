"""The sandbox keeps to its own OpenAPI document, whatever it is asked."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
import requests
import schemathesis
from hypothesis import strategies as st
from schemathesis import Case, GenerationMode
from schemathesis.schemas import APIOperation

from deployments.sandbox.server import Sandbox, SandboxSettings
from tests.fuzz.looking import Looking
from tests.fuzz.payloads import BAD_BYTES, FRAGMENTS

NOW = datetime(2026, 11, 23, 10, 15, tzinfo=UTC)
LIST, ONE = "/v1/fulfillments", "/v1/fulfillments/{order_id}"
CALLS = [(LIST, "GET"), (ONE, "GET"), (ONE, "PATCH")]


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(SandboxSettings(orders=60, now=NOW)) as running:
        for order in running.store.all():
            if order["status"] == "refunded":  # to complete one is refused, which no document can say
                running.store.remove(order["id"])
        running.store.log.enabled = False
        yield running


@pytest.fixture
def session() -> Iterator[requests.Session]:
    with requests.Session() as opened:
        yield opened


def operation(sandbox: Sandbox, path: str, method: str) -> APIOperation[Any, Any, Any, Any]:
    document = schemathesis.openapi.from_url(f"{sandbox.url}/openapi.json")
    return document[path][method]


@pytest.mark.parametrize(
    ("path", "method", "mode"),
    [
        *((path, method, GenerationMode.POSITIVE) for path, method in CALLS),
        (LIST, "GET", GenerationMode.NEGATIVE),
        (ONE, "PATCH", GenerationMode.NEGATIVE),
    ],
)
def test_every_answer_is_as_documented(
    sandbox: Sandbox,
    session: requests.Session,
    looking: Looking,
    path: str,
    method: str,
    mode: GenerationMode,
) -> None:
    order_id = sandbox.store.keys()[0]

    def check(case: Case[Any]) -> None:
        # A case before may have refunded it, and to complete it then is refused: no document can say so.
        sandbox.store.update(order_id, status="paid")
        case.call_and_validate(session=session, headers=sandbox.headers)

    call = operation(sandbox, path, method)
    known = {"order_id": order_id} if path == ONE else None
    cases = call.as_strategy(
        mode, query={"project": sandbox.project}, path_parameters=known, headers=sandbox.headers
    )
    looking.run(cases, check, short=25)


@pytest.mark.parametrize(("path", "method"), CALLS)
def test_nobody_gets_in_without_token_and_project(
    sandbox: Sandbox, session: requests.Session, looking: Looking, path: str, method: str
) -> None:
    def check(example: tuple[Case[Any], str, str]) -> None:
        case, token, project = example
        before = sandbox.store.all()
        for headers, asked, statuses in (
            ({"Authorization": token}, sandbox.project, {401}),
            ({}, sandbox.project, {401}),
            (sandbox.headers, project, {404} if project else {400}),
        ):
            case.query["project"] = asked
            answer = case.call(session=session, headers=headers)
            assert answer.status_code in statuses
        assert sandbox.store.all() == before

    call = operation(sandbox, path, method)
    tokens = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=80)
    others = tokens.filter(lambda text: text not in {sandbox.token, sandbox.project})
    looking.run(st.tuples(call.as_strategy(), others, st.just("") | others), check, short=10)


def test_a_body_that_is_not_as_documented_changes_nothing(
    sandbox: Sandbox, session: requests.Session, looking: Looking
) -> None:
    order_id = sandbox.store.keys()[0]
    url = f"{sandbox.url}/v1/fulfillments/{order_id}"

    def check(body: bytes) -> None:
        before = sandbox.store.get(order_id)
        answer = session.patch(url, body, params={"project": sandbox.project}, headers=sandbox.headers)
        assert (answer.status_code, answer.json()["code"]) == (400, "bad_request")
        assert sandbox.store.get(order_id) == before

    values = st.sampled_from([*(text.encode() for text in FRAGMENTS if text != "null"), *BAD_BYTES])
    forms = st.sampled_from(
        (
            b"%b",
            b'{"status":%b}',
            b'{"tracking":{"courier":"A","code":"1","extra":%b}}',
            b'{"tracking":{"courier":"A","code":"1","url":null,"extra":%b}}',
            b'{"tracking":{"courier":"A","code":"1"},"note":%b}',
            b'{"status":"paid","tracking":[%b]}',
        )
    )
    looking.run(
        st.builds(lambda form, value: form % value, forms, values).filter(lambda body: body != b"{}"), check
    )
