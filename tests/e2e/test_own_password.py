"""`desk up` with the password that it makes and keeps, and the temporary server of a command with its own."""

from __future__ import annotations

import json
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from deployments.stack.environment import ROOT
from deployments.stack.password import FILE_NAME
from tests.e2e.browser import browser
from tests.e2e.nginx import reverse_proxy
from tests.e2e.prefect_paths import api_requests
from tests.e2e.running import STOP_SECONDS, System, environment, start_system

pytestmark = pytest.mark.e2e
ASKING = "/api/block_types/slug/podos-integration"


@pytest.fixture(scope="module")
def locked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    """`desk up --password --sandbox`, with no password set."""
    system = start_system(tmp_path_factory.mktemp("locked"), "--password", "--sandbox")
    yield system
    system.process.terminate()
    assert system.process.wait(STOP_SECONDS) == 0, system.output


def password_of(system: System) -> tuple[str, str]:
    name, _, password = (system.home / FILE_NAME).read_text().strip().partition(":")
    return name, password


def test_nobody_gets_in_without_it(locked: System) -> None:
    assert httpx.get(locked.url + ASKING).status_code == 401
    assert httpx.get(locked.url + ASKING, auth=password_of(locked)).is_success
    assert f"password:  in {locked.home / FILE_NAME}" in locked.output
    assert password_of(locked)[1] not in locked.output
    assert stat.S_IMODE((locked.home / FILE_NAME).stat().st_mode) == 0o600


def test_commands_of_the_same_user_find_it_and_the_worker_has_it(locked: System) -> None:
    connected = json.loads(locked.desk("settings", "--json"))
    assert connected["project"]
    assert locked.run_desk("check").returncode == 0
    sync = locked.run_prefect(
        "deployment",
        "run",
        "sync-tracking/sync-tracking",
        "--watch",
        PREFECT_API_AUTH_STRING=":".join(password_of(locked)),
    )
    assert sync.returncode == 0, sync.stdout + sync.stderr


def test_the_pages_ask_for_it_also_behind_a_proxy_that_nothing_names(locked: System, tmp_path: Path) -> None:
    (tmp_path / "nginx").mkdir()
    with reverse_proxy(tmp_path / "nginx", "desk.example.test", locked.port) as proxy:
        rules = f"--host-resolver-rules=MAP {proxy.name}:443 127.0.0.1:{proxy.port}"
        address = f"https://{proxy.name}/v2/"
        with browser(tmp_path, rules, base_url=address, ignore_https_errors=True) as page:
            page.goto("deployments")
            page.get_by_role("textbox").fill(":".join(password_of(locked)))
            page.get_by_role("button", name="Login").click()
            page.get_by_role("link", name="manual-import", exact=True).first.wait_for()


PROGRAM = """
import asyncio, sys
from deployments.stack.environment import prepare_prefect
prepare_prefect(quiet=True)
from prefect.client.orchestration import get_client

async def main():
    async with get_client() as client:
        assert await client.read_block_types()
        print(client.api_url, flush=True)
        sys.stdin.readline()

asyncio.run(main())
"""


def test_a_temporary_server_answers_its_command_alone(tmp_path: Path) -> None:
    for directory in ("home", "tmp"):
        (tmp_path / directory).mkdir()
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM],
        cwd=ROOT,
        env=environment(tmp_path),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as command:
        assert command.stdout is not None
        address = command.stdout.readline().strip().rstrip("/").removesuffix("/api")
        with httpx.Client(base_url=address, timeout=60) as client:
            answered = {
                path for method, path in api_requests() if client.request(method, path).status_code != 401
            }
        command.communicate("\\n", timeout=60)
    assert command.returncode == 0
    assert answered == {"/api/health", "/api/ready"}
