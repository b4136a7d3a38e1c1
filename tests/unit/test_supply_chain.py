"""`make audit`: what fails, and what only warns."""

from __future__ import annotations

import os

import pytest

from tests import supply_chain
from tests.supply_chain import audit, judge, unfit


def said(**package: object) -> dict[str, object]:
    return {"dependencies": [{"name": "leaky", "version": "1.0", "vulns": []} | package], "fixes": []}


def test_a_known_vulnerable_pin_fails() -> None:
    vulnerable = said(vulns=[{"id": "PYSEC-2026-1", "fix_versions": ["1.1"], "aliases": ["CVE-2026-1"]}])
    found = judge(vulnerable)
    assert found.problems == ["leaky 1.0: PYSEC-2026-1, mended in ['1.1']"]
    assert judge(said()).problems == []


def test_one_that_does_not_concern_us_is_ignored_by_any_of_its_names(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supply_chain, "IGNORED", {"CVE-2026-1": "we never call it (2026-11-24)"})
    known = said(vulns=[{"id": "PYSEC-2026-1", "fix_versions": [], "aliases": ["CVE-2026-1"]}])
    assert judge(known).problems == []


def test_what_the_feed_does_not_know_warns() -> None:
    found = judge(said(skip_reason="not found"))
    assert (found.problems, len(found.warnings)) == ([], 1)


def test_a_feed_that_can_not_be_reached_warns() -> None:
    away = "http://127.0.0.1:1"
    found = judge(
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
