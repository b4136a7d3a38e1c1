"""A short soak: imports, checks, shipments, syncs and handovers at once, with kills and a full disk."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.e2e.running import System
from tests.soak.report import report
from tests.soak.soak import Soak
from tests.soak.stage import Options

pytestmark = [pytest.mark.e2e, pytest.mark.soak]


def test_nothing_is_lost_in_a_short_storm(system: System, tmp_path: Path) -> None:
    options = Options(
        seed=7,
        seconds=15,
        orders=250,
        with_worker=False,
        kill_every_seconds=5,
        prefect_api=f"{system.url}/api",
    )
    with Soak(options, tmp_path) as soak:
        outcome = soak.run()
    assert outcome.is_lossless, "\n".join(report(outcome))
    # A process that is between two commands when its time comes is not there to be killed.
    assert outcome.kills.total() + outcome.not_there_to_kill.total() >= 1
    assert outcome.disk_full_seconds > 2 or outcome.disk_reason
    assert outcome.verdicts["cli"].orders > 50
    assert outcome.verdicts["cli"].shipments > 10
