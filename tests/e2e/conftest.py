"""The real system, started once: `desk up --sandbox`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from deployments.sandbox.server import Sandbox, SandboxSettings
from tests.e2e.running import STOP_SECONDS, System, start_system

HERE = Path(__file__).parent
FIRST = "test_the_next_check_is_not_held_up"
LAST = (
    "test_the_dead_run_shows_as_crashed_within_two_minutes",
    "test_prefect_holds_no_token_and_no_personal_data",
)
"""A minute and a half pass between a death and its notice: the other tests run meanwhile."""
RERUNS = 1
RERUN_DELAY_SECONDS = 5
"""Prefect's server on SQLite can stand still for a minute on a busy machine; the summary names each rerun."""

PUBLIC_NAME = "desk.example.test"
"""Under which a reverse proxy serves the system."""


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the tests of this directory in the order that wastes no time."""
    order = {FIRST: -1} | {name: number for number, name in enumerate(LAST, 1)}
    items.sort(key=lambda item: order.get(item.name, 0))
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.xdist_group("e2e"))  # they share the system, one after the other
        if item.get_closest_marker("e2e") and not item.get_closest_marker("soak"):  # a loss is never a whim
            item.add_marker(pytest.mark.flaky(reruns=RERUNS, reruns_delay=RERUN_DELAY_SECONDS))


@pytest.fixture(scope="session")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    """`desk up --sandbox`, once for all tests."""
    place = tmp_path_factory.mktemp("system")
    running = start_system(place, "--sandbox", DESK_ALLOWED_HOSTS=PUBLIC_NAME)
    running.stop_schedules(running.deployment("check-for-new-orders"))  # tests say what runs when
    yield running
    running.process.terminate()
    assert running.process.wait(STOP_SECONDS) == 0, running.output


@pytest.fixture(scope="session")
def slow_sandbox(system: System) -> Iterator[Sandbox]:
    """A second podOS project, connected as `slow`; its answers can be made slow."""
    with Sandbox(SandboxSettings(orders=40, seed=7, project="slow-200002")) as sandbox:
        arguments = ("--project", sandbox.project, "--base-url", sandbox.url, "--folder", "Slow orders")
        system.desk("connect", "slow", *arguments, PODOS_API_TOKEN=sandbox.token)
        yield sandbox
