"""How long the fuzz tests look: seconds in a test run, minutes with ``make fuzz``."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.fuzz.looking import Looking

FOUND = pytest.StashKey[list[str]]()


@pytest.fixture
def looking(request: pytest.FixtureRequest) -> Iterator[Looking]:
    """Tries examples on a property, as many as there is time for."""
    minutes, seed = request.config.getoption("--fuzz-minutes"), request.config.getoption("--fuzz-seed")
    sharing = sum("looking" in getattr(item, "fixturenames", ()) for item in request.session.items)
    looking = Looking(minutes * 60 / sharing, seed)
    yield looking
    if minutes:
        line = f"{request.node.nodeid}: {looking.summary()}"
        request.config.stash.setdefault(FOUND, []).append(line)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Tell the figures of the long form."""
    for line in config.stash.get(FOUND, []):
        terminalreporter.write_line(line)
