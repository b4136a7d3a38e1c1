"""The Prefect server by itself, with a password, as two services or containers run it: who gets in."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from http.client import HTTPConnection
from pathlib import Path
from typing import NamedTuple

import httpx
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Subprotocol

from deployments.stack.environment import PREFECT_DEFAULTS, ROOT
from models.errors import ExitCode
from tests.e2e.prefect_paths import api_requests, websockets
from tests.e2e.running import START_SECONDS, STOP_SECONDS, environment, free_port, wait_for
from tests.support.documentation import codes, page, rows, section

pytestmark = pytest.mark.e2e
USER, PASSWORD = "desk", "a-long-password-4711"
AUTH = {"PREFECT_SERVER_API_AUTH_STRING": f"{USER}:{PASSWORD}"}
FOREIGN = ({"Origin": "http://evil.example.test"}, {"Origin": "null"}, {"Sec-Fetch-Site": "cross-site"})
PREFECT = [Subprotocol("prefect")]
MEGABYTE = 1 << 20


class Server(NamedTuple):
    """A running server."""

    process: subprocess.Popen[bytes]
    port: int

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def websocket(self, path: str, **headers: str) -> ClientConnection:
        address = self.url.replace("http", "ws") + path
        return connect(address, subprotocols=PREFECT, additional_headers=headers, open_timeout=60)

    def most_memory_megabytes(self) -> int:
        """The most that the process has had so far."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        (found,) = re.findall(r"VmHWM:\s+(\d+) kB", status)
        return int(found) // 1024

    def has_ended(self) -> bool:
        return self.process.poll() is not None


def command(*options: str) -> list[str]:
    return [sys.executable, "-m", "deployments.stack.prefect_server", "server", "start", *options]


@contextmanager
def running_server(place: Path, *options: str, **variables: str) -> Iterator[Server]:
    for directory in ("home", "tmp"):
        (place / directory).mkdir()
    port = free_port()
    with (place / "server.log").open("wb") as log:
        process = subprocess.Popen(
            command("--port", str(port), *options),
            cwd=ROOT,
            env=PREFECT_DEFAULTS | environment(place) | variables,
            stdout=log,
            stderr=log,
        )
    server = Server(process, port)

    def answers() -> bool:
        assert not server.has_ended(), (place / "server.log").read_text()
        with suppress(httpx.TransportError):
            return httpx.get(f"{server.url}/api/health", timeout=30).is_success
        return False

    try:
        wait_for("the server", answers, START_SECONDS)
        yield server
    finally:
        process.terminate()
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with a password that listens on every address, as in a container."""
    with running_server(tmp_path_factory.mktemp("server"), "--host", "0.0.0.0", **AUTH) as server:
        yield server


def test_without_the_password_only_the_named_paths_answer(server: Server) -> None:
    with httpx.Client(base_url=server.url, timeout=60) as client:
        statuses = {
            (method, path): client.request(method, path).status_code for method, path in api_requests()
        }
    assert len(statuses) > 150
    open_paths = {path for (_, path), status in statuses.items() if status not in {401, 403}}
    table = rows(section(page("docs/runbook.md"), "What stays open"))
    assert open_paths == {code for cells in table for code in codes(cells[0]) if code.startswith("/api/")}
    assert {status for (method, _), status in statuses.items() if method == "GET"} == {200, 401}


def test_pages_that_run_foreign_scripts_are_closed(server: Server) -> None:
    """With the password, too: they would run as the server's own."""
    for path in (
        "/docs",
        "/docs/",
        "/redoc",
        "/docs/oauth2-redirect",
        "/openapi.json",
        "/api/docs",
        "/api/redoc",
    ):
        for auth in (None, (USER, PASSWORD)):
            assert httpx.get(f"{server.url}{path}", auth=auth).status_code == 404, path
    described = httpx.get(f"{server.url}/api/openapi.json", auth=(USER, PASSWORD))
    assert described.json()["info"]["title"] == "Prefect REST API"
    assert httpx.get(f"{server.url}/api/openapi.json").status_code == 401


def test_the_pages_and_what_they_must_know_are_open_and_hold_nothing(server: Server) -> None:
    shown = httpx.get(f"{server.url}/ui-settings").json()
    assert (shown["auth"], shown["csrf_enabled"], shown["api_url"]) == ("BASIC", True, "/api")
    start = httpx.get(server.url, headers={"Accept": "text/html"}, follow_redirects=True)
    assert (start.status_code, PASSWORD in start.text) == (200, False)


def test_no_websocket_says_anything_without_the_password(server: Server) -> None:
    paths = websockets()
    assert len(paths) == 5
    for path in paths:
        for token in ("", "desk:wrong", None):
            with server.websocket(path) as websocket:
                websocket.send(json.dumps({"type": "auth", "token": token}))
                with pytest.raises(ConnectionClosed):
                    websocket.recv(30)


def test_whoever_has_the_password_gets_in_but_no_page_of_another_address(server: Server) -> None:
    with httpx.Client(base_url=server.url, auth=(USER, PASSWORD), timeout=60) as client:
        token = client.get("/api/csrf-token", params={"client": "test"}).json()["token"]
        allowed = {"Prefect-Csrf-Token": token, "Prefect-Csrf-Client": "test"}
        body = {"include_secrets": True}
        assert client.post("/api/block_documents/filter", json=body, headers=allowed).status_code == 200
        for host in (f"desk.example.test:{server.port}", "server:4200"):
            own = allowed | {"Host": host, "Origin": f"http://{host}"}
            assert client.post("/api/block_documents/filter", json=body, headers=own).status_code == 200
        for foreign in FOREIGN:
            refused = client.post("/api/block_documents/filter", json=body, headers=allowed | foreign)
            assert (refused.status_code, "another address" in refused.text) == (403, True)
            refused = client.get("/api/block_types/slug/secret", headers=foreign)
            assert (refused.status_code, "another address" in refused.text) == (403, True)
    for path in websockets():
        with server.websocket(path, Origin=server.url) as websocket:
            websocket.send(json.dumps({"type": "auth", "token": f"{USER}:{PASSWORD}"}))
            assert "auth_success" in str(websocket.recv(30))
        for foreign in FOREIGN:
            with pytest.raises(InvalidStatus, match="403"):
                server.websocket(path, **foreign)


def test_a_huge_body_without_the_password_is_not_kept(server: Server) -> None:
    before = server.most_memory_megabytes()
    past_csrf = {"Prefect-Csrf-Token": "none", "Prefect-Csrf-Client": "test"}
    assert _send(server, "/api/block_documents/filter", 300 * MEGABYTE, {}) == 403
    assert _send(server, "/api/block_documents/filter", 300 * MEGABYTE, past_csrf) == 403
    assert _send(server, "/v2/", 300 * MEGABYTE, past_csrf) == 403
    assert server.most_memory_megabytes() - before < 50


def _send(server: Server, path: str, size: int, headers: dict[str, str]) -> int:
    connection = HTTPConnection("127.0.0.1", server.port, timeout=120)
    pieces = (bytes(MEGABYTE) for _ in range(size // MEGABYTE))
    length = {"Content-Type": "application/json", "Content-Length": str(size)}
    try:
        connection.request("POST", path, pieces, headers | length)
        return connection.getresponse().status
    finally:
        connection.close()


def test_a_bomb_in_a_websocket_is_not_unpacked(server: Server) -> None:
    before = server.most_memory_megabytes()
    with server.websocket("/api/events/out") as websocket:
        websocket.send("[" * (300 * MEGABYTE))  # 0.3 MB on the way
        with pytest.raises(ConnectionClosed, match="too big"):
            websocket.recv(60)
    assert server.most_memory_megabytes() - before < 100


def test_a_crowd_that_gives_no_password_does_not_keep_others_out(server: Server) -> None:
    """Prefect lets a hundred requests in at once, and counts an open websocket as one."""
    with ExitStack() as crowd:
        for _ in range(120):
            crowd.enter_context(server.websocket("/api/events/out"))
        answer = httpx.get(f"{server.url}/api/block_types/slug/secret", auth=(USER, PASSWORD), timeout=60)
        assert answer.is_success


@pytest.mark.parametrize(
    ("options", "variables", "said"),
    [
        (("--host", "0.0.0.0"), {}, "PREFECT_SERVER_API_AUTH_STRING"),
        (("--host", "::"), {}, "PREFECT_SERVER_API_AUTH_STRING"),
        (("--host", "0.0.0.0"), {"PREFECT_SERVER_API_AUTH_STRING": "desk"}, "name:password"),
        (("--background",), {}, "would not be protected"),
        ((), {"DESK_ALLOWED_HOSTS": "https://desk.example.test"}, "desk_allowed_hosts"),
    ],
)
def test_a_server_that_would_be_open_is_not_started(
    tmp_path: Path, options: tuple[str, ...], variables: dict[str, str], said: str
) -> None:
    (tmp_path / "tmp").mkdir()
    done = subprocess.run(
        command("--port", str(free_port()), *options),
        cwd=ROOT,
        env=PREFECT_DEFAULTS | environment(tmp_path) | variables,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (done.returncode, said in done.stderr) == (ExitCode.BAD_INPUT, True), done.stderr
    assert "Traceback" not in done.stderr
