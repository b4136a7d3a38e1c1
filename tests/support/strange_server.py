"""A server of the tests that answers as it was told to: over TLS, without an end, to somewhere else."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

Act = Callable[[BaseHTTPRequestHandler], None]


class StrangeServer:
    """Answers every request by calling a function; use it with ``with``.

    Args:
        act: writes the answer; a cut connection does no harm.
        tls: its certificate, None for plain http.

    Attributes:
        requests: the request lines and headers that came.
        sent: bytes of bodies that ``write`` got rid of.
    """

    def __init__(self, act: Act, tls: ssl.SSLContext | None = None) -> None:
        self.requests: list[tuple[str, dict[str, str]]] = []
        self.sent = 0
        self.stopped = threading.Event()
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                server.requests.append((self.path, dict(self.headers)))
                self.rfile.read(int(self.headers.get("Content-Length", 0)))
                with suppress(OSError):
                    act(self)

            do_POST = do_PATCH = do_CONNECT = do_GET  # noqa: N815 - named by the library

            def log_message(self, *_: Any) -> None:
                pass

        class Quiet(ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, *_: Any) -> None:
                pass  # a client that does not trust us hangs up

        self._server = Quiet(("127.0.0.1", 0), Handler)
        self._is_tls = tls is not None
        if tls:
            self._server.socket = tls.wrap_socket(self._server.socket, server_side=True)
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    @property
    def url(self) -> str:
        """Where it answers."""
        return f"http{'s' if self._is_tls else ''}://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        """Begin to serve."""
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop."""
        self.stopped.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def write(self, handler: BaseHTTPRequestHandler, piece: bytes) -> None:
        """Write a piece of a body, and count it."""
        handler.wfile.write(piece)
        self.sent += len(piece)


def answer(body: bytes, status: int = 200, headers: Mapping[str, str] | None = None) -> Act:
    """Return a function that gives a whole answer."""

    def act(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(status)
        for name, value in (headers or {}).items():
            handler.send_header(name, value)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)

    return act
