"""Whom the token and the orders are sent to, and how much of an answer is read: against real servers."""

from __future__ import annotations

import asyncio
import gzip
import ssl
import tracemalloc
import zlib
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest
import stamina
import trustme
from pydantic import SecretStr, ValidationError
from sqlalchemy import Engine

from models.blocks import Integration
from models.fulfillers import OrderDeskFulfiller, WebhookFulfiller
from tasks.fulfilment.channels.interface import FulfillerError, RefusedError
from tasks.fulfilment.channels.orderdesk import OrderDesk
from tasks.fulfilment.channels.webhook import Webhook
from tasks.podos import client as client_module
from tasks.podos.client import ListQuery, PodosAccess, PodosClient
from tasks.podos.errors import FatalPodosError, RetriablePodosError, WrongAnswerError
from tasks.podos.parsing import ParsedPage
from tests.support.sending import SECRET, queue, send, states
from tests.support.strange_server import StrangeServer, answer

TOKEN = "secret-token-4711"
EMPTY = b'{"fulfillments":[],"nextPageToken":null}'
PACKED = {"Content-Encoding": "gzip"}


@pytest.fixture(autouse=True)
def no_waiting() -> Iterator[None]:
    """Retries follow at once."""
    with stamina.set_testing(True, attempts=6, cap=True):
        yield


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    """A private certificate authority."""
    return trustme.CA()


@pytest.fixture(scope="module")
def tls(authority: trustme.CA) -> ssl.SSLContext:
    """A server's certificate of it."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    return context


def page_of(url: str, **options: Any) -> ParsedPage:
    async def asked() -> ParsedPage:
        async with PodosClient(PodosAccess(url, "acme", TOKEN), **options) as client:
            return await client.list_page(ListQuery())

    return asyncio.run(asked())


@pytest.mark.parametrize("address", ["http://shop.example.test/x", "http://10.0.0.7", "ftp://127.0.0.1"])
def test_every_address_must_be_https(address: str) -> None:
    for wrong in (
        lambda: Integration(project="acme", api_token=SecretStr(TOKEN), base_url=address),
        lambda: WebhookFulfiller(address=address, secret=SecretStr(SECRET)),
        lambda: OrderDeskFulfiller(store_id="7", api_key=SecretStr("key"), address=address),
    ):
        with pytest.raises(ValidationError, match="https://"):
            wrong()


# --- Certificates -------------------------------------------------------------------------------------------


def test_an_unknown_authority_is_refused_at_once_with_the_reason(tls: ssl.SSLContext) -> None:
    with StrangeServer(answer(EMPTY), tls) as server, pytest.raises(FatalPodosError) as caught:
        page_of(server.url)
    assert server.requests == []
    assert "its certificate is not trusted (unable to get local issuer certificate)" in str(caught.value)
    assert "SSL_CERT_FILE" in str(caught.value)
    assert TOKEN not in str(caught.value)


def test_a_certificate_of_another_host_is_refused(
    authority: trustme.CA, monkeypatch: Any, tmp_path: Path
) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("podos.example.test").configure_cert(context)
    trust(authority, monkeypatch, tmp_path)
    with (
        StrangeServer(answer(EMPTY), context) as server,
        pytest.raises(FatalPodosError, match="IP address mismatch"),
    ):
        page_of(server.url)
    assert server.requests == []


def trust(authority: trustme.CA, monkeypatch: pytest.MonkeyPatch, place: Path) -> None:
    authority.cert_pem.write_to_path(str(place / "authority.pem"))
    monkeypatch.setenv("SSL_CERT_FILE", str(place / "authority.pem"))


def test_a_private_authority_can_be_given(
    authority: trustme.CA, tls: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    trust(authority, monkeypatch, tmp_path)
    with StrangeServer(answer(EMPTY), tls) as server:
        assert page_of(server.url).rows == []


@pytest.mark.parametrize("content", [None, "no certificate"])
def test_a_file_of_certificates_that_can_not_be_read_is_named(
    content: str | None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    if content:
        (tmp_path / "authority.pem").write_text(content)
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "authority.pem"))
    with pytest.raises(FatalPodosError, match="SSL_CERT_FILE"):
        page_of("https://podos.example.test")
    with pytest.raises(FulfillerError, match="SSL_CERT_FILE"):
        Webhook("https://printer.example.test", SECRET)


def ways(url: str) -> dict[str, Any]:
    return {
        "webhook": lambda: Webhook(url, SECRET),
        "orderdesk": lambda: OrderDesk(url, "77", "key", folder_name="New"),
    }


@pytest.mark.parametrize("channel", ["webhook", "orderdesk"])
@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_orders_go_to_no_fulfiller_that_is_not_trusted(
    desk: Engine, channel: str, authority: trustme.CA, tls: ssl.SSLContext,
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path,
) -> None:  # fmt: skip
    queue(desk, 1)
    with StrangeServer(answer(b"{}", 500), tls) as server:
        with pytest.raises(FulfillerError, match="its certificate is not trusted"):
            send(desk, ways(server.url)[channel])
        assert (server.requests, states(desk)) == ([], [("waiting", None, 0)])
        trust(authority, monkeypatch, tmp_path)
        send(desk, ways(server.url)[channel])
        assert server.requests


# --- Redirects and proxies ----------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_to_another_host_is_not_followed(status: int) -> None:
    with StrangeServer(answer(EMPTY)) as other:
        elsewhere = other.url.replace("127.0.0.1", "localhost")
        with (
            StrangeServer(answer(b"", status, {"Location": f"{elsewhere}/v1/fulfillments"})) as server,
            pytest.raises(FatalPodosError, match="another address, which is not followed"),
        ):
            page_of(server.url)
    assert len(server.requests) == 1
    assert other.requests == []


@pytest.mark.parametrize("channel", ["webhook", "orderdesk"])
@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_no_fulfiller_sends_orders_elsewhere(desk: Engine, channel: str) -> None:
    queue(desk, 1)
    with (
        StrangeServer(answer(b"{}")) as other,
        StrangeServer(answer(b"", 307, {"Location": other.url})) as server,
    ):
        send(desk, ways(server.url)[channel])
    assert server.requests
    assert other.requests == []
    assert "has moved (HTTP 307); redirects are not followed" in str(states(desk)[0][1])


def test_plain_http_on_this_machine_never_goes_through_a_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    with StrangeServer(answer(EMPTY)) as proxy, StrangeServer(answer(EMPTY)) as server:
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
            monkeypatch.setenv(name, proxy.url)
        page_of(server.url)
    assert proxy.requests == []
    assert len(server.requests) == 1


PROXY_VARIABLES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")


def through(proxy: StrangeServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Name a proxy in the environment, for everything."""
    for name in PROXY_VARIABLES:
        monkeypatch.setenv(name, proxy.url)
        monkeypatch.setenv(name.lower(), proxy.url)
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize("is_https", [False, True])
@pytest.mark.parametrize("channel", ["webhook", "orderdesk"])
@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_orders_go_to_fulfillers_past_every_proxy_of_the_environment(
    desk: Engine, channel: str, is_https: bool, authority: trustme.CA, tls: ssl.SSLContext,
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path,
) -> None:  # fmt: skip
    queue(desk, 1)
    trust(authority, monkeypatch, tmp_path)
    with (
        StrangeServer(answer(b"{}", 401)) as proxy,
        StrangeServer(answer(b"{}", 401), tls if is_https else None) as server,
    ):
        through(proxy, monkeypatch)
        with pytest.raises(RefusedError):
            send(desk, ways(server.url)[channel])
    assert server.requests
    assert proxy.requests == []


def test_podos_is_asked_through_the_proxy_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    with StrangeServer(answer(b"", 502)) as proxy:
        through(proxy, monkeypatch)
        with pytest.raises(RetriablePodosError):
            page_of("https://podos.example.test", max_attempts=1)
    (request,) = proxy.requests
    assert request[0] == "podos.example.test:443"
    assert TOKEN not in str(request)  # it goes through the tunnel, which is closed to the proxy


# --- Size ---------------------------------------------------------------------------------------------------

LIMIT = client_module.MAX_ANSWER_BYTES


def test_a_bomb_is_refused_while_it_is_unpacked() -> None:
    packing = zlib.compressobj(9, wbits=31)
    blank = b" " * (1 << 20)
    bomb = b"".join(packing.compress(blank) for _ in range(4 * (LIMIT >> 20))) + packing.flush()
    assert len(bomb) < LIMIT / 200
    with StrangeServer(answer(bomb, headers=PACKED)) as server:
        tracemalloc.start()
        with pytest.raises(WrongAnswerError, match="larger than 64 MB and was not read"):
            page_of(server.url)
        _, peak_bytes = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert len(server.requests) == 1
    assert peak_bytes < LIMIT + (16 << 20)


def test_an_answer_without_an_end_is_not_read_to_it() -> None:
    def endless(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.send_header("Connection", "close")
        handler.end_headers()
        while not server.stopped.is_set():
            server.write(handler, b" " * (1 << 20))

    with StrangeServer(endless) as server, pytest.raises(WrongAnswerError, match="larger than 64 MB"):
        page_of(server.url)
    assert server.sent < 2 * LIMIT


def test_an_announced_size_is_refused_unread() -> None:
    def announced(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", str(LIMIT + 1))
        handler.end_headers()
        server.stopped.wait(60)

    with StrangeServer(announced) as server, pytest.raises(WrongAnswerError, match="larger than 64 MB"):
        page_of(server.url)


def test_a_packed_page_is_read_and_asked_for() -> None:
    with StrangeServer(answer(gzip.compress(EMPTY + b" " * 3_000_000), headers=PACKED)) as server:
        assert page_of(server.url).rows == []
    assert server.requests[0][1]["Accept-Encoding"] == "gzip"


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        (b"no gzip at all", PACKED),
        (EMPTY, {"Content-Encoding": "br"}),
        (gzip.compress(EMPTY, mtime=0)[:-12], PACKED),
    ],
)
def test_what_can_not_be_unpacked_is_asked_for_again(body: bytes, headers: dict[str, str]) -> None:
    with StrangeServer(answer(body, headers=headers)) as server, pytest.raises(RetriablePodosError):
        page_of(server.url)
    assert len(server.requests) == 6


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_a_receipt_that_is_too_large_is_not_read_but_counts(desk: Engine) -> None:
    queue(desk, 1)
    receipt = b'{"reference": "P-1"}' + b" " * 70_000
    with StrangeServer(answer(receipt)) as server:
        send(desk, ways(server.url)["webhook"])
    assert len(server.requests) == 1
    assert states(desk) == [("sent", None, 1)]


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_a_store_that_says_too_much_gives_no_clear_answer(desk: Engine) -> None:
    queue(desk, 1)
    with StrangeServer(answer(gzip.compress(b" " * (17 << 20)), headers=PACKED)) as server:
        send(desk, ways(server.url)["orderdesk"])
    state, reason, _ = states(desk)[0]
    assert (state, reason) == ("waiting", "Order Desk's answer is larger than 16 MB and was not read")


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_a_fulfiller_that_drips_is_not_waited_for_for_ever(desk: Engine) -> None:
    def drip(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", "60000")
        handler.end_headers()
        while not server.stopped.wait(0.05):
            server.write(handler, b" ")

    queue(desk, 1)
    with StrangeServer(drip) as server:
        send(desk, lambda: Webhook(server.url, SECRET, timeout_seconds=0.4))
    assert states(desk)[0][:2] == ("waiting", "the fulfiller gave no answer in time")
