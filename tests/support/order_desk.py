"""A fake Order Desk: its envelope, its bucket of requests, and answers that get lost on demand."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit

KEY = "canary-of-an-order-desk-4713"


class FakeOrderDesk:
    """One store on a port of this machine; use it with ``with``.

    Args:
        knows_sources: it refuses an order whose ``source_id`` it has; else it makes a second one.

    Attributes:
        orders: by id, as they were posted.
        creates: how many creates were asked for.
        lose: the next create is taken, and its connection cut.
        refuse_next: the next requests are answered 429.
        shipments: by order id.
        repeats: it takes no order, and says why with the buyer's name in it.
    """

    FIRST_ID = "1000"

    def __init__(self, *, knows_sources: bool = True) -> None:
        self._knows_sources = knows_sources
        self.orders: dict[str, dict[str, Any]] = {}
        self.shipments: dict[str, list[dict[str, Any]]] = {}
        self.creates = 0
        self.lose = False
        self.refuse_next = 0
        self.repeats = False
        store = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                store.answer(self, None)

            def do_POST(self) -> None:
                store.answer(self, json.loads(self.rfile.read(int(self.headers["Content-Length"]))))

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    @property
    def url(self) -> str:
        """Where the API answers."""
        return f"http://127.0.0.1:{self._server.server_port}/api/v2"

    def __enter__(self) -> Self:
        """Begin to serve."""
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop."""
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def answer(self, handler: BaseHTTPRequestHandler, body: dict[str, Any] | None) -> None:
        """Answer a request."""
        status, said = self._said(handler, body)
        if said is None:
            handler.close_connection = True
            return
        content = json.dumps(said).encode()
        handler.send_response(status)
        handler.send_header("Content-Length", str(len(content)))
        if status == 429:
            handler.send_header("X-Retry-After", "1")
        handler.end_headers()
        handler.wfile.write(content)

    def _said(
        self, handler: BaseHTTPRequestHandler, body: dict[str, Any] | None
    ) -> tuple[int, dict[str, Any] | None]:
        if handler.headers["ORDERDESK-API-KEY"] != KEY:
            return 401, {"status": "error", "message": "Invalid key"}
        if self.refuse_next:
            self.refuse_next -= 1
            return 429, {"status": "error", "message": "Too many requests"}
        url = urlsplit(handler.path)
        path = url.path.removeprefix("/api/v2/")
        if path == "store":
            return 200, {"status": "success", "store": {"folders": {"7": "New", "8": "Prepared"}}}
        if body is not None:
            return self._create(body)
        if path.endswith("/shipments"):
            return 200, {"status": "success", "shipments": self.shipments.get(path.split("/")[1], [])}
        (wanted,) = parse_qs(url.query)["source_id"]
        found = [order for order in self.orders.values() if order["source_id"] == wanted]
        return 200, {"status": "success", "orders": found, "total_records": len(found)}

    def _create(self, body: dict[str, Any]) -> tuple[int, dict[str, Any] | None]:
        self.creates += 1
        if self.repeats:
            return 400, {"status": "error", "message": f"No parcel for {_name_of(body)}"}
        is_known = any(order["source_id"] == body["source_id"] for order in self.orders.values())
        if is_known and self._knows_sources:
            return 400, {"status": "error", "message": "Order exists"}
        id_ = str(int(self.FIRST_ID) + len(self.orders))
        self.orders[id_] = {**body, "id": id_}
        if self.lose:
            self.lose = False
            return 0, None
        return 201, {"status": "success", "order": self.orders[id_]}


def _name_of(body: dict[str, Any]) -> str:
    return f"{body['shipping']['first_name']} {body['shipping']['last_name']}"
