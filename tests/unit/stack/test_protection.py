"""Who can reach the Prefect server of `desk up`: nobody else, unless a password is set."""

from __future__ import annotations

import os

import pytest
from prefect.settings import (
    PREFECT_API_AUTH_STRING,
    PREFECT_SERVER_API_AUTH_STRING,
    temporary_settings,
)

from deployments.cli.app import run
from deployments.stack.password import PasswordNeededError, protect
from deployments.stack.up import address_of
from models.errors import ExitCode

PASSWORD = "desk:a-long-password-4711"
CSRF = "PREFECT_SERVER_CSRF_PROTECTION_ENABLED"


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without anything that a test before set."""
    monkeypatch.setenv(CSRF, "")
    monkeypatch.delenv(CSRF)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.2", "::1", "localhost"])
def test_this_machine_alone_needs_no_password(host: str) -> None:
    protect(host)
    assert CSRF not in os.environ


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.7", "desk.example.test"])
def test_others_need_a_password_and_it_says_what_to_set(host: str) -> None:
    with pytest.raises(PasswordNeededError) as refused:
        protect(host)
    for name in (host, "PREFECT_SERVER_API_AUTH_STRING", "PREFECT_API_AUTH_STRING", "name:password"):
        assert name in str(refused.value)


def test_the_command_refuses_before_anything_starts(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DESK_DATABASE_URL", "sqlite:////nowhere/desk.db")  # it is not even opened
    monkeypatch.setenv("PREFECT_API_URL", "")
    assert run(["up", "--host", "0.0.0.0", "--port", "4999"]) == ExitCode.BAD_INPUT
    assert "PREFECT_SERVER_API_AUTH_STRING" in capsys.readouterr().err


def test_with_the_same_password_on_both_sides_it_may_start() -> None:
    both = {PREFECT_SERVER_API_AUTH_STRING: PASSWORD, PREFECT_API_AUTH_STRING: PASSWORD}
    with temporary_settings(both):
        protect("0.0.0.0")
    assert os.environ[CSRF] == "true"


@pytest.mark.parametrize(
    ("server", "client"), [(PASSWORD, None), (PASSWORD, "desk:another"), ("desk", "desk"), ("desk:", "desk:")]
)
@pytest.mark.parametrize("host", ["0.0.0.0", "127.0.0.1"])
def test_a_password_that_keeps_everybody_out_is_refused(host: str, server: str, client: str | None) -> None:
    settings = {PREFECT_SERVER_API_AUTH_STRING: server, PREFECT_API_AUTH_STRING: client}
    with temporary_settings(settings), pytest.raises(PasswordNeededError) as refused:
        protect(host)
    assert "a-long-password" not in str(refused.value)


@pytest.mark.parametrize(
    ("host", "address"),
    [
        ("127.0.0.1", "http://127.0.0.1:4200"),
        ("0.0.0.0", "http://127.0.0.1:4200"),
        ("::", "http://[::1]:4200"),
        ("192.0.2.7", "http://192.0.2.7:4200"),
        ("2001:db8::1", "http://[2001:db8::1]:4200"),
    ],
)
def test_its_own_parts_reach_it_where_it_listens(host: str, address: str) -> None:
    assert address_of(host, 4200) == address
