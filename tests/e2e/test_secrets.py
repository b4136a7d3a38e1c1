"""No token and nothing about customers in any file of Prefect, whatever has run. Runs after the others."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from deployments.sandbox.server import Sandbox, SandboxSettings
from tests.e2e.running import FULFILLER_SECRET, System

pytestmark = pytest.mark.e2e
SHORTEST = 6
"""A shorter text could stand anywhere by chance."""
DAYS = (f"2019-01-{day:02}" for day in range(1, 32))
"""Each is another filter, also when the test is tried again."""


def test_prefect_holds_no_token_and_no_personal_data(system: System, slow_sandbox: Sandbox) -> None:
    check, manual = (system.deployment(name)["id"] for name in ("check-for-new-orders", "manual-import"))
    runs = [system.start_run(manual, {"request": {"integration": "default", "since": "2020-01-01"}})]
    runs.append(system.start_run(check, {"integration": "default"}))
    assert [system.finished(run)["state_type"] for run in runs] == ["COMPLETED", "COMPLETED"]
    for fault in ("unordered", "401"):
        system.desk("connect", "slow", "--first-import-date", next(DAYS))  # the next check reads all
        slow_sandbox.faults.ignore_sort = fault == "unordered"
        if fault == "401":
            slow_sandbox.faults.then("401", times=3)
        failed = system.finished(system.start_run(check, {"integration": "slow"}))
        assert failed["state_type"] == "FAILED", failed["state"]
        slow_sandbox.faults.reset()

    tokens = {slow_sandbox.token, Sandbox(SandboxSettings(orders=0)).token, FULFILLER_SECRET}
    secrets = tokens | set(_personal_data(system))
    assert len(secrets) > 300
    canaries = [secret.encode() for secret in secrets]
    files = [file for file in system.home.rglob("*") if file.is_file()]
    assert {"prefect.db", "prefect.db-wal"} <= {file.name for file in files}
    outputs = [system.place / "up.log", *system.extra]
    found = {
        file.name: [canary for canary in canaries if canary in content][:5]
        for file in (*files, *outputs)
        if any(canary in (content := file.read_bytes()) for canary in canaries)
    }
    assert found == {}


def _personal_data(system: System) -> Iterator[str]:
    for line in system.desk("orders", "export").splitlines():
        order = json.loads(line)
        shipping = order["shipping"]
        texts = [order["email"], order["phone"], *(shipping[key] for key in ("name", "address1", "address2"))]
        yield from (text for text in texts if text and len(text) >= SHORTEST)
