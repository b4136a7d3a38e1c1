"""What the documentation shows is what the commands really give, on the desk of ``make demo``."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from deployments.stack.environment import ROOT
from tasks.desk.engine import open_desk
from tests.support import documentation, example_desk
from tests.support.documentation import Example, is_shown_by, plain

DEMO = "make demo"
SQLITE = """#!{python}
import sqlite3, sys
with sqlite3.connect(sys.argv[1]) as database:
    for row in database.execute(sys.argv[2]):
        print(*("" if value is None else value for value in row), sep="|")
"""
"""The sqlite3 tool as the examples use it; it is not on every machine."""
IN_A_CORNER = """
from pathlib import Path
import deployments.stack.demo as demo
demo.PLACE = Path({place!r})
demo.main()
"""

EXAMPLES = list(documentation.examples())


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with the demo's desk, and the tools that examples use."""
    place = tmp_path_factory.mktemp("examples")
    (place / ".demo").mkdir()
    engine = open_desk(f"sqlite:///{place}/.demo/desk.db")
    example_desk.fill(engine)
    engine.dispose()
    for file in (ROOT / "docs").glob("*.example.yaml"):
        shutil.copy(file, place)
    tool = place / "sqlite3"
    tool.write_text(SQLITE.format(python=sys.executable))
    tool.chmod(0o700)
    return place


@pytest.mark.parametrize("example", [example for example in EXAMPLES if example.command != DEMO], ids=str)
def test_an_example_shows_what_the_command_gives(example: Example, place: Path) -> None:
    path = [str(place), str(Path(sys.executable).parent), os.environ["PATH"]]
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", example.command],
        cwd=place,
        env=os.environ
        | {
            "PATH": os.pathsep.join(path),
            "DESK_DATABASE_URL": f"sqlite:///{place}/.demo/desk.db",
            "PREFECT_HOME": str(place / ".prefect"),
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    assert is_shown_by(example.output, done.stdout), f"write instead:\n{done.stdout}"


@pytest.fixture
def corner() -> Iterator[Path]:
    """A directory in the checkout for a demo that is not in the way of another one."""
    caches = ROOT / ".pytest_cache"
    caches.mkdir(exist_ok=True)
    corner = Path(tempfile.mkdtemp(prefix="demo-", dir=caches))
    yield corner
    shutil.rmtree(corner, ignore_errors=True)


@pytest.mark.e2e
def test_the_demo_gives_what_the_readme_shows(corner: Path) -> None:
    (shown,) = (example.output for example in EXAMPLES if example.command == DEMO)
    done = subprocess.run(
        [sys.executable, "-c", IN_A_CORNER.format(place=str(corner))],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    output = done.stdout.replace(str(corner.relative_to(ROOT)), ".demo")
    assert done.returncode == 0, output
    assert is_shown_by(shown, output), f"write instead:\n{output}"


def test_the_report_is_the_one_that_is_shown(tmp_path: Path) -> None:
    text = documentation.section(documentation.page("docs/mapping.md"), "The report of a run")
    shown = json.loads(text.split("```json\n")[1].split("```")[0])
    engine = open_desk(f"sqlite:///{tmp_path}/desk.db")
    report = example_desk.fill(engine).as_dict()
    engine.dispose()
    assert report | {"seconds": shown["seconds"]} == shown


def test_an_output_that_differs_is_found() -> None:
    assert is_shown_by("a  1\n...\nz", "a 1\n\nb\nc\nz\n")
    assert is_shown_by("at 2026-01-01 10:00:00", "at 2027-12-31 23:59:59\n")
    assert not is_shown_by("a 1", "a 2")
    assert not is_shown_by("a\n...", "b\nc")
    assert not is_shown_by("", "a")
    assert plain("127.0.0.1:4200 ──── x\n\n") == "127.0.0.1:PORT ─ x\n"
