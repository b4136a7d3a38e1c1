"""The pictures of the documentation can be taken anew."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support import pictures
from tests.support.documentation import ROOT

pytestmark = pytest.mark.e2e
PNG = b"\x89PNG\r\n\x1a\n"


def test_every_page_has_its_picture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pictures, "PLACE", tmp_path / "pictures")
    pictures.main()
    taken = {path.stem: path.read_bytes() for path in (tmp_path / "pictures").iterdir()}
    assert taken.keys() == pictures.PATHS.keys()
    assert all(content.startswith(PNG) and len(content) > 10_000 for content in taken.values())
    assert {path.stem for path in (ROOT / "docs" / "pictures").glob("*.png")} >= taken.keys()
