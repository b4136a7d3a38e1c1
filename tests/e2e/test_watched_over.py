"""A system with a password, alerts and metrics: who gets in, what is told how often, whose files they are."""

from __future__ import annotations

import json
import stat
import threading
from collections.abc import Callable, Iterator
from contextlib import nullcontext, suppress
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from deployments.sandbox.server import Sandbox, SandboxSettings
from tests.e2e.running import RUN_SECONDS, STOP_SECONDS, System, free_port, start_system, wait_for

pytestmark = pytest.mark.e2e
PASSWORD = "desk:a-long-password-4711"
SECRET_PATH = "/hooks/secret-of-the-address-4712"
SILENCE_MINUTES = "0.2"


class Hooks:
    """Takes alerts on a port of this machine."""

    def __init__(self) -> None:
        self.taken: list[dict[str, Any]] = []
        self.paths: list[str] = []
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}{SECRET_PATH}"

    def about(self, words: str) -> list[str]:
        return [message["text"] for message in self.taken if words in message["text"]]

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        hooks = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                hooks.paths.append(self.path)
                hooks.taken.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
                self.send_response(204)
                self.end_headers()

            def log_message(self, format: str, *args: Any) -> None:
                return

        return Handler


@pytest.fixture(scope="module")
def hooks() -> Iterator[Hooks]:
    """The receiver of alerts."""
    hooks = Hooks()
    thread = threading.Thread(target=hooks.server.serve_forever, daemon=True)
    thread.start()
    yield hooks
    hooks.server.shutdown()
    hooks.server.server_close()
    thread.join()


@pytest.fixture(scope="module")
def metrics_port() -> int:
    """Where metrics are served."""
    return free_port()


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory, hooks: Hooks, metrics_port: int) -> Iterator[System]:
    """`desk up` with a password, alerts and metrics."""
    place = tmp_path_factory.mktemp("guarded")
    variables = {
        "PREFECT_SERVER_API_AUTH_STRING": PASSWORD,
        "PREFECT_API_AUTH_STRING": PASSWORD,
        "DESK_ALERT_WEBHOOK": hooks.url,
    }
    system = start_system(place, "--metrics-port", str(metrics_port), port=None, **variables)
    yield system
    system.process.terminate()
    assert system.process.wait(STOP_SECONDS) == 0, system.output


@pytest.fixture(scope="module")
def watched(guarded: System) -> Iterator[Sandbox]:
    """A podOS project, connected as `watched`."""
    with Sandbox(SandboxSettings(orders=30, seed=5, project="watched-300003")) as sandbox:
        arguments = ("--project", sandbox.project, "--base-url", sandbox.url)
        guarded.desk("connect", "watched", *arguments, PODOS_API_TOKEN=sandbox.token)
        yield sandbox


def check(guarded: System, sandbox: Sandbox, *, fails: bool = False) -> None:
    if fails:
        sandbox.faults.then("401")
    guarded.desk("check", "watched", code=3 if fails else 0)


def test_nobody_gets_in_without_the_password_nor_from_another_page(guarded: System) -> None:
    address = f"{guarded.url}/api/block_documents/filter"
    reading = f"{guarded.url}/api/block_types/slug/podos-integration"
    assert httpx.get(reading).status_code == 401
    assert httpx.get(reading, auth=("desk", "wrong")).status_code == 401
    assert httpx.get(f"{guarded.url}/api/csrf-token?client=test").status_code == 401  # so no POST gets in
    assert httpx.post(address, json={"include_secrets": True}).status_code == 403
    name, _, password = PASSWORD.partition(":")
    assert httpx.get(reading, auth=(name, password)).is_success
    refused = httpx.post(address, json={}, auth=(name, password))
    assert (refused.status_code, "CSRF" in refused.text) == (403, True)
    for foreign in ({"Origin": "http://evil.example.test"}, {"Sec-Fetch-Site": "cross-site"}):
        assert httpx.get(reading, auth=(name, password), headers=foreign).status_code == 403
    asked = {"Origin": "http://evil.example.test", "Access-Control-Request-Method": "POST"}
    preflight = httpx.options(address, headers=asked)
    assert (preflight.status_code, "access-control-allow-origin" in preflight.headers) == (403, False)
    assert httpx.get(guarded.url, follow_redirects=True).status_code == 200  # the page with the login


def test_the_system_works_behind_the_password(guarded: System, watched: Sandbox) -> None:
    started = guarded.run_prefect(
        "deployment",
        "run",
        "check-for-new-orders/check-for-new-orders",
        "--param",
        "integration=watched",
        "--watch",
    )
    assert started.returncode == 0, started.stdout + started.stderr
    assert guarded.orders_in("New") > 0
    assert guarded.desk("status", "--json")
    unlocked = guarded.run_desk("alerts", PREFECT_API_AUTH_STRING="")
    assert unlocked.returncode == 1
    assert "PREFECT_API_AUTH_STRING" in unlocked.stderr


def test_all_files_are_for_the_user_alone(guarded: System, watched: Sandbox) -> None:
    check(guarded, watched)
    open_to_others = [
        (str(path), oct(stat.S_IMODE(path.stat().st_mode)))
        for place in (guarded.home, guarded.place / "home", guarded.place / "tmp", *_desk_files(guarded))
        for path in (place, *place.rglob("*"))
        if not path.is_symlink()
        and stat.S_IMODE(path.stat().st_mode) & 0o077
        and path not in {guarded.place / "home", guarded.place / "tmp"}  # the test made these
    ]
    assert open_to_others == []


def _desk_files(guarded: System) -> list[Path]:
    return list(guarded.place.glob("desk.db*"))


def test_a_failing_check_is_told_once_and_again_after_it_was_well(
    guarded: System, watched: Sandbox, hooks: Hooks
) -> None:
    check(guarded, watched)
    hooks.taken.clear()
    for _ in range(2):
        check(guarded, watched, fails=True)
    wait_for("the alert", lambda: hooks.about("The check of watched fails"))
    check(guarded, watched)
    check(guarded, watched, fails=True)
    wait_for("the second alert", lambda: len(hooks.about("The check of watched fails")) == 2)
    guarded.desk("alerts", "test")  # goes behind all others: whatever was on its way has come
    assert len(hooks.about("The check of watched fails")) == 2
    assert len(hooks.about("this is a test")) == 1
    assert all("podOS refused the token" in text for text in hooks.about("The check of watched"))
    assert set(hooks.paths) == {SECRET_PATH}
    texts = json.dumps(hooks.taken)
    assert watched.token not in texts


def test_metrics_and_health_say_what_status_says(
    guarded: System, watched: Sandbox, metrics_port: int
) -> None:
    address = f"http://127.0.0.1:{metrics_port}"

    def look() -> tuple[int, dict[str, float]]:
        families = text_string_to_metric_families(httpx.get(f"{address}/metrics").text)
        samples = {
            f"{sample.name}{sorted(sample.labels.values())}": sample.value
            for family in families
            for sample in family.samples
        }
        return httpx.get(f"{address}/health").status_code, samples

    check(guarded, watched, fails=True)
    code, samples = look()
    assert code == 503
    assert samples["podos_desk_well[]"] == 0
    assert samples["podos_desk_work_well['check', 'watched']"] == 0
    assert guarded.run_desk("status").returncode == 1
    check(guarded, watched)
    code, samples = look()
    assert (code, samples["podos_desk_well[]"]) == (200, 1)
    assert samples["podos_desk_behind_podos_seconds['watched']"] < 300
    assert guarded.run_desk("status").returncode == 0


def test_setting_up_again_changes_nothing_and_what_is_off_stays_off(guarded: System, hooks: Hooks) -> None:
    assert guarded.run_desk("alerts", "setup").stderr == "nothing to change\n"
    off = guarded.run_prefect("automation", "pause", "podos-order-desk: alert, test")
    assert off.returncode == 0, off.stderr
    refused = guarded.run_desk("alerts", "test")
    assert refused.returncode == 2
    changed = guarded.run_desk("alerts", "setup", "--webhook", hooks.url, "--silence", "77")
    assert "set up: podos-order-desk: alert, no check" in changed.stderr
    found = {load["name"]: load["is_on"] for load in json.loads(guarded.desk("alerts", "--json"))}
    assert (found["test"], found["no check"]) == (False, True)
    assert guarded.run_prefect("automation", "resume", "podos-order-desk: alert, test").returncode == 0


def check_until(guarded: System, watched: Sandbox, is_told: Callable[[], bool]) -> None:
    """Check, and wait for an alert of silence.

    Prefect's server on SQLite can lose an event while its database is locked: the next check sends another.
    """
    for attempt in (1, 2, 3):
        check(guarded, watched)
        with suppress(pytest.fail.Exception) if attempt < 3 else nullcontext():
            wait_for("the alert", is_told, RUN_SECONDS / 2)
            return


def test_silence_is_told_once(guarded: System, watched: Sandbox, hooks: Hooks) -> None:
    guarded.desk("alerts", "setup", "--silence", SILENCE_MINUTES)
    silences = partial(hooks.about, "The check of watched is silent")
    check_until(guarded, watched, lambda: silences() != [])
    told = len(silences())
    check_until(guarded, watched, lambda: len(silences()) > told)
    guarded.desk("alerts", "test")
    assert len(silences()) == told + 1


def test_the_address_of_alerts_is_nowhere_in_clear(guarded: System, hooks: Hooks) -> None:
    secret = SECRET_PATH.rpartition("/")[2].encode()
    files = [path for path in guarded.place.rglob("*") if path.is_file()]
    assert [path.name for path in files if secret in path.read_bytes()] == []
