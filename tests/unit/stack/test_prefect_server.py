"""Prefect's server, as this project starts it, says what it can't protect."""

from __future__ import annotations

import prefect
import pytest

from deployments.stack import prefect_server
from deployments.stack.prefect_patches import PatchError
from models.blocks import Integration


@pytest.fixture(autouse=True)
def nothing_is_started(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither replace anything in this process's Prefect nor start a server."""
    for name in ("wait_briefly_for_the_lock", "refuse_invalid_settings", "guard", "app"):
        monkeypatch.setattr(prefect_server, name, lambda: None)


def test_a_version_that_was_tried_is_started_without_a_word(capsys: pytest.CaptureFixture[str]) -> None:
    prefect_server.main()
    assert capsys.readouterr().err == ""


def test_another_version_is_started_with_a_warning(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(prefect, "__version__", "4.0.0")
    prefect_server.main()
    assert capsys.readouterr().err.startswith("Warning: Prefect 4.0.0 was not tried with this program")


def test_what_can_not_be_protected_is_not_started(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse() -> None:
        raise PatchError("Prefect 4.0.0 has no prefect.server.api.create_app")

    monkeypatch.setattr(prefect_server, "guard", refuse)
    monkeypatch.setattr(prefect_server, "app", lambda: pytest.fail("a server was started"))
    with pytest.raises(SystemExit) as end:
        prefect_server.main()
    assert end.value.code == 2
    assert capsys.readouterr().err == "Error: Prefect 4.0.0 has no prefect.server.api.create_app\n"


def test_a_form_says_what_is_wrong_and_shows_no_pattern() -> None:
    problems = prefect_server._problems(Integration, {"project": "no good!", "api_token": "x"})
    texts = [problem.message for problem in problems if list(problem.path) == ["project"]]
    assert texts == ["it has a character that can't be in it"]
