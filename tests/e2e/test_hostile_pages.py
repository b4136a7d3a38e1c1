"""What a web page of another address can do to the system: open its pages by a link, and nothing else.

A page can send requests without being asked, read what websockets say, and give its own name the address of
this machine after it was loaded (DNS rebinding). Each is tried from a browser and by raw requests.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
from playwright.sync_api import Page
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect
from websockets.typing import Origin, Subprotocol

from tests.e2e.browser import browser
from tests.e2e.prefect_paths import websockets
from tests.e2e.running import System, wait_for

pytestmark = pytest.mark.e2e
EVIL = "evil.example.test"
FOREIGN: dict[str, dict[str, str]] = {
    "another host": {"Origin": f"http://{EVIL}"},
    "another port of this machine": {"Origin": "http://127.0.0.1:3000"},
    "no address": {"Origin": "null"},
    "another site": {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors"},
    "the same site": {"Sec-Fetch-Site": "same-site", "Sec-Fetch-Mode": "cors"},
}
"""What a browser sends for a page of another address."""
ATTACK = """
async ({target, command, mark, host}) => {
    const post = (path, body) => fetch(`${target}/api${path}`, {
        method: "POST", mode: "no-cors", body: new Blob([JSON.stringify(body)])
    }).then(() => "sent", (error) => `${error}`);
    const socket = (path, first) => new Promise((resolve) => {
        const opened = new WebSocket(`ws://${host}/api${path}`, ["prefect"]);
        const end = (said) => { opened.close(); resolve(said); };
        setTimeout(() => end("silent"), 20000);
        opened.onerror = () => end("closed");
        opened.onopen = () => opened.send(JSON.stringify({type: "auth", token: null}));
        opened.onmessage = ({data}) => {
            const {type, event} = JSON.parse(data);
            if (type === "auth_success") opened.send(JSON.stringify(first));
            if (type === "event") end(event.payload.deployment);
        };
        if (path === "/events/in") setTimeout(() => end("sent"), 2000);
    });
    const event = (name) => ({
        occurred: new Date().toISOString(), event: name, id: crypto.randomUUID?.() ?? mark.slice(5),
        resource: {"prefect.resource.id": mark}, payload: {},
    });
    const filter = {event: {prefix: ["test.deployment"]}};
    const read = await socket("/events/out", {type: "filter", filter});
    const injected = await socket("/events/in", event("test.injected"));
    const started = await post(`/deployments/${read}/create_flow_run`, {
        name: mark, state: {type: "SCHEDULED"}, job_variables: {command}
    });
    const paused = await post(`/deployments/${read}/pause_deployment`, {});
    const text = await fetch(`${target}/api/deployments/filter`, {method: "POST", body: "{}"})
        .then((answer) => answer.text(), () => "unreadable");
    return {read, injected, started, paused, text};
}
"""
"""Reads a deployment's id, injects an event, runs a command, pauses the deployment, and reads an answer."""


class Target:
    """A deployment of its own, and what can be seen of an attack on it."""

    def __init__(self, system: System) -> None:
        self.system = system
        name = f"target-{uuid4().hex[:8]}"
        self.deployment = system.copy_deployment("check-for-new-orders", "desk", name=name)
        event = {
            "occurred": datetime.now(UTC).isoformat(),
            "event": "test.deployment",
            "id": str(uuid4()),
            "resource": {"prefect.resource.id": f"test.{name}"},
            "payload": {"deployment": self.deployment},
        }
        system.api("POST", "/events", [event])
        wait_for("the event", lambda: self.events("test.deployment"))

    def events(self, name: str, mark: str | None = None) -> list[Any]:
        resource = {"resource": {"id": [mark]}} if mark else {}
        found = self.system.api("POST", "/events/filter", {"filter": {"event": {"name": [name]}} | resource})
        events: list[Any] = found["events"]
        return events

    def runs(self, mark: str) -> list[Any]:
        found: list[Any] = self.system.api(
            "POST", "/flow_runs/filter", {"flow_runs": {"name": {"any_": [mark]}}}
        )
        return found

    def is_paused(self) -> bool:
        return bool(self.system.api("GET", f"/deployments/{self.deployment}")["paused"])


@pytest.fixture
def target(system: System) -> Iterator[Target]:
    """A deployment that nothing else uses."""
    target = Target(system)
    yield target
    system.api("DELETE", f"/deployments/{target.deployment}")


@pytest.fixture
def evil_page(tmp_path: Path) -> Iterator[Page]:
    """A browser at a page of a stranger, whose names all lead to this machine."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(b"<title>nice things</title>")

        def log_message(self, format: str, *args: Any) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    with browser(tmp_path, f"--host-resolver-rules=MAP {EVIL} 127.0.0.1") as page:
        page.goto(f"http://{EVIL}:{server.server_address[1]}/")
        yield page
    server.shutdown()
    server.server_close()
    thread.join()


def attack(page: Page, system: System, place: Path) -> tuple[dict[str, Any], str, Path]:
    """Attack from where the page is; return what it saw, its mark, and the file that its command makes."""
    mark, file = f"test.{uuid4()}", place / f"made-by-{uuid4().hex[:8]}"
    seen = page.evaluate(
        ATTACK,
        {
            "target": system.url,
            "command": f"touch {file}",
            "mark": mark,
            "host": f"127.0.0.1:{system.port}",
        },
    )
    return seen, mark, file


def test_a_page_of_another_address_reads_starts_pauses_and_injects_nothing(
    system: System, target: Target, evil_page: Page, tmp_path: Path
) -> None:
    seen, mark, file = attack(evil_page, system, tmp_path)
    assert (seen["read"], seen["text"]) == ("closed", "unreadable")
    assert not target.is_paused()

    evil_page.goto(f"{system.url}/v2/")  # the same from the system's own page works: nothing was missed
    seen, own_mark, own_file = attack(evil_page, system, tmp_path)
    assert (seen["read"], seen["started"]) == (target.deployment, "sent")
    wait_for("the command of the own page", own_file.exists)
    wait_for("the event of the own page", lambda: target.events("test.injected", own_mark))
    assert target.runs(own_mark)
    assert target.is_paused()
    assert (target.runs(mark), target.events("test.injected", mark), file.exists()) == ([], [], False)


def test_a_name_that_was_rebound_to_this_machine_gets_nothing(system: System, evil_page: Page) -> None:
    answer = evil_page.goto(f"http://{EVIL}:{system.port}/v2/")
    assert answer is not None
    assert answer.status == 421
    ask = """() => fetch("/api/block_documents/filter", {
        method: "POST", headers: {"Content-Type": "application/json"},
        body: JSON.stringify({include_secrets: true})
    }).then(async (answer) => [answer.status, await answer.text()])"""
    status, text = evil_page.evaluate(ask)
    assert status == 421
    assert "DESK_ALLOWED_HOSTS" in text


def test_a_link_opens_the_pages_but_no_frame_does(system: System, evil_page: Page) -> None:
    framed = """(address) => new Promise((resolve) => {
        const frame = document.createElement("iframe");
        frame.onload = () => resolve();
        frame.src = address;
        document.body.append(frame);
    })"""
    evil_page.evaluate(framed, f"{system.url}/v2/")
    # Chromium may load the frame before its driver has heard of the address.
    refused = [["chrome-error://chromewebdata/"]]
    wait_for("the refused frame", lambda: [[frame.url for frame in evil_page.frames[1:]]] == refused)
    evil_page.evaluate("(address) => { location.href = address; }", f"{system.url}/v2/deployments")
    evil_page.get_by_role("link", name="check-for-new-orders", exact=True).first.wait_for()


@pytest.mark.parametrize("headers", FOREIGN.values(), ids=FOREIGN)
@pytest.mark.parametrize("method", ["GET", "POST", "OPTIONS"])
def test_no_request_for_another_page_is_answered(
    system: System, method: str, headers: dict[str, str]
) -> None:
    """Without a Content-Type: a browser sends such a request without asking the server first."""
    path = "/block_documents/filter" if method == "POST" else "/block_types/slug/podos-integration"
    asking = {"Access-Control-Request-Method": "POST"} if method == "OPTIONS" else {}
    body = json.dumps({"include_secrets": True}).encode() if method == "POST" else None
    answer = httpx.request(method, f"{system.url}/api{path}", headers=headers | asking, content=body)
    assert answer.status_code == 403
    assert answer.headers["Content-Type"].startswith("text/plain")
    assert "access-control-allow-origin" not in answer.headers


@pytest.mark.parametrize(
    "host", [EVIL, f"{EVIL}:80", "127.0.0.1.example.test", "192.0.2.7", "localhost.", ""]
)
def test_no_secret_for_a_rebound_name(system: System, host: str) -> None:
    address, body = f"{system.url}/api/block_documents/filter", {"include_secrets": True}
    assert "api_token" in httpx.post(address, json=body).text
    answer = httpx.post(address, json=body, headers={"Host": host})
    assert (answer.status_code, "api_token" in answer.text) == (421, False)


def test_no_websocket_for_another_page_or_a_rebound_name(system: System) -> None:
    for path in websockets():
        address = f"ws://127.0.0.1:{system.port}{path}"
        prefect = [Subprotocol("prefect")]
        with connect(address, subprotocols=prefect, open_timeout=60):
            pass  # workers and commands of this machine send no Origin
        with connect(address, subprotocols=prefect, origin=Origin(system.url), open_timeout=60):
            pass
        for headers in FOREIGN.values():
            with pytest.raises(InvalidStatus, match="403"):
                connect(address, subprotocols=prefect, additional_headers=headers, open_timeout=60)
        upgrade = {"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13"}
        rebound = {"Host": f"{EVIL}:{system.port}", "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA=="}
        assert httpx.get(f"{system.url}{path}", headers=upgrade | rebound).status_code == 403
