"""Start and stop the sandbox: in a thread for tests and demos, or blocking for the command line."""

from __future__ import annotations

import hashlib
import http.client
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from types import FrameType, TracebackType

import uvicorn

from deployments.sandbox.api import Api, AuthScheme
from deployments.sandbox.app import create_app
from deployments.sandbox.connections import Connections
from deployments.sandbox.faults import FaultPlan
from deployments.sandbox.generator import GeneratorOptions, generate_orders
from deployments.sandbox.record import DEFAULT_LIMIT
from deployments.sandbox.store import Store

HOST = "127.0.0.1"
_START_TIMEOUT_SECONDS = 30.0
_STOP_TIMEOUT_SECONDS = 10.0
_POLL_SECONDS = 0.2


@dataclass(frozen=True)
class SandboxSettings:
    """Which sandbox to start.

    Attributes:
        orders: How many orders to invent.
        seed: The same seed and `now` give the same orders, byte for byte.
        port: On 127.0.0.1; 0 for any free one.
        project: The only project it knows.
        token: The only token it accepts; None for one made from the seed.
        auth_scheme: Whether the token is expected bare, after `Bearer `, or either way.
        now: The present that orders are generated up to; the store's clock then stands still there
            (see `Store.set_clock`). None for the real time, and a clock that runs.
        days: How far back the first order lies.
        broken: How many orders have a broken shape.
        nulls: Whether null stands in some places where the schema says string.
        unknown_values: Whether some placements and technologies are not in the schema.
        log_limit: How many requests, PATCHes and changes of orders are kept, of each.
    """

    orders: int = 250
    seed: int = 1
    port: int = 0
    project: str = "sandbox-100001"
    token: str | None = None
    auth_scheme: AuthScheme = "raw"
    now: datetime | None = None
    days: int = 30
    broken: int = 0
    nulls: bool = True
    unknown_values: bool = True
    log_limit: int = DEFAULT_LIMIT


class Sandbox:
    """A running sandbox podOS; a context manager.

    Attributes:
        url: Its base address; known once started.
        project: The project it knows.
        token: The token it accepts.
        store: Its orders, to look at and to change.
        faults: What it does wrong.
    """

    def __init__(self, settings: SandboxSettings | None = None) -> None:
        """Invent the orders; nothing listens yet."""
        self.settings = settings or SandboxSettings()
        self.project = self.settings.project
        self.token = token_of(self.settings)
        self.faults = FaultPlan(seed=self.settings.seed)
        self.store = _filled_store(self.settings)
        self.store.set_error_of_clock(lambda: self.faults.clock_ahead_seconds)
        self.url = ""
        self._connections = Connections()
        self._server: uvicorn.Server | None = None
        self._thread: threading.Thread | None = None

    def __enter__(self) -> Sandbox:
        """Start."""
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop."""
        self.stop()

    @property
    def headers(self) -> dict[str, str]:
        """The headers that let a request in."""
        prefix = "Bearer " if self.settings.auth_scheme == "bearer" else ""
        return {"Authorization": prefix + self.token}

    def start(self) -> None:
        """Listen, and return when it answers.

        Raises:
            OSError: The port is taken.
            RuntimeError: It runs already.
        """
        if self._thread is not None:
            raise RuntimeError("the sandbox runs already")
        listener = _listen(self.settings.port)
        port = listener.getsockname()[1]
        api = Api(self.store, self.faults, self.project, self.token, self.settings.auth_scheme)
        self._server = uvicorn.Server(_config(api, self._connections))
        self._thread = threading.Thread(
            target=self._server.run, args=([listener],), name=f"sandbox-{port}", daemon=True
        )
        self._thread.start()
        self.url = f"http://{HOST}:{port}"
        try:
            _wait_until_it_answers(port)
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Close every connection and stop listening; safe to repeat."""
        server, thread = self._server, self._thread
        if server is None or thread is None:
            return
        self._connections.cut_all_soon()
        server.should_exit = True
        thread.join(_STOP_TIMEOUT_SECONDS)
        self._server = self._thread = None


def serve(settings: SandboxSettings, on_ready: Callable[[Sandbox], None]) -> None:
    """Run a sandbox until Ctrl-C or SIGTERM, then stop it and return. For the main thread only.

    Args:
        settings: Which sandbox.
        on_ready: Called once it answers, to tell the person its address.

    Raises:
        OSError: The port is taken.
    """
    with _stop_signals() as stopped, Sandbox(settings) as sandbox:
        on_ready(sandbox)
        while not stopped.wait(_POLL_SECONDS):
            pass


@contextmanager
def _stop_signals() -> Iterator[threading.Event]:
    """Turn SIGINT and SIGTERM into an event, for as long as the block runs."""
    stopped = threading.Event()

    def stop(_number: int, _frame: FrameType | None) -> None:
        stopped.set()

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stopped
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def token_of(settings: SandboxSettings) -> str:
    """Return the only token that a sandbox of these settings accepts."""
    made = hashlib.sha256(f"sandbox token {settings.seed}".encode()).hexdigest()[:24]
    return settings.token or f"sandbox-{made}"


def _filled_store(settings: SandboxSettings) -> Store:
    now = settings.now or datetime.now(UTC)
    store = Store((lambda: now) if settings.now else None, settings.log_limit)
    store.extend(
        generate_orders(
            GeneratorOptions(
                now=now,
                seed=settings.seed,
                orders=settings.orders,
                days=settings.days,
                broken=settings.broken,
                nulls=settings.nulls,
                unknown_values=settings.unknown_values,
            )
        )
    )
    return store


def _listen(port: int) -> socket.socket:
    # asyncio turns Nagle's delay (44 ms per answer) off only on sockets that name their protocol.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((HOST, port))
        listener.listen(128)
    except OSError:
        listener.close()
        raise
    return listener


def _config(api: Api, connections: Connections) -> uvicorn.Config:
    return uvicorn.Config(
        create_app(api, connections),
        http=connections.protocol(),
        ws="none",
        loop="asyncio",
        lifespan="off",
        access_log=False,
        log_config=None,
        log_level="critical",
        server_header=False,
        date_header=False,  # answers carry the store's date
        timeout_graceful_shutdown=2,
    )


def _wait_until_it_answers(port: int) -> None:
    """Ask for its health; the listening socket keeps the question until the server takes it."""
    connection = http.client.HTTPConnection(HOST, port, timeout=_START_TIMEOUT_SECONDS)
    try:
        connection.request("GET", "/health", headers={"Connection": "close"})
        connection.getresponse().read()
    finally:
        connection.close()
