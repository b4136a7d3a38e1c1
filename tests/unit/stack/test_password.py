"""The password that `desk up` makes by itself: against whom, where it is kept, who uses it."""

from __future__ import annotations

import os
import pwd
import stat
from collections.abc import Iterator
from pathlib import Path

import prefect.context
import pytest
from prefect.settings import get_current_settings

from deployments.stack import password
from deployments.stack.environment import prepare_prefect
from deployments.stack.password import (
    CLIENT_VARIABLE,
    FILE_NAME,
    SERVER_VARIABLE,
    PasswordNeededError,
    kept_password,
    other_people,
    password_of_pages,
    protect,
    provide_password,
    use_password,
)

OWN = 1000
REAL_ACCOUNTS = password._accounts


def account(name: str, uid: int, shell: str = "/bin/bash") -> pwd.struct_passwd:
    return pwd.struct_passwd((name, "x", uid, uid, "", f"/home/{name}", shell))


SYSTEM = [
    account("root", 0),
    account("daemon", 1, "/usr/sbin/nologin"),
    account("www-data", 33, "/usr/sbin/nologin"),
    account("postgres", 110),
    account("nobody", 65534),
]
ME, ALICE, BOB = account("me", OWN), account("alice", 1_200_344, "/usr/bin/zsh"), account("bob", 1_200_345)


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty home of Prefect, on a machine of our own, where nothing is set."""
    for name in (SERVER_VARIABLE, CLIENT_VARIABLE, "PREFECT_API_URL"):
        monkeypatch.setenv(name, "")  # so that it is as it was at the end, whoever sets it
        monkeypatch.delenv(name)
    monkeypatch.setenv("PREFECT_HOME", str(tmp_path))
    monkeypatch.setattr(password, "_accounts", lambda: SYSTEM)
    monkeypatch.setattr(prefect.context, "GLOBAL_SETTINGS_CONTEXT", prefect.context.root_settings_context())
    outer = prefect.context.SettingsContext.__var__.set(None)  # type: ignore[arg-type]  # that of a harness which other tests started
    yield tmp_path
    prefect.context.SettingsContext.__var__.reset(outer)


@pytest.fixture
def several(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two other people have an account."""
    monkeypatch.setattr(password, "_accounts", lambda: [*SYSTEM, ALICE, BOB])


def passwords() -> tuple[str | None, str | None]:
    """What Prefect's settings say, for a server and for its clients."""
    settings = get_current_settings()
    found = (settings.server.api.auth_string, settings.api.auth_string)
    server, client = (None if password is None else password.get_secret_value() for password in found)
    return server, client


def test_people_are_accounts_that_log_in() -> None:
    assert other_people([*SYSTEM, ME, ALICE, BOB, ALICE], own=OWN) == ["alice", "bob"]
    assert other_people([*SYSTEM, ME], own=OWN) == []
    assert other_people([*SYSTEM, ME], own=990) == ["me"]  # a service beside the account of the administrator
    without = [account("ftp", 1002, shell) for shell in ("/usr/sbin/nologin", "/bin/false", "")]
    assert other_people([*SYSTEM, *without], own=OWN) == []


def test_those_of_a_directory_are_found_while_they_are_at_work() -> None:
    assert os.getuid() in {found.pw_uid for found in REAL_ACCOUNTS()}


def test_where_nobody_else_logs_in_there_is_no_password(home: Path) -> None:
    assert provide_password("127.0.0.1", wanted=None) == "none: nobody else can log in here"
    assert passwords() == (None, None)
    assert not (home / FILE_NAME).exists()


def test_where_others_log_in_one_is_made_and_kept(home: Path, several: None) -> None:
    said = provide_password("127.0.0.1", wanted=None)
    assert said == f"in {home / FILE_NAME}; alice, bob can log in here"
    server, client = passwords()
    assert server == client == (home / FILE_NAME).read_text().strip()
    assert server is not None
    assert server.startswith("desk:")
    assert server not in said
    assert len(server) > 30
    assert {os.environ[SERVER_VARIABLE], os.environ[CLIENT_VARIABLE]} == {server}  # for what is started
    assert stat.S_IMODE((home / FILE_NAME).stat().st_mode) == 0o600
    assert kept_password(home / FILE_NAME) == server
    assert [path.name for path in home.iterdir() if "password" in path.name] == [FILE_NAME]


def test_a_person_may_want_one_or_none(home: Path, several: None) -> None:
    assert provide_password("127.0.0.1", wanted=False) == "none, though alice, bob can log in here"
    assert passwords() == (None, None)
    assert provide_password("0.0.0.0", wanted=True).startswith(f"in {home / FILE_NAME}")
    assert passwords()[0] is not None


def test_the_pages_ask_for_that_of_the_server(home: Path, several: None) -> None:
    use_password("desk:of-a-person")
    assert password_of_pages(wanted=False) == ("desk:of-a-person", "that of the Prefect server")


def test_the_pages_ask_for_none_that_nobody_knows(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    prepare_prefect(quiet=True)
    assert passwords()[0] is not None  # of a temporary server
    assert password_of_pages(wanted=None) == (None, "none: nobody else can log in here")


def test_the_pages_ask_for_a_kept_one_where_others_log_in(home: Path, several: None) -> None:
    asked_for, said = password_of_pages(wanted=None)
    assert asked_for == (home / FILE_NAME).read_text().strip()
    assert asked_for not in said
    assert password_of_pages(wanted=None)[0] == asked_for
    assert password_of_pages(wanted=False) == (None, "none, though alice, bob can log in here")


def test_for_other_machines_none_is_made_unasked(several: None) -> None:
    provide_password("0.0.0.0", wanted=None)
    with pytest.raises(PasswordNeededError):
        protect("0.0.0.0")


def test_one_that_is_set_is_left_alone(home: Path, several: None, monkeypatch: pytest.MonkeyPatch) -> None:
    use_password("desk:of-a-person")
    assert provide_password("127.0.0.1", wanted=True) == f"that of {SERVER_VARIABLE}"
    assert passwords() == ("desk:of-a-person", "desk:of-a-person")
    assert not (home / FILE_NAME).exists()


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o666])
def test_a_file_that_others_can_open_is_refused(home: Path, mode: int) -> None:
    path = home / FILE_NAME
    path.write_text("desk:known-to-others\n")
    path.chmod(mode)
    with pytest.raises(PasswordNeededError, match="remove it") as refused:
        kept_password(path)
    assert "known-to-others" not in str(refused.value)


def test_a_file_of_somebody_else_is_refused(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept_password(home / FILE_NAME)
    own = os.getuid()
    monkeypatch.setattr(os, "getuid", lambda: own + 1)
    with pytest.raises(PasswordNeededError, match="others can read"):
        kept_password(home / FILE_NAME)


@pytest.mark.parametrize("text", ["", "desk", "desk:", ":secret", "desk:sécret", "desk:se\x00cret"])
def test_a_file_without_a_password_is_refused(home: Path, text: str) -> None:
    path = home / FILE_NAME
    path.write_text(text)
    path.chmod(0o600)
    with pytest.raises(PasswordNeededError, match="holds no name:password"):
        kept_password(path)


def test_a_link_in_its_place_is_not_followed(home: Path) -> None:
    (home / "elsewhere").write_text("desk:planted")
    (home / "elsewhere").chmod(0o600)
    (home / FILE_NAME).symlink_to(home / "elsewhere")
    with pytest.raises(OSError, match="symbolic links"):
        kept_password(home / FILE_NAME)


def test_commands_of_this_machine_find_the_kept_one(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    password = kept_password(home / FILE_NAME)
    prepare_prefect(api_url="http://127.0.0.1:4200/api")
    assert os.environ[CLIENT_VARIABLE] == password
    assert SERVER_VARIABLE not in os.environ


@pytest.mark.parametrize("address", ["https://prefect.example.test/api", "http://192.0.2.7:4200/api", ""])
def test_the_kept_one_goes_to_no_other_machine(
    home: Path, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    password = kept_password(home / FILE_NAME)
    monkeypatch.setenv("PREFECT_API_URL", address)
    prepare_prefect()
    assert os.environ.get(CLIENT_VARIABLE) != password


def test_what_the_environment_says_wins_over_the_kept_one(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept_password(home / FILE_NAME)
    monkeypatch.setenv(CLIENT_VARIABLE, "desk:of-a-person")
    prepare_prefect(api_url="http://127.0.0.1:4200/api")
    assert os.environ[CLIENT_VARIABLE] == "desk:of-a-person"


def test_a_temporary_server_has_a_password_of_its_own_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    prepare_prefect()
    server, client = passwords()
    assert server == client
    assert server is not None
    assert len(server) > 30
    prepare_prefect()
    assert passwords() == (server, client)
    for name in (SERVER_VARIABLE, CLIENT_VARIABLE):
        monkeypatch.delenv(name)
    prefect.context.refresh_global_settings_context()
    prepare_prefect()
    assert passwords()[0] not in {None, server}


def test_a_server_that_is_named_anywhere_gets_no_other_password(home: Path) -> None:
    profile = '[profiles.work]\nPREFECT_API_URL = "https://prefect.example.test/api"\n'
    (home / "profiles.toml").write_text(
        f'active = "work"\n{profile}PREFECT_API_AUTH_STRING = "desk:theirs"\n'
    )
    prefect.context.refresh_global_settings_context()
    prepare_prefect()
    assert passwords() == (None, "desk:theirs")
