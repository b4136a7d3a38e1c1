"""Commands find the `desk up` that runs, and no other."""

from __future__ import annotations

import fcntl
import json
import os
from dataclasses import replace
from pathlib import Path

import pytest

from deployments.stack import running_system
from deployments.stack.running_system import (
    RunningSystem,
    announced,
    find_running_system,
    url_to_announce,
    use_running_system,
    uses_sandbox,
)

SYSTEM = RunningSystem(
    "http://127.0.0.1:4999/api", "/home/of/prefect", "sqlite:////the/desk.db", is_sandbox=True
)
OTHER = RunningSystem("http://127.0.0.1:5999/api", "/another/home", "sqlite:////other.db", is_sandbox=False)


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data directory of the test's own, and an environment that sets nothing."""
    monkeypatch.setattr(running_system, "data_place", lambda: tmp_path)
    for name in ("PREFECT_API_URL", "PREFECT_HOME", "DESK_DATABASE_URL"):
        monkeypatch.setenv(name, "")  # so that what the test sets is undone
        monkeypatch.delenv(name)  # an empty home would be the directory that the tests run in
    return tmp_path / "running.json"


def test_a_system_is_found_as_long_as_it_runs(place: Path) -> None:
    assert find_running_system() is None
    with announced(SYSTEM):
        assert find_running_system() == SYSTEM
        assert place.stat().st_mode & 0o077 == 0
    assert find_running_system() is None


def test_what_a_killed_system_left_behind_says_nothing(place: Path) -> None:
    place.write_text(json.dumps(vars(SYSTEM)))
    place.chmod(0o600)
    assert find_running_system() is None
    assert use_running_system("orders") == ""


def test_a_file_that_others_can_write_is_not_believed(place: Path) -> None:
    with announced(SYSTEM):
        place.chmod(0o666)
        assert find_running_system() is None


def test_a_link_is_not_followed(place: Path, tmp_path: Path) -> None:
    real = tmp_path / "real.json"
    real.write_text(json.dumps(vars(SYSTEM)))
    place.symlink_to(real)
    assert find_running_system() is None


def test_of_two_systems_the_first_is_found(place: Path) -> None:
    with announced(SYSTEM):
        with announced(OTHER):
            assert find_running_system() == SYSTEM
        assert find_running_system() == SYSTEM


@pytest.mark.parametrize("text", ["", "{", "[]", '{"api_url": "x"}', '{"unknown": 1}'])
def test_what_cannot_be_read_says_nothing(place: Path, text: str) -> None:
    with announced(SYSTEM):
        place.write_text(text)
        assert find_running_system() is None


def test_a_command_uses_the_running_system() -> None:
    with announced(SYSTEM):
        assert "sandbox" in use_running_system("orders")
        assert os.environ["PREFECT_API_URL"] == SYSTEM.api_url
        assert os.environ["PREFECT_HOME"] == SYSTEM.prefect_home
        assert os.environ["DESK_DATABASE_URL"] == SYSTEM.desk_database_url
        assert uses_sandbox()


def test_what_the_environment_sets_wins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DESK_DATABASE_URL", "sqlite:////mine.db")
    monkeypatch.setenv("PREFECT_HOME", "/mine")
    with announced(SYSTEM):
        assert use_running_system("orders") == ""
    assert os.environ["DESK_DATABASE_URL"] == "sqlite:////mine.db"
    assert os.environ["PREFECT_HOME"] == "/mine"
    assert os.environ["PREFECT_API_URL"] == SYSTEM.api_url


def test_another_server_of_the_environment_is_used_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PREFECT_API_URL", "http://prefect.example.test/api")
    with announced(SYSTEM):
        assert use_running_system("orders") == ""
        assert not uses_sandbox()
    assert "DESK_DATABASE_URL" not in os.environ


@pytest.mark.parametrize("command", ["up", "sandbox"])
def test_a_system_of_its_own_is_left_alone(command: str) -> None:
    with announced(SYSTEM):
        assert use_running_system(command) == ""
    assert "PREFECT_API_URL" not in os.environ


def test_a_command_that_looks_does_not_keep_a_system_from_being_found(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place.touch(0o600)
    with place.open(encoding="utf-8") as looking:
        fcntl.flock(looking, fcntl.LOCK_SH)
        monkeypatch.setattr(
            "deployments.stack.running_system.time.sleep", lambda _: fcntl.flock(looking, fcntl.LOCK_UN)
        )
        with announced(SYSTEM):
            assert find_running_system() == SYSTEM


@pytest.mark.parametrize("command", ["", "--help", "--version", "--show-completion"])
def test_what_needs_no_desk_says_nothing(command: str) -> None:
    with announced(SYSTEM):
        assert use_running_system(command) == ""
    assert "PREFECT_API_URL" not in os.environ


def test_a_desk_that_is_not_announced_is_asked_for() -> None:
    with announced(replace(SYSTEM, desk_database_url="")):
        assert "set DESK_DATABASE_URL" in use_running_system("orders")
    assert "DESK_DATABASE_URL" not in os.environ


def test_a_password_is_written_nowhere() -> None:
    assert url_to_announce("postgresql+psycopg://desk:secret@db.example.test/desk") == ""
    assert url_to_announce("postgresql+psycopg://db.example.test/desk?password=secret") == ""
    assert url_to_announce("sqlite:////the/desk.db") == "sqlite:////the/desk.db"
