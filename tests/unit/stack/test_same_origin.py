"""Who is answered: programs, the server's own pages, and a link to them; no page of another address."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest
from prefect.server.api.clients import BaseClient
from pydantic import ValidationError

from deployments.stack.asgi import Message, Receive, Scope, Send, answer_with_text
from deployments.stack.guarded_server import IN_PROCESS
from deployments.stack.same_origin import FOREIGN_PAGE, UNKNOWN_HOST, Policy, SameOrigin
from models.settings import Environment
from models.web_address import authority_of, checked_authorities, name_of

OWN = "127.0.0.1:4200"
PUBLIC = "desk.example.test"
OPEN = Policy(hosts=frozenset({PUBLIC, "desk.example.test:8443"}), closed_to_links="/api")
"""A server without a password."""
LOCKED = Policy(checks_host=False, closed_to_links="/api")
"""A server with a password."""


def scope(
    *headers: tuple[str, str], path: str = "/api/flows/filter", method: str = "POST", kind: str = "http"
) -> Scope:
    raw = [(name.encode(), value.encode("latin-1")) for name, value in headers]
    return {"type": kind, "method": method, "path": path, "headers": raw}


def asked(policy: Policy, host: str, origin: str | None = None, **more: Any) -> object:
    headers = [("host", host), *([("origin", origin)] if origin is not None else [])]
    return policy.refusal(scope(*headers, **more))


@pytest.mark.parametrize("kind", ["http", "websocket"])
@pytest.mark.parametrize(
    "host", [OWN, "127.0.0.1", "127.0.0.9:5200", "localhost:4200", "LOCALHOST:4200", "[::1]:4200", "[::1]"]
)
def test_this_machine_is_answered_under_its_own_names(host: str, kind: str) -> None:
    assert asked(OPEN, host, kind=kind) is None
    assert asked(OPEN, host, f"http://{host}", kind=kind) is None


@pytest.mark.parametrize("host", [PUBLIC, f"{PUBLIC}:443", f"{PUBLIC}:80", f"{PUBLIC}:8443", PUBLIC.upper()])
def test_a_reverse_proxy_is_answered_under_the_names_that_are_allowed(host: str) -> None:
    assert asked(OPEN, host, f"https://{host}") is None
    assert asked(OPEN, OWN, f"https://{host}") is None  # a proxy that does not pass the name on


@pytest.mark.parametrize("kind", ["http", "websocket"])
@pytest.mark.parametrize(
    "host",
    [
        "evil.example.test",
        "evil.example.test:4200",
        f"{PUBLIC}:4200",
        f"x.{PUBLIC}",
        "127.0.0.1.evil.example.test",
        "localhost.evil.example.test",
        "localhost.",
        "evil.localhost",
        "192.0.2.7:4200",
        "0.0.0.0:4200",
        "[::]:4200",
        "127.0.0.1@evil.example.test",
        "evil.example.test#@127.0.0.1",
        "127.0.0.1:4200/",
        "127.0.0.1, evil.example.test",
        "127.0.0.1\\@evil.example.test",
        "",
        " ",
    ],
)
def test_no_other_name_is_answered_without_a_password(host: str, kind: str) -> None:
    assert asked(OPEN, host, kind=kind) == UNKNOWN_HOST


def test_without_a_name_or_with_two_nothing_is_answered() -> None:
    assert OPEN.refusal(scope()) == UNKNOWN_HOST
    assert OPEN.refusal(scope(("host", OWN), ("host", OWN))) == UNKNOWN_HOST


@pytest.mark.parametrize("host", [PUBLIC, "192.0.2.7:4200", "server:4200"])
def test_with_a_password_any_name_is_answered_but_to_its_own_pages_only(host: str) -> None:
    assert asked(LOCKED, host) is None
    assert asked(LOCKED, host, f"http://{host}") is None
    assert asked(LOCKED, host, "http://evil.example.test") == FOREIGN_PAGE


@pytest.mark.parametrize("policy", [OPEN, LOCKED])
@pytest.mark.parametrize("kind", ["http", "websocket"])
@pytest.mark.parametrize(
    "origin",
    [
        "http://evil.example.test",
        "http://127.0.0.1",
        "http://127.0.0.1:3000",
        "http://localhost:4200",
        "https://127.0.0.1:4200.evil.example.test",
        "http://127.0.0.1:4200@evil.example.test",
        "chrome-extension://127.0.0.1:4200",
        "file://",
        "127.0.0.1:4200",
        "null",
        "",
        "*",
    ],
)
def test_no_page_of_another_address_is_answered(origin: str, kind: str, policy: Policy) -> None:
    assert asked(policy, OWN, origin, kind=kind) == FOREIGN_PAGE


def test_each_of_several_origins_counts() -> None:
    own, foreign = ("origin", f"http://{OWN}"), ("origin", "http://evil.example.test")
    assert OPEN.refusal(scope(("host", OWN), own)) is None
    assert OPEN.refusal(scope(("host", OWN), own, foreign)) == FOREIGN_PAGE


@pytest.mark.parametrize("policy", [OPEN, LOCKED])
@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "POST", "PATCH", "DELETE"])
@pytest.mark.parametrize("site", ["cross-site", "same-site", "", "same-origin, cross-site", "something new"])
def test_a_browser_that_says_another_site_asks_is_not_answered(
    site: str, method: str, policy: Policy
) -> None:
    assert policy.refusal(scope(("host", OWN), ("sec-fetch-site", site), method=method)) == FOREIGN_PAGE


@pytest.mark.parametrize("site", ["same-origin", "none"])
def test_a_browser_that_says_the_own_site_asks_is_answered(site: str) -> None:
    own = ("origin", f"http://{OWN}")
    assert OPEN.refusal(scope(("host", OWN), ("sec-fetch-site", site), own)) is None
    foreign = ("origin", "http://evil.example.test")
    assert OPEN.refusal(scope(("host", OWN), ("sec-fetch-site", site), foreign)) == FOREIGN_PAGE


def link(path: str, **more: str) -> Scope:
    headers = {"site": "cross-site", "mode": "navigate", "dest": "document"} | more
    method = headers.pop("method", "GET")
    fetched = [(f"sec-fetch-{name}", value) for name, value in headers.items()]
    return scope(("host", OWN), *fetched, path=path, method=method)


@pytest.mark.parametrize("path", ["/", "/v2/", "/v2/runs/flow-run/4711", "/dashboard", "/apidocs"])
def test_a_link_from_elsewhere_opens_a_page(path: str) -> None:
    assert OPEN.refusal(link(path)) is None
    assert OPEN.refusal(link(path, site="same-site")) is None


@pytest.mark.parametrize("path", ["/api", "/api/", "/api/csrf-token", "/api/deployments/filter"])
def test_no_link_opens_the_api(path: str) -> None:
    assert OPEN.refusal(link(path)) == FOREIGN_PAGE


@pytest.mark.parametrize(
    "changed",
    [
        {"method": "POST"},
        {"dest": "iframe"},
        {"dest": "embed"},
        {"dest": "image"},
        {"mode": "no-cors"},
        {"mode": "websocket"},
    ],
)
def test_what_is_no_link_opens_no_page(changed: dict[str, str]) -> None:
    assert OPEN.refusal(link("/v2/", **changed)) == FOREIGN_PAGE


def test_unless_it_is_said_otherwise_no_link_opens_anything() -> None:
    assert [Policy().refusal(link(path)) for path in ("/", "/metrics")] == [FOREIGN_PAGE] * 2


def answer_of(asked_for: Scope) -> list[Message]:
    sent: list[Message] = []

    async def application(_scope: Scope, _receive: Receive, send: Send) -> None:
        if asked_for["type"] == "http":
            await send({"type": "http.response.start", "status": 200, "headers": [(b"a", b"b")]})
            await send({"type": "http.response.body", "body": b"secret"})
        else:
            await send({"type": "secret"})

    async def receive() -> Message:
        raise AssertionError("nothing is read of what is refused")

    async def send(message: Message) -> None:
        sent.append(message)

    asyncio.run(SameOrigin(application, OPEN)(asked_for, receive, send))
    return sent


def test_what_is_refused_does_not_reach_the_application() -> None:
    foreign = [("host", OWN), ("origin", "http://evil.example.test")]
    start, body = answer_of(scope(*foreign))
    assert start["status"] == 403
    assert b"DESK_ALLOWED_HOSTS" in body["body"]
    assert answer_of(scope(("host", "evil.example.test")))[0]["status"] == 421
    assert answer_of(scope(*foreign, kind="websocket")) == [{"type": "websocket.close", "code": 1008}]


def test_the_rest_is_the_applications_own_and_no_page_may_frame_it() -> None:
    start, body = answer_of(scope(("host", OWN)))
    assert body["body"] == b"secret"
    assert start["headers"] == [
        (b"a", b"b"),
        (b"x-frame-options", b"DENY"),
        (b"content-security-policy", b"frame-ancestors 'none'; connect-src 'self'"),
    ]
    assert answer_of(scope(("host", OWN), kind="websocket")) == [{"type": "secret"}]
    assert answer_of({"type": "lifespan"}) == [{"type": "secret"}]


@pytest.mark.parametrize(
    ("text", "authority", "name"),
    [
        ("Desk.Example.test", "desk.example.test", "desk.example.test"),
        ("desk.example.test:443", "desk.example.test", "desk.example.test"),
        ("desk.example.test:8443", "desk.example.test:8443", "desk.example.test"),
        ("[2001:DB8::1]", "[2001:db8::1]", "2001:db8::1"),
        ("[2001:db8::1]:8443", "[2001:db8::1]:8443", "2001:db8::1"),
    ],
)
def test_a_host_is_written_in_one_way(text: str, authority: str, name: str) -> None:
    assert authority_of(text) == authority
    assert name_of(authority) == name


def test_the_allowed_hosts_are_a_list_with_commas() -> None:
    assert checked_authorities("") == checked_authorities(" , ") == frozenset()
    found = Environment(desk_allowed_hosts="Desk.example.test:443, [2001:db8::1]:8443").allowed_hosts()
    assert found == {"desk.example.test", "[2001:db8::1]:8443"}


@pytest.mark.parametrize(
    "text", ["https://desk.example.test", "*", "*.example.test", "a b", "a/b", "2001:db8::1"]
)
def test_what_is_no_host_is_refused_and_named(text: str) -> None:
    with pytest.raises(ValidationError, match="is not a host such as") as refused:
        Environment(desk_allowed_hosts=f"desk.example.test, {text}")
    assert repr(text) in str(refused.value)


# --- The server's own process -------------------------------------------------------------------------------

SERVICES = Policy(in_process=frozenset({"prefect-in-memory"}))


def test_the_process_of_the_server_itself_is_answered() -> None:
    """As Prefect's automations ask when they start a run."""

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        assert scope["server"] == ("prefect-in-memory", None)
        await answer_with_text(send, 200, "")

    async def asked_by_itself() -> int:
        transport = httpx.ASGITransport(app=SameOrigin(application, SERVICES))
        async with httpx.AsyncClient(transport=transport) as client:
            return (await client.post("http://prefect-in-memory/api")).status_code

    assert asyncio.run(asked_by_itself()) == 200


@pytest.mark.parametrize("server", [("127.0.0.1", 4200), ("/run/desk.sock", None), None])
def test_a_connection_does_not_become_the_process_by_its_host_header(
    server: tuple[str, int | None] | None,
) -> None:
    asked_for: Scope = {**scope(("host", "prefect-in-memory")), "server": server}
    assert SERVICES.refusal(asked_for) == UNKNOWN_HOST


def test_the_names_are_those_that_prefect_uses() -> None:
    assert BaseClient()._http_client.base_url.host in IN_PROCESS
