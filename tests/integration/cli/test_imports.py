"""A command that only reads the desk loads neither Prefect nor pandas."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tasks.desk.engine import make_engine, open_desk
from tests.support.builders import insert_order

READS = {
    "orders": ("orders",),
    "orders export": ("orders", "export"),
    "order": ("order", "desk:1"),
    "folders": ("folders",),
    "shipments": ("shipments",),
    "outbox": ("outbox",),
    "rejected": ("rejected",),
    "changes": ("changes",),
    "runs": ("runs",),
    "rules list": ("rules", "list"),
    "maps show": ("maps", "show"),
}
HEAVY = ("alembic", "httpx", "pandas", "prefect", "pycountry", "python_calamine")


@pytest.mark.parametrize("command", READS)
def test_a_command_that_reads_loads_nothing_heavy(tmp_path: Path, command: str) -> None:
    url = f"sqlite:///{tmp_path / 'desk.db'}"
    open_desk(url).dispose()
    engine = make_engine(url)
    insert_order(engine)
    engine.dispose()
    code = (
        "import sys; from deployments.cli.app import run; code = run(sys.argv[1:]);"
        f"print(*(name for name in {HEAVY!r} if name in sys.modules), file=sys.stderr); sys.exit(code)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *READS[command]],
        env=os.environ | {"DESK_DATABASE_URL": url},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    loaded = set(done.stderr.splitlines()[-1].split())
    assert loaded == set()
