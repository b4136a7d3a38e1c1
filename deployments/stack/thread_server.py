"""An ASGI application on a port of this machine, served by a thread of this process."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn

from deployments.stack.asgi import Application

_START_SECONDS = 30.0
_STOP_SECONDS = 10.0


@contextmanager
def served(application: Application, host: str, port: int, *, name: str) -> Iterator[None]:
    """Serve an application until the end; nothing is logged, for addresses may hold personal data.

    Args:
        application: what answers.
        host: an address of this machine.
        port: free.
        name: of the thread.

    Raises:
        OSError: the port can't be used.
    """
    config = uvicorn.Config(
        application,
        host=host,
        port=port,
        log_config=None,
        access_log=False,
        lifespan="off",
        proxy_headers=False,
        server_header=False,
        timeout_graceful_shutdown=5,
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, name=name, daemon=True)
    thread.start()
    deadline = time.monotonic() + _START_SECONDS
    while not server.started and thread.is_alive() and time.monotonic() < deadline:
        time.sleep(0.05)
    if not server.started:
        raise OSError(f"port {port} can't be used")
    try:
        yield
    finally:
        server.should_exit = True
        thread.join(_STOP_SECONDS)
