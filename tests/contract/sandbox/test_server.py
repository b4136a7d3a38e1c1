"""Starting and stopping the sandbox: where it listens, and that it leaves quietly."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest

from deployments.sandbox.server import Sandbox, SandboxSettings

ROOT = Path(__file__).parents[3]
SERVE = """
from deployments.sandbox.server import Sandbox, SandboxSettings, serve

def tell(sandbox: Sandbox) -> None:
    print(sandbox.url, flush=True)

serve(SandboxSettings(orders=5), tell)
print("stopped", flush=True)
"""


def test_it_listens_on_the_loopback_address_only() -> None:
    with Sandbox(SandboxSettings(orders=1)) as sandbox:
        assert sandbox.url.startswith("http://127.0.0.1:")
        assert httpx.get(f"{sandbox.url}/health").json() == {"status": "ok"}


def test_settings_decide_port_project_and_token() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    settings = SandboxSettings(orders=3, port=port, project="acme-1", token="mine")
    with Sandbox(settings) as sandbox:
        assert (sandbox.url, sandbox.project, sandbox.token) == (f"http://127.0.0.1:{port}", "acme-1", "mine")
        assert len(sandbox.store) == 3


def test_token_is_made_from_the_seed() -> None:
    tokens = [Sandbox(SandboxSettings(orders=0, seed=seed)).token for seed in (1, 1, 2)]
    assert tokens[0] == tokens[1] != tokens[2]
    assert tokens[0].startswith("sandbox-")


def test_port_in_use_is_an_os_error() -> None:
    with Sandbox(SandboxSettings(orders=0)) as sandbox:
        port = int(sandbox.url.rsplit(":", 1)[1])
        with pytest.raises(OSError, match="in use"):
            Sandbox(SandboxSettings(orders=0, port=port)).start()


def test_it_can_be_started_again_with_the_same_orders() -> None:
    sandbox = Sandbox(SandboxSettings(orders=2))
    for _ in range(2):
        sandbox.start()
        with pytest.raises(RuntimeError, match="already"):
            sandbox.start()
        assert httpx.get(f"{sandbox.url}/health").status_code == 200
        sandbox.stop()
        sandbox.stop()
        with pytest.raises(httpx.ConnectError):
            httpx.get(f"{sandbox.url}/health")


def test_stopping_does_not_wait_for_a_request_that_hangs(monkeypatch: pytest.MonkeyPatch) -> None:
    sandbox = Sandbox(SandboxSettings(orders=1))
    sandbox.start()
    sandbox.faults.hang_seconds = 200
    sandbox.faults.then("timeout")
    arrived = threading.Event()
    failed = threading.Event()

    def ask() -> None:
        params = {"project": sandbox.project}
        try:
            httpx.get(f"{sandbox.url}/v1/fulfillments", params=params, headers=sandbox.headers, timeout=100)
        except httpx.RemoteProtocolError:
            failed.set()

    monkeypatch.setattr(sandbox.store.log, "add_request", lambda _request: arrived.set())
    asking = threading.Thread(target=ask)
    asking.start()
    assert arrived.wait(30)
    sandbox.stop()
    asking.join(30)
    assert failed.is_set()


def test_store_keeps_the_given_present_and_otherwise_the_real_one() -> None:
    present = datetime(2026, 11, 23, 10, 15, tzinfo=UTC)
    assert Sandbox(SandboxSettings(orders=0, now=present)).store.now() == present.timestamp()
    before = int(datetime.now(UTC).timestamp())
    assert Sandbox(SandboxSettings(orders=0)).store.now() >= before


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_serve_ends_without_a_traceback(number: signal.Signals) -> None:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(
        [sys.executable, "-c", SERVE],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        url = process.stdout.readline().strip()
        assert httpx.get(f"{url}/health").status_code == 200
        process.send_signal(number)
        out, err = process.communicate(timeout=30)
    assert (process.returncode, out, err) == (0, "stopped\n", "")
