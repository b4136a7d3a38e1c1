"""The documented check of a webhook's receiver, run on posts that the desk really sends."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple

import pytest
from sqlalchemy import Engine

from tasks.fulfilment.channels.webhook import Webhook
from tests.support.documentation import code_blocks, page, section
from tests.support.sending import SECRET, queue, send

PREVIOUS = "the secret that was before it"
Check = Callable[[Any, bytes, bytes], bool]


class Post(NamedTuple):
    """What a receiver got."""

    headers: Message
    body: bytes


@pytest.fixture(scope="module")
def is_authentic() -> Check:
    """The function that the page shows."""
    (code,) = code_blocks(section(page("docs/fulfillers.md"), "Webhook"), "python")
    names: dict[str, Any] = {}
    exec(code, names)  # noqa: S102 - our own page
    check: Check = names["is_authentic"]
    return check


@pytest.fixture
def post(cli_engine: Engine) -> Iterator[Callable[..., Post]]:
    """Let the desk post an order to a receiver, and return what came."""
    taken: list[Post] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            taken.append(Post(self.headers, body))
            self.send_response(204)
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    address = f"http://127.0.0.1:{server.server_address[1]}/orders"

    def posted(**options: Any) -> Post:
        queue(cli_engine, 1)
        send(cli_engine, lambda: Webhook(address, SECRET, **options))
        return taken[-1]

    yield posted
    server.shutdown()
    server.server_close()
    thread.join()


def test_a_post_of_the_desk_is_authentic_and_nothing_else_is(
    post: Callable[..., Post], is_authentic: Check
) -> None:
    headers, body = post()
    assert is_authentic(headers, body, SECRET.encode())
    assert not is_authentic(headers, body + b" ", SECRET.encode())
    assert not is_authentic(headers, body, b"another secret of the tests")
    assert not is_authentic({}, body, SECRET.encode())


@pytest.mark.parametrize(("age_seconds", "is_good"), [(200, True), (400, False), (-200, True), (-400, False)])
def test_a_post_that_is_sent_again_much_later_is_not(
    post: Callable[..., Post], is_authentic: Check, age_seconds: int, is_good: bool
) -> None:
    headers, body = post(clock=lambda: time.time() - age_seconds)
    assert is_authentic(headers, body, SECRET.encode()) == is_good


@pytest.mark.parametrize("timestamp", ["", "now", "-1", "1e9", "9" * 5000, "١٢٣", "1763900000\n"])
def test_a_timestamp_that_is_none_is_refused_and_not_an_error(
    post: Callable[..., Post], is_authentic: Check, timestamp: str
) -> None:
    headers, body = post()
    changed = dict(headers.items()) | {"Desk-Timestamp": timestamp}
    assert not is_authentic(changed, body, SECRET.encode())


def test_while_the_secret_is_replaced_both_are_good(post: Callable[..., Post], is_authentic: Check) -> None:
    headers, body = post(previous_secret=PREVIOUS)
    assert is_authentic(headers, body, SECRET.encode())
    assert is_authentic(headers, body, PREVIOUS.encode())
    assert not is_authentic(headers, body, b"the secret before both of them")
