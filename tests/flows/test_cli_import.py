"""`desk connect`, `settings`, `check` and `import` as a person runs them, with all that can be wrong."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine

from deployments.sandbox.server import Sandbox, SandboxSettings
from tests.support.commands import RunDesk, refused
from tests.support.connected import Connected

REPORT = {
    "run_id",
    "integration",
    "kind",
    "dry_run",
    "fetched",
    "imported",
    "already_imported",
    "skipped",
    "needs_attention",
    "rejected",
    "changed_upstream",
    "window",
    "seconds",
}


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Retries follow at once."""
    import stamina

    from tasks.imports.extract import extract_orders

    monkeypatch.setattr(extract_orders, "retry_delay_seconds", 0)
    with stamina.set_testing(True, attempts=2):
        yield


@pytest.fixture
def connect(desk_command: RunDesk, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Run `desk connect NAME` for the sandbox with more options."""
    monkeypatch.setenv("PODOS_API_TOKEN", sandbox.token)

    def connect(name: str, *options: str) -> Any:
        return desk_command(
            "connect", name, "--project", sandbox.project, "--base-url", sandbox.url, *options
        )

    return connect


def test_connect_saves_what_was_given_and_masks_the_token(
    connect: Any, desk_command: RunDesk, sandbox: Sandbox
) -> None:
    options = ["--folder", "Inbox", "--status", "paid", "--status", "PROCESSING", "--order-prefix", "A-"]
    options += ["--country-mode", "inverted", "--country", "gb", "--first-import-date", "2026-11-01"]
    options += ["--timezone", "Europe/London", "--no-sync-tracking"]

    result = connect("shop-1", *options, "--json")
    shown = json.loads(result.out)
    settings = json.loads(desk_command("settings", "shop-1", "--json").out)

    assert result.code == 0
    assert shown == settings
    assert settings["statuses"] == ["paid", "processing"]
    assert settings["country_filter"] == {"mode": "Inverted", "countries": ["GB"]}
    assert (settings["folder"], settings["order_prefix"], settings["time_zone"]) == (
        "Inbox",
        "A-",
        "Europe/London",
    )
    assert (settings["first_import_date"], settings["sync_tracking"]) == ("2026-11-01", False)
    assert settings["api_token"] == "********"
    assert sandbox.token not in result.out + result.err


def test_connect_again_changes_only_what_is_given(
    connect: Any, desk_command: RunDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    connect("shop-2", "--country", "GB", "--country", "IE", "--order-prefix", "A-")
    before = json.loads(desk_command("settings", "shop-2", "--json").out)
    monkeypatch.delenv("PODOS_API_TOKEN")

    result = desk_command("connect", "shop-2", "--country-mode", "inverted", "--order-prefix", "")

    after = json.loads(desk_command("settings", "shop-2", "--json").out)
    assert result.code == 0
    assert after == before | {
        "country_filter": {"mode": "Inverted", "countries": ["GB", "IE"]},
        "order_prefix": "",
    }


def test_connect_finds_out_that_podos_wants_bearer(
    desk_command: RunDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Sandbox(SandboxSettings(orders=3, auth_scheme="bearer")) as sandbox:
        monkeypatch.setenv("PODOS_API_TOKEN", sandbox.token)
        result = desk_command(
            "connect", "bearer", "--project", sandbox.project, "--base-url", sandbox.url, "--json"
        )
        assert json.loads(result.out)["authorization"] == "bearer"
        assert desk_command("check", "bearer").code == 0


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--status", "shipped"], "Order Status Filter: Input should be 'new', 'paid'"),
        (["--country", "XX"], "country 'XX' is not an ISO 3166-1"),
        (["--country-mode", "sometimes"], "Country Filter"),
        (["--timezone", "Mars/Base"], "time zone 'Mars/Base' is not known"),
        (["--first-import-date", "2999-01-01"], "is in the future"),
        (["--first-import-date", "yesterday"], "is no date"),
        (["--folder", " "], "the folder has no name"),
        (["--base-url", "http://podos.example.test"], "must begin with https://"),
        (["--base-url", "ftp://podos.example.test"], "is not a web address"),
        (["--project", "two words"], "Project Name"),
    ],
)
def test_connect_refuses_what_is_not_valid_and_saves_nothing(
    connect: Any, desk_command: RunDesk, options: list[str], words: str
) -> None:
    assert words in refused(connect("invalid", *options))
    assert "there is no integration 'invalid'" in refused(desk_command("settings", "invalid"))


@pytest.mark.parametrize(
    ("fault", "code", "words"),
    [
        ("401", 3, "podOS refused the token"),
        ("403", 3, "podOS refused token or project"),
        ("404", 4, "podOS does not know this project"),
        ("html", 5, "a web page answered instead of podOS"),
        ("503", 5, "podOS has trouble"),
        ("broken_json", 5, "podOS sent half an answer"),
    ],
)
def test_connect_tells_what_podos_said_and_saves_nothing(
    connect: Any, desk_command: RunDesk, sandbox: Sandbox, fault: str, code: int, words: str
) -> None:
    sandbox.faults.then(*[fault] * 9)

    result = connect("refused")

    assert (result.code, result.out) == (code, "")
    assert words in result.err
    assert "Traceback" not in result.err
    assert "there is no integration 'refused'" in refused(desk_command("settings", "refused"))


def test_connect_needs_a_token(desk_command: RunDesk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PODOS_API_TOKEN", raising=False)
    assert "PODOS_API_TOKEN" in refused(desk_command("connect", "tokenless", "--project", "p"))


def test_a_name_that_can_be_none_is_refused(desk_command: RunDesk) -> None:
    for command in (["check", "Not A Name"], ["settings", "../x"], ["connect", "A", "--project", "p"]):
        assert "can't be the name of an integration" in refused(desk_command(*command))


def test_check_and_import_report_as_one_json_document(connected: Connected, desk_command: RunDesk) -> None:
    check = desk_command("check", "--json")
    dry = desk_command("import", "--since", "2020-01-01", "--dry-run", "--json")

    report = json.loads(check.out)
    assert set(report) == REPORT
    assert (check.code, report["kind"], report["dry_run"]) == (0, "check", False)
    assert set(report["skipped"]) == {"status", "country", "before_first_import_date", "frozen"}
    rest = report["already_imported"] + report["rejected"] + sum(report["skipped"].values())
    assert report["fetched"] == 400 == report["imported"] + rest
    assert json.loads(dry.out)["already_imported"] == report["imported"]
    assert json.loads(dry.out)["run_id"] is None


def test_import_takes_a_moment_in_any_zone(connected: Connected, desk_command: RunDesk) -> None:
    connected.set(time_zone="Europe/Paris")
    since = (datetime.now(UTC) - timedelta(days=9)).replace(microsecond=0)

    named = desk_command("import", "--since", since.isoformat(), "--json")
    local = desk_command("import", "--since", "2026-11-01T09:30", "--until", "2026-11-02", "--json")

    assert datetime.fromisoformat(json.loads(named.out)["window"]["since"]) == since
    window = json.loads(local.out)["window"]
    assert (window["since"], window["until"]) == ("2026-11-01T08:30:00+00:00", "2026-11-02T23:00:00+00:00")


@pytest.mark.parametrize(
    ("args", "words"),
    [
        ([], "give either --since D or --order"),
        (["--since", "2026-11-01", "--order", "x"], "give either --since D or --order"),
        (["--since", "11/01/2026"], "is no date"),
        (["--since", "2026-11-02", "--until", "2026-11-01"], "the end lies before the beginning"),
        (["--since", "2900-01-01"], "2900-01-01 is in the future"),
    ],
)
def test_import_refuses_arguments_that_make_no_sense(
    connected: Connected, desk_command: RunDesk, args: list[str], words: str
) -> None:
    result = desk_command("import", *args)
    assert result.code == 2
    assert words in result.err


def test_check_names_an_integration_that_does_not_exist(connected: Connected, desk_command: RunDesk) -> None:
    assert "there is no integration 'nobody'; connected are:" in refused(desk_command("check", "nobody"))


@pytest.mark.parametrize(("fault", "code"), [("401", 3), ("404", 4), ("503", 5), ("html", 5)])
def test_check_ends_with_the_code_of_what_went_wrong(
    connected: Connected, desk_command: RunDesk, fault: str, code: int
) -> None:
    connected.sandbox.faults.then(*[fault] * 40)

    result = desk_command("check", "--json")

    assert (result.code, result.out) == (code, "")
    assert "Traceback" not in result.err


def test_a_server_that_does_not_sort_ends_the_check_with_a_clear_word(
    connected: Connected, desk_command: RunDesk
) -> None:
    connected.sandbox.faults.ignore_sort = True
    result = desk_command("check")
    assert result.code == 1
    assert "podOS did not sort by createdAt as asked" in result.err


def test_a_newer_schema_is_refused(
    connected: Connected, desk_command: RunDesk, engine: Engine, cli_database: Path
) -> None:
    with engine.begin() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")

    assert "made by a newer version of this program" in refused(desk_command("check"))


def test_rejected_orders_are_listed_and_replayed(connected: Connected, desk_command: RunDesk) -> None:
    desk_command("check")

    (rejected,) = json.loads(desk_command("rejected", "--json").out)
    replayed = desk_command("rejected", "replay", "--json")

    assert "items" in rejected["reason"]
    assert json.loads(replayed.out)["rejected"] == 1
    assert json.loads(desk_command("runs", "--json").out)[0]["kind"] == "replay"
