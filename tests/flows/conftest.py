"""One Prefect server for all flow tests, a sandbox podOS each, and the connection between them."""

from __future__ import annotations

import asyncio
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine

from deployments.sandbox.server import Sandbox, SandboxSettings
from tasks.desk.engine import make_engine
from tasks.fulfilment.fulfillers import fulfiller_names, remove_fulfiller
from tests.support.connected import Connected

HERE = Path(__file__).parent


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let tests that need a Prefect server be tried once more; the summary names each rerun."""
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.flaky(reruns=1, reruns_delay=2))


@pytest.fixture(scope="session", autouse=True)
def prefect_server() -> Iterator[None]:
    """A Prefect server of the test run's own, started once."""
    from prefect.testing.utilities import prefect_test_harness

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with prefect_test_harness(server_startup_timeout=120):
            yield


@pytest.fixture(autouse=True)
def _no_fulfiller_of_another_test(prefect_server: None) -> None:
    """Remove the fulfillers that tests before this one added to the server: some commands send to all."""
    asyncio.run(_remove_fulfillers())


async def _remove_fulfillers() -> None:
    for name in await fulfiller_names():
        await remove_fulfiller(name)


@pytest.fixture
def engine(cli_database: Path) -> Iterator[Engine]:
    """The desk that the flows write into."""
    engine = make_engine(f"sqlite:///{cli_database}")
    yield engine
    engine.dispose()


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    """A sandbox podOS with 400 orders, one of them broken."""
    with Sandbox(SandboxSettings(orders=400, seed=3, broken=1)) as sandbox:
        yield sandbox


@pytest.fixture
def connected(sandbox: Sandbox, cli_database: Path) -> Connected:
    """The sandbox, connected as ``default``."""
    return Connected("default", sandbox)
