"""The documented requests, as they stand: the Python example, and curl's."""

from __future__ import annotations

import os
import shlex
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from sqlalchemy import Engine

from deployments.stack.thread_server import served
from deployments.web.app import create_app
from deployments.web.site import Site
from models.tables.people import Scope
from tasks.people.tokens_store import add_token
from tasks.tracking.shipment_list import list_shipments
from tests.support.builders import insert_order
from tests.support.documentation import code_blocks, page, section

NOW = datetime(2026, 11, 27, 12, 0, tzinfo=UTC)
DOCUMENTED = "http://127.0.0.1:4280"


@pytest.fixture
def environment(cli_engine: Engine) -> Iterator[dict[str, str]]:
    """The environment of a program that may write to a desk."""
    token = add_token(cli_engine, "warehouse", Scope.WRITE, now=NOW)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with served(create_app(Site(cli_engine)), "127.0.0.1", port, name="api"):
        yield {
            "PATH": os.environ["PATH"],
            "DESK_TOKEN": token,
            "DESK_API": f"http://127.0.0.1:{port}/api/v1",
        }


def run(environment: dict[str, str], *command: str) -> str:
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def test_the_python_example_tells_each_parcel_once(cli_engine: Engine, environment: dict[str, str]) -> None:
    ids = [insert_order(cli_engine, order_number=f"A-{n}", folder="Prepared") for n in range(3)]
    (code,) = code_blocks(section(page("docs/http-api.md"), "In Python"), "python")
    first = run(environment, sys.executable, "-W", "error", "-c", code)
    assert first.splitlines() == [f"A-{n} 1550{ids[n]:010} added" for n in (2, 1, 0)]
    assert run(environment, sys.executable, "-W", "error", "-c", code) == first
    assert len(list(list_shipments(cli_engine))) == 3


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_the_requests_of_curl_work(cli_engine: Engine, environment: dict[str, str]) -> None:
    insert_order(cli_engine, order_number="A-1001")
    text = page("docs/http-api.md")
    commands = [block for block in code_blocks(text, "sh") if block.startswith("curl")]
    assert len(commands) == 2
    address = environment["DESK_API"].removesuffix("/api/v1")
    for command in commands:
        words = shlex.split(command.replace(DOCUMENTED, address).replace("\\\n", " "))
        words = [word.replace("$DESK_TOKEN", environment["DESK_TOKEN"]) for word in words]
        answer = run(environment, words[0], "--silent", "--show-error", "--fail-with-body", *words[1:])
        assert '"A-1001"' in answer
    (shipment,) = list_shipments(cli_engine)
    assert shipment.code == "AB123456789GB"
