"""What keeps the pages to this machine's people: every route, every guard."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator

import pytest
from sqlalchemy import Engine

from deployments.web.app import READS, WRITES, create_app
from deployments.web.guards import HEADERS, MAX_BODY_BYTES
from deployments.web.server import OpenPagesError, refuse_other_machines
from deployments.web.site import Site
from tasks.desk.browse import find_order
from tests.support.builders import insert_order
from tests.support.pages import PageClient

FOREIGN = (
    {"Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "same-site"},
    {"Sec-Fetch-Site": "cross-site", "Origin": "http://127.0.0.1:4280"},
)
OLD_BROWSERS = ("http://evil.example.test", "http://127.0.0.1:4281", "null", "file://127.0.0.1:4280")


def path_of(route: str) -> str:
    return route.replace("{order_id:int}", "1")


@pytest.mark.parametrize("route", WRITES)
def test_what_another_page_sends_is_refused(client: PageClient, desk: Engine, route: str) -> None:
    insert_order(desk)
    before = find_order(desk, "desk:1")
    form = {"order": "1", "to": "Closed", "reason": "x", "courier": "DPD", "code": "15501234567890"}
    for headers in FOREIGN:
        assert client.post(path_of(route), data=form, headers=headers).status_code == 403
    bare = PageClient(client.app, {})
    for origin in OLD_BROWSERS:
        assert bare.post(path_of(route), data=form, headers={"Origin": origin}).status_code == 403
    assert find_order(desk, "desk:1") == before


@pytest.mark.parametrize("route", sorted(set(WRITES) - set(READS)))
def test_nothing_is_written_by_looking(client: PageClient, desk: Engine, route: str) -> None:
    insert_order(desk)
    assert client.get(path_of(route)).status_code == 405


@pytest.mark.parametrize("route", sorted({*READS, *WRITES, "/static/desk.css"}))
def test_only_under_its_own_name(client: PageClient, route: str) -> None:
    for host in ("evil.example.test", "127.0.0.1.evil.example.test", "10.0.0.1:4280", "", "a b"):
        assert client.get(path_of(route), headers={"Host": host}).status_code == 421
        assert client.post(path_of(route), headers={"Host": host}).status_code == 421


@pytest.mark.parametrize("host", ["127.0.0.1:4280", "localhost:4280", "[::1]:4280", "desk.example.test"])
def test_its_own_names_are_answered(client: PageClient, host: str) -> None:
    assert client.get("/", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize("path", ["/", "/orders", "/scan", "/shipments", "/nowhere", "/static/desk.css"])
def test_every_answer_keeps_to_itself(client: PageClient, path: str) -> None:
    answer = client.get(path)
    assert {name: answer.headers[name] for name in HEADERS} == HEADERS
    assert "script" not in answer.text.lower().replace("<script", "script")


def test_a_form_of_old_browsers_passes(client: PageClient, desk: Engine) -> None:
    insert_order(desk)
    bare = PageClient(client.app, {})
    form = {"order": "1", "to": "Closed"}
    answer = bare.post("/orders/move", data=form, headers={"Origin": "http://127.0.0.1:4280"})
    assert answer.status_code == 200
    assert find_order(desk, "desk:1").order["folder"] == "Closed"


def test_no_more_is_read_than_a_form_needs(client: PageClient) -> None:
    big = {"code": "x" * MAX_BODY_BYTES}
    assert client.post("/scan", data=big).status_code == 413

    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(20):
            yield b"x" * 100_000

    typed = {"Content-Type": "application/x-www-form-urlencoded"}
    assert client.post("/scan", content=pieces(), headers=typed).status_code == 413
    assert client.post("/scan", headers={"Content-Length": "-1"}).status_code == 413


def test_a_file_is_refused(client: PageClient) -> None:
    assert client.post("/scan", files={"code": ("a.txt", b"x")}).status_code == 400


def test_the_password_of_the_prefect_server_is_asked_for(site: Site) -> None:
    client = PageClient(create_app(site, password="desk:pässword"))
    asked = client.get("/")
    assert (asked.status_code, asked.headers["WWW-Authenticate"][:5]) == (401, "Basic")
    for word, status in (("desk:pässword", 200), ("desk:other", 401), ("", 401)):
        code = base64.b64encode(word.encode()).decode()
        assert client.get("/", headers={"Authorization": f"Basic {code}"}).status_code == status
    assert client.get("/", headers={"Authorization": "Basic %%%"}).status_code == 401


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.5", "desk.example.test", ""])
def test_other_machines_are_refused_with_the_reason(host: str) -> None:
    with pytest.raises(OpenPagesError, match=r"the pages know no people yet.*127\.0\.0\.1"):
        refuse_other_machines(host)
