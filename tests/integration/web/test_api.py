"""The HTTP API: who may ask, what is answered, and that the same request twice is done once."""

from __future__ import annotations

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from sqlalchemy import Engine, func, select, text

from deployments.web.api import endpoints
from deployments.web.api.app import MAX_BODY_BYTES
from deployments.web.api.endpoints import ENDPOINTS, PREFIX
from deployments.web.app import create_app
from deployments.web.site import Site
from models.tables.people import Scope
from tasks.desk.browse import export_orders, find_order
from tasks.desk.engine import reading, writing
from tasks.desk.errors import RetriableDeskError
from tasks.desk.tables import HISTORY, SHIPMENT_REQUESTS, SHIPMENTS
from tasks.people.tokens_store import add_token, list_tokens, revoke_token
from tests.support.builders import insert_order
from tests.support.pages import PageClient

NOW = datetime(2026, 11, 27, 12, 0, tzinfo=UTC)
PARCEL = {"order": "A-1001", "courier": "Royal Mail", "code": "AB123456789GB"}


class Api:
    """A program that has a token."""

    def __init__(self, app: Any, token: str) -> None:
        self.token = token
        self._client = PageClient(app, {"Authorization": f"Bearer {token}"})

    def get(self, path: str, **options: Any) -> httpx.Response:
        return self._client.get(PREFIX + path, **options)

    def post(self, path: str, body: object, key: str | None = None, **options: Any) -> httpx.Response:
        headers = {"Idempotency-Key": key} if key else {}
        return self._client.post(PREFIX + path, json=body, headers=headers, **options)


@pytest.fixture
def api(client: PageClient, desk: Engine) -> Api:
    """A program that may write."""
    return Api(client.app, add_token(desk, "warehouse", Scope.WRITE, now=NOW))


def count(desk: Engine, table: Any) -> int:
    with reading(desk) as connection:
        found: int = connection.execute(select(func.count()).select_from(table)).scalar_one()
    return found


def path_of(path: str) -> str:
    return PREFIX + path.replace("{order:path}", "1").replace("{shipment}", "1")


@pytest.mark.parametrize("endpoint", ENDPOINTS, ids=lambda endpoint: f"{endpoint.method} {endpoint.path}")
def test_nobody_gets_in_without_a_token(client: PageClient, desk: Engine, endpoint: Any) -> None:
    insert_order(desk, order_number="A-1001")
    revoked = add_token(desk, "old", Scope.WRITE, now=NOW)
    revoke_token(desk, "old", now=NOW)
    ask = client.get if endpoint.method == "GET" else client.post
    for given in ("", "Bearer", "Bearer x", f"Bearer {revoked}", f"Basic {revoked}", revoked):
        answer = ask(path_of(endpoint.path), headers={"Authorization": given} if given else {})
        assert (answer.status_code, answer.headers["WWW-Authenticate"][:6]) == (401, "Bearer")
        assert "token" in answer.json()["error"]
    assert "set-cookie" not in answer.headers


def test_what_is_there_is_told_to_nobody_without_a_token(client: PageClient) -> None:
    for path in (f"{PREFIX}/openapi.json", f"{PREFIX}/nowhere", "/api", "/api/v2/orders"):
        assert client.get(path).status_code == 401


@pytest.mark.parametrize("endpoint", ENDPOINTS, ids=lambda endpoint: f"{endpoint.method} {endpoint.path}")
def test_a_token_to_read_changes_nothing(client: PageClient, desk: Engine, endpoint: Any) -> None:
    insert_order(desk, order_number="A-1001")
    api = Api(client.app, add_token(desk, "screen", Scope.READ, now=NOW))
    if endpoint.scope is Scope.READ:
        assert api.get(endpoint.path.replace("{order:path}", "1")).status_code in {200, 404}
        return
    before = find_order(desk, "desk:1")
    answer = api.post(endpoint.path, PARCEL, "k")
    assert (answer.status_code, "screen may only read" in answer.json()["error"]) == (403, True)
    assert (find_order(desk, "desk:1"), count(desk, SHIPMENTS)) == (before, 0)


def test_the_password_of_the_pages_is_not_asked_for_here(site: Site, desk: Engine) -> None:
    app = create_app(site, password="desk:other")
    token = add_token(desk, "a", Scope.READ, now=NOW)
    assert Api(app, token).get("/folders").status_code == 200
    assert PageClient(app).get("/", headers={"Authorization": f"Bearer {token}"}).status_code == 401


def test_only_under_its_own_name(api: Api) -> None:
    assert api.get("/folders", headers={"Host": "evil.example.test"}).status_code == 421


def test_its_use_is_seen(api: Api, desk: Engine) -> None:
    api.get("/folders")
    assert list_tokens(desk)[0].last_used_at is not None


def test_orders_are_as_the_commands_print_them(api: Api, desk: Engine) -> None:
    insert_order(desk, order_number="0042", fulfiller_reference="F/1 ü")
    listed = api.get("/orders").json()
    assert listed == {"orders": list(export_orders(desk)), "next": None}
    shown = find_order(desk, "desk:1").as_dict()
    for reference in ("0042", "desk:1", "1", "F%2F1%20%C3%BC", shown["source_id"]):
        assert api.get(f"/orders/{reference}").json() == shown
    assert isinstance(shown["order_number"], str)


def test_the_filters_are_those_of_the_command(api: Api, desk: Engine) -> None:
    insert_order(desk, order_number="A-1", ship_country="GB")
    insert_order(desk, order_number="A-2", folder="Closed", podos_status="complete")
    numbers = {
        query: [order["order_number"] for order in api.get(f"/orders?{query}").json()["orders"]]
        for query in (
            *("folder=closed", "country=United+Kingdom", "status=PAID", "search=a-2", "changed=true"),
            *("since=2026-11-20", "since=2026-11-21", "changed=false"),
        )
    }
    assert numbers == {
        **{"folder=closed": ["A-2"], "country=United+Kingdom": ["A-1"], "status=PAID": ["A-1"]},
        **{"search=a-2": ["A-2"], "changed=true": [], "changed=false": ["A-2", "A-1"]},
        **{"since=2026-11-20": ["A-2", "A-1"], "since=2026-11-21": []},
    }


def test_pages_hold_each_order_once_while_others_come(api: Api, desk: Engine) -> None:
    for number in range(5):
        insert_order(desk, order_number=f"A-{number}")
    seen, page = [], ""
    for _ in range(10):
        answer = api.get(f"/orders?limit=2{page}").json()
        seen += [order["order_number"] for order in answer["orders"]]
        insert_order(desk, order_number="later")
        if answer["next"] is None:
            break
        page = f"&page={answer['next']}"
    assert seen == ["A-4", "A-3", "A-2", "A-1", "A-0"]


def test_a_page_of_another_list_is_refused(api: Api, desk: Engine) -> None:
    for _ in range(3):
        insert_order(desk)
    page = api.get("/orders?limit=1").json()["next"]
    for query in (
        f"folder=New&page={page}",
        "page=2",
        "page=x.y",
        f"page=9{'9' * 30}.{page.partition('.')[2]}",
    ):
        answer = api.get(f"/orders?{query}")
        assert (answer.status_code, answer.json()["field"]) == (422, "page")


@pytest.mark.parametrize(
    ("query", "field"),
    [
        *(("folder=Nowhere", "folder"), ("folder=", "folder"), ("limit=0", "limit"), ("limit=201", "limit")),
        *(("limit=1.0", "limit"), ("since=yesterday", "since"), ("since=2026-02-30", "since")),
        *(("changed=yes", "changed"), ("search=%00", "search"), ("status=a%0Ab", "status"), ("x=1", "x")),
        *(("limit=1&limit=2", "limit"), (f"search={'a' * 201}", "search")),
    ],
)
def test_a_wrong_query_names_its_field(api: Api, query: str, field: str) -> None:
    answer = api.get(f"/orders?{query}")
    assert (answer.status_code, answer.json()["field"]) == (422, field)


def test_an_unknown_order_and_one_of_several(api: Api, desk: Engine) -> None:
    insert_order(desk, order_number="A-1")
    insert_order(desk, order_number="A-1")
    unknown, several = api.get("/orders/B-1"), api.get("/orders/A-1")
    assert (unknown.status_code, unknown.json()["error"]) == (404, "the desk has no order 'B-1'")
    assert several.status_code == 409
    assert "write desk:1 or desk:2 to say which" in several.json()["error"]


def test_a_move_is_in_the_history_with_the_tokens_name(api: Api, desk: Engine) -> None:
    insert_order(desk, order_number="A-1001")
    insert_order(desk, order_number="A-1002")
    answer = api.post("/orders/move", {"orders": ["A-1001", "A-1002"], "to": "closed"})
    assert answer.json() == {"moved": 2}
    detail = find_order(desk, "A-1001")
    assert detail.order["folder"] == "Closed"
    assert detail.history[-1].text == "moved from New to Closed (API token warehouse)"
    assert api.post("/orders/move", {"orders": ["A-1001", "A-1002"], "to": "closed"}).json() == {"moved": 0}


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"orders": ["A-1001", "B-1"], "to": "Closed"}, "orders"),
        ({"orders": ["A-1001"], "to": "Nowhere"}, "to"),
        ({"orders": [1], "to": "Closed"}, "orders.0"),
        ({"orders": "A-1001", "to": "Closed"}, "orders"),
        ({"orders": [], "to": "Closed"}, "orders"),
        ({"orders": ["A-1001"]}, "to"),
        ({"orders": ["A-1001"], "to": "Closed", "force": True}, "force"),
    ],
)
def test_a_wrong_move_moves_nothing_and_names_its_field(
    api: Api, desk: Engine, body: dict[str, Any], field: str
) -> None:
    insert_order(desk, order_number="A-1001")
    answer = api.post("/orders/move", body)
    assert (answer.status_code, answer.json()["field"]) == (422, field)
    assert find_order(desk, "A-1001").order["folder"] == "New"


def test_printed_is_noted_once_with_the_tokens_name(api: Api, desk: Engine) -> None:
    insert_order(desk, order_number="A-1001")
    insert_order(desk, order_number="A-1002", podos_status="refunded")
    refused = api.post("/orders/printed", {"orders": ["A-1001", "A-1002"]})
    assert (refused.status_code, refused.json()["field"]) == (422, "orders")
    assert api.post("/orders/printed", {"orders": ["A-1001"]}).json() == {"printed": 1}
    assert api.post("/orders/printed", {"orders": ["A-1001"]}).json() == {"printed": 0}
    assert find_order(desk, "A-1001").history[-1].text == "noted (API token warehouse)"


def test_folders(api: Api, desk: Engine) -> None:
    insert_order(desk)
    assert api.get("/folders").json()["folders"][0] == {"name": "New", "orders": 1}


def test_a_shipment_is_added_once_with_the_same_answer(api: Api, desk: Engine) -> None:
    insert_order(desk, order_number="A-1001")
    first = api.post("/shipments", PARCEL, "parcel-1")
    assert (first.status_code, first.json()["added"], first.json()["order"]) == (201, True, "A-1001")
    with writing(desk) as connection:  # meanwhile the sync has sent it
        connection.execute(text("UPDATE shipments SET state = 'sent', attempts = 1"))
    again = api.post("/shipments", dict(reversed(PARCEL.items())), "parcel-1")
    assert (again.status_code, again.content) == (201, first.content)
    assert count(desk, SHIPMENTS) == count(desk, SHIPMENT_REQUESTS) == 1
    history = [entry.text for entry in find_order(desk, "A-1001").history]
    assert history.count("shipment 1 by Royal Mail waits for podOS (API token warehouse)") == 1
    assert api.get("/shipments/1").json()["state"] == "sent"


def test_another_key_says_that_the_desk_has_it(api: Api, desk: Engine) -> None:
    insert_order(desk, order_number="A-1001")
    api.post("/shipments", PARCEL, "a")
    answer = api.post("/shipments", PARCEL, "b")
    assert (answer.status_code, answer.json()["added"], answer.json()["id"]) == (201, False, 1)


def test_a_key_of_another_request_is_refused(api: Api, desk: Engine) -> None:
    insert_order(desk, order_number="A-1001")
    api.post("/shipments", PARCEL, "a")
    answer = api.post("/shipments", PARCEL | {"code": "CD123456789GB"}, "a")
    assert (answer.status_code, "used for another request" in answer.json()["error"]) == (409, True)
    assert count(desk, SHIPMENTS) == 1


def test_each_token_has_keys_of_its_own(api: Api, client: PageClient, desk: Engine) -> None:
    insert_order(desk, order_number="A-1001")
    other = Api(client.app, add_token(desk, "other", Scope.WRITE, now=NOW))
    assert api.post("/shipments", PARCEL, "a").json()["added"]
    assert other.post("/shipments", PARCEL | {"code": "CD123456789GB"}, "a").json()["added"]


def test_a_refused_request_uses_up_no_key(api: Api, desk: Engine) -> None:
    assert api.post("/shipments", PARCEL, "a").json()["field"] == "order"
    insert_order(desk, order_number="A-1001")
    assert api.post("/shipments", PARCEL, "a").json()["added"] is True


def test_after_a_crash_both_are_there_or_neither(
    api: Api, desk: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The process dies between the shipment and the key, then between the commit and the answer."""
    insert_order(desk, order_number="A-1001")

    def die(*_: object, **__: object) -> None:
        raise RetriableDeskError("the desk's database did not answer")

    with monkeypatch.context() as patch:
        patch.setattr("tasks.tracking.intake.finish", die)
        answer = api.post("/shipments", PARCEL, "a")
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")
    assert count(desk, SHIPMENTS) == count(desk, SHIPMENT_REQUESTS) == 0
    with monkeypatch.context() as patch:
        patch.setattr(endpoints, "tell_shipments", die)
        assert api.post("/shipments", PARCEL, "a").status_code == 503
    assert count(desk, SHIPMENTS) == 1
    assert api.post("/shipments", PARCEL, "a").json()["added"] is True
    assert count(desk, SHIPMENTS) == 1


def test_two_at_once_get_one_answer(api: Api, desk: Engine) -> None:
    insert_order(desk, order_number="A-1001")

    def ask(_: int) -> httpx.Response:
        return api.post("/shipments", PARCEL, "a")

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(ask, range(8)))
    assert {(answer.status_code, answer.content) for answer in answers} == {(201, answers[0].content)}
    assert answers[0].json()["added"] is True
    assert count(desk, SHIPMENTS) == 1


def test_old_keys_go(api: Api, desk: Engine) -> None:
    insert_order(desk, order_number="A-1001")
    api.post("/shipments", PARCEL, "a")
    with writing(desk) as connection:
        old = {"created_at": datetime.now(UTC) - timedelta(days=8)}
        connection.execute(SHIPMENT_REQUESTS.update().values(old))
    assert api.post("/shipments", PARCEL, "b").json()["added"] is False
    assert count(desk, SHIPMENT_REQUESTS) == 1


@pytest.mark.parametrize(
    ("change", "field"),
    [
        *(({"order": "B-1"}, "order"), ({"order": 1001}, "order"), ({"order": "A\n1"}, "order")),
        *(({"courier": ""}, "courier"), ({"courier": "n/a"}, "courier"), ({"courier": None}, "courier")),
        *(({"code": "1.23E+12"}, "code"), ({"code": 123456789}, "code"), ({"code": "\u0000"}, "code")),
        *(({"url": "javascript:alert(1)"}, "url"), ({"shipped_at": "yesterday"}, "shipped_at")),
        *(({"force": "yes"}, "force"), ({"x": 1}, "x")),
    ],
)
def test_a_wrong_shipment_adds_nothing_and_names_its_field(
    api: Api, desk: Engine, change: dict[str, Any], field: str
) -> None:
    insert_order(desk, order_number="A-1001")
    answer = api.post("/shipments", PARCEL | change, "a")
    assert (answer.status_code, answer.json()["field"]) == (422, field)
    assert answer.json()["error"].startswith(f"{field}: ")
    assert count(desk, SHIPMENTS) == count(desk, SHIPMENT_REQUESTS) == 0


def test_the_key_is_needed(api: Api, desk: Engine) -> None:
    insert_order(desk, order_number="A-1001")
    for key in (None, " ", "x" * 201):
        answer = api.post("/shipments", PARCEL, key)
        assert (answer.status_code, answer.json()["field"]) == (422, "Idempotency-Key")
    assert count(desk, SHIPMENTS) == 0


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b"null", b'"a"', b"\xff", b'{"order": NaN}', b"[" * 9999]
)
def test_what_is_no_json_object_is_refused(api: Api, content: bytes) -> None:
    headers = {"Content-Type": "application/json", "Idempotency-Key": "a"}
    answer = api._client.post(f"{PREFIX}/shipments", content=content, headers=headers)
    assert answer.status_code == 422


def test_a_form_and_too_much_are_refused(api: Api) -> None:
    post: Callable[..., httpx.Response] = api._client.post
    headers = {"Idempotency-Key": "a"}
    form = post(f"{PREFIX}/shipments", data=PARCEL, headers=headers)
    assert (form.status_code, form.json()["field"]) == (415, "Content-Type")
    big = json.dumps(PARCEL | {"url": "x" * MAX_BODY_BYTES}).encode()
    headers |= {"Content-Type": "application/json"}
    assert post(f"{PREFIX}/shipments", content=big, headers=headers).status_code == 413


def test_an_unknown_address_and_method_are_told_in_json(api: Api) -> None:
    assert "openapi.json" in api.get("/nowhere").json()["error"]
    answer = api.post("/folders", {})
    assert (answer.status_code, "GET" in answer.headers["Allow"], answer.json()["field"]) == (405, True, None)
    assert api.get("/shipments/9").status_code == api.get("/shipments/x").status_code == 404


def test_an_unexpected_error_quotes_nothing(
    api: Api, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: object) -> None:
        raise ValueError("Ada Lovelace")

    monkeypatch.setattr("tasks.desk.browse.known_folder_id", fail)
    answer = api.get("/orders?folder=New")
    assert (answer.status_code, "unexpected ValueError" in answer.json()["error"]) == (500, True)
    assert "Ada" not in answer.text + caplog.text


def test_a_history_of_the_desk_names_no_secret(api: Api, desk: Engine) -> None:
    insert_order(desk, order_number="A-1001")
    api.post("/shipments", PARCEL, "a")
    with reading(desk) as connection:
        texts = " ".join(connection.execute(select(HISTORY.c.text)).scalars())
    assert api.token not in texts
    assert PARCEL["code"] not in texts
