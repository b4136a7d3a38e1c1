"""The lock files: what is installed is known by its hash. `make audit`: what fails, and what only warns."""

from __future__ import annotations

import os
import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from tests.support import supply_chain
from tests.support.docker_context import dockerfile
from tests.support.lock_files import DEV_LOCK, LOCK, pins, with_plain_pins
from tests.support.supply_chain import assess, audit, requirements_of, unfit

ROOT = Path(__file__).parents[2]
PIN = re.compile(r"[\w.-]+(\[[\w, -]+\])?==\S+( ; [^\n\\]+)?( \\\n    --hash=sha256:[0-9a-f]{64})+\n")


def said(**package: object) -> dict[str, object]:
    return {"dependencies": [{"name": "leaky", "version": "1.0", "vulns": []} | package], "fixes": []}


def test_a_known_vulnerable_pin_fails() -> None:
    vulnerable = said(vulns=[{"id": "PYSEC-2026-1", "fix_versions": ["1.1"], "aliases": ["CVE-2026-1"]}])
    found = assess(vulnerable)
    assert found.problems == ["leaky 1.0: PYSEC-2026-1, mended in ['1.1']"]
    assert assess(said()).problems == []


def test_one_that_does_not_concern_us_is_ignored_by_any_of_its_names(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supply_chain, "IGNORED", {"CVE-2026-1": "we never call it (2026-11-24)"})
    known = said(vulns=[{"id": "PYSEC-2026-1", "fix_versions": [], "aliases": ["CVE-2026-1"]}])
    assert assess(known).problems == []


def test_what_the_feed_does_not_know_warns() -> None:
    found = assess(said(skip_reason="not found"))
    assert (found.problems, len(found.warnings)) == ([], 1)


def test_a_feed_that_can_not_be_reached_warns() -> None:
    away = "http://127.0.0.1:1"
    found = assess(
        audit(os.environ | {"HTTPS_PROXY": away, "https_proxy": away, "NO_PROXY": "", "no_proxy": ""})
    )
    assert (found.problems, len(found.warnings)) == ([], 1)
    assert "could not be used" in found.warnings[0]


@pytest.mark.parametrize(
    ("licence", "fits"),
    [
        ("MIT", True),
        ("MPL-2.0 AND (Apache-2.0 OR MIT)", True),
        ("Mozilla Public License 2.0 (MPL 2.0)", True),
        ("AGPL-3.0-only", False),
        ("MIT AND AGPL-3.0-only", False),
        ("unknown", False),
        ("not installed", False),
    ],
)
def test_a_licence_must_be_on_the_list(licence: str, fits: bool) -> None:
    assert (unfit([("package", "1.0", licence)]) == []) == fits


def test_where_a_package_lets_one_choose_the_choice_counts() -> None:
    either = "Artistic License OR GNU General Public License (GPL)"
    assert unfit([("text-unidecode", "1.3", either)]) == []
    assert unfit([("another", "1.3", either)]) != []


# --- The lock files -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("lock", [LOCK, DEV_LOCK], ids=lambda lock: lock.name)
def test_every_pin_has_hashes_and_nothing_else_is_in_the_file(lock: Path) -> None:
    found = pins(lock.read_text("utf-8"))
    assert len(found) > 100
    assert [pin.split()[0] for pin in found if not PIN.fullmatch(pin)] == []


@pytest.mark.parametrize("lock", [LOCK, DEV_LOCK], ids=lambda lock: lock.name)
def test_an_older_pip_finds_each_pin_with_and_without_its_extras(lock: Path) -> None:
    text = lock.read_text("utf-8")
    assert with_plain_pins(text) == text
    assert "\nsqlalchemy==" in text
    assert "\nsqlalchemy[asyncio]==" in text


def test_a_pin_with_extras_gets_one_without() -> None:
    pin = "a[x, y]==1 \\\n    --hash=sha256:0\n"
    assert with_plain_pins(f"{pin}b==2 \\\n    --hash=sha256:1\n") == (
        f"a==1 \\\n    --hash=sha256:0\n{pin}b==2 \\\n    --hash=sha256:1\n"
    )


def test_the_tests_run_on_what_the_program_is_installed_with() -> None:
    assert requirements_of([LOCK]) <= requirements_of([DEV_LOCK])


def test_what_builds_the_program_is_in_the_lock() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    needed = [Requirement(line) for line in project["build-system"]["requires"]]
    locked = {pin.name: next(iter(pin.specifier)).version for pin in requirements_of([LOCK])}
    assert [
        requirement.name
        for requirement in needed
        if not requirement.specifier.contains(locked[requirement.name])
    ] == []
    assert project["build-system"]["requires"] == project["project"]["optional-dependencies"]["build"]


def test_nothing_is_installed_without_a_hash() -> None:
    makefile = (ROOT / "Makefile").read_text("utf-8")
    options = dict(re.findall(r"^(\w+) := (\$\(PIP\) .*)$", makefile, re.MULTILINE))
    assert "--require-hashes --only-binary :all:" in options["LOCKED"]
    assert "--no-index --no-deps --no-build-isolation" in options["EDITABLE"]
    recipes = [line for line in makefile.splitlines() if line.startswith("\t") and "$(PIP)" in line]
    assert recipes == [], "every recipe installs by LOCKED or EDITABLE"
    assert len(re.findall("pip install", makefile)) == 2, "in PIP alone, by uv and by pip"
    for line in (line for line in dockerfile() if "pip install" in line):
        assert re.search("--require-hashes --only-binary :all:|--no-index --no-deps", line)
