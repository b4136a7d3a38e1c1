"""The command line when something is wrong, and as a program of its own."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import stat
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest
from sqlalchemy import Engine

import tasks.desk.folders
from tasks.desk import engine as engine_module
from tasks.desk.engine import writing
from tasks.desk.errors import RetriableDeskError
from tasks.podos.errors import RetriablePodosError, TokenRefusedError, UnknownProjectError
from tests.support.builders import fill_folder, insert_run
from tests.support.commands import RunDesk, refused

DESK = Path(sys.executable).with_name("desk")


@pytest.mark.parametrize(
    "args",
    [
        ["frobnicate"],
        ["orders", "--limit", "0"],
        ["orders", "--limit", "many"],
        ["orders", "--folder", "Nowhere"],
        ["orders", "--folder", "New", "export"],
        ["orders", "export", "--format", "xml"],
        ["orders", "export", "--format", "csv", "--json"],
        ["order"],
        ["move", "A-1"],
        ["folders", "add", " "],
        ["folders", "add", "new"],
        ["folders", "--json", "add", "x"],
        ["runs", "--limit", "-1"],
    ],
)
def test_bad_arguments_end_with_two_and_a_sentence(desk_command: RunDesk, args: list[str]) -> None:
    assert "Value error" not in refused(desk_command(*args))


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (TokenRefusedError("podOS refused the token"), 3),
        (UnknownProjectError("podOS does not know the project"), 4),
        (RetriablePodosError("podOS could not be reached"), 5),
        (RetriableDeskError("the desk's database is locked"), 1),
        (RuntimeError("out of paper"), 1),
        (KeyboardInterrupt(), 130),
    ],
)
def test_errors_of_a_command_have_their_code_and_no_traceback(
    desk_command: RunDesk, monkeypatch: pytest.MonkeyPatch, error: BaseException, code: int
) -> None:
    def fail(_engine: Engine) -> None:
        raise error

    monkeypatch.setattr(tasks.desk.folders, "list_folders", fail)
    result = desk_command("folders", "--json")
    assert (result.code, result.out) == (code, "")
    assert (str(error) or "stopped") in result.err
    assert "Traceback" not in result.err


def test_a_wrong_database_address_is_a_bad_setting(
    desk_command: RunDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DESK_DATABASE_URL", "mysql://root:sEcReT@localhost/desk")
    message = refused(desk_command("orders"))
    assert "DESK_DATABASE_URL" in message
    assert "sEcReT" not in message


def test_a_locked_database_fails_the_command_and_loses_nothing(
    desk_command: RunDesk, cli_database: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine_module, "BUSY_TIMEOUT_SECONDS", 0)
    holder = sqlite3.connect(cli_database, isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    result = desk_command("folders", "add", "Later")
    assert (result.code, result.out) == (1, "")
    assert "locked by another program" in result.err
    holder.close()
    assert desk_command("folders", "add", "Later").code == 0


# --- the real program ---------------------------------------------------------------------------------------


def test_the_program_makes_its_own_desk(tmp_path: Path) -> None:
    path = tmp_path / "new" / "desk.db"
    environment = os.environ | {"DESK_DATABASE_URL": f"sqlite:///{path}"}
    done = subprocess.run(
        [DESK, "folders", "--json"], env=environment, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert [folder["name"] for folder in json.loads(done.stdout)] == ["New", "Prepared", "Closed", "Canceled"]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_reader_that_leaves_early_ends_the_export_quietly(cli_database: Path, cli_engine: Engine) -> None:
    run_id = insert_run(cli_engine)
    with writing(cli_engine) as connection:
        fill_folder(connection, "New", run_id=run_id, count=3_000)
    script = f"set -o pipefail; '{DESK}' orders export | head -1"
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout)["order_number"] == "1"


def test_ctrl_c_in_the_middle_ends_in_a_sentence(cli_database: Path, cli_engine: Engine) -> None:
    run_id = insert_run(cli_engine)
    with writing(cli_engine) as connection:
        fill_folder(connection, "New", run_id=run_id, count=3_000)
    with subprocess.Popen(
        [DESK, "orders", "export"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout
        process.stdout.readline()
        process.send_signal(signal.SIGINT)  # it stands before a full pipe
        _, message = process.communicate(timeout=60)
    assert (process.returncode, message) == (130, "Error: stopped; what was done so far is kept\n")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_watching_a_folder_ends_well_when_it_is_asked_to(
    cli_database: Path, tmp_path: Path, number: signal.Signals
) -> None:
    drop = tmp_path / "drop"
    drop.mkdir()
    (drop / "a.csv").write_text("no header\n")
    os.utime(drop / "a.csv", (0, 0))  # finished
    command: list[str | Path] = [DESK, "ship", "--watch", str(drop)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout
        assert "moved to failed/a.csv" in process.stdout.readline()
        process.send_signal(number)
        _, message = process.communicate(timeout=60)
    assert (process.returncode, message) == (0, f"watching {drop}; Ctrl-C stops it\n")


def test_help_waits_for_nothing_heavy() -> None:
    heavy = {"alembic", "pandas", "prefect", "sqlalchemy"}
    script = f"import sys, deployments.cli.app; print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", script], check=True, capture_output=True, text=True, timeout=60
    )
    assert done.stdout == "[]\n"


@pytest.mark.parametrize(
    "command",
    [
        *(
            ["orders"],
            ["orders", "export"],
            ["order"],
            ["folders"],
            ["folders", "add"],
            ["folders", "rename"],
        ),
        *(["folders", "delete"], ["move"], ["runs"], ["rejected"], []),
    ],
)
def test_every_help_has_an_example(desk_command: RunDesk, command: list[str]) -> None:
    result = desk_command(*command, "--help")
    assert result.code == 0
    assert "Example: desk" in result.out


@pytest.mark.parametrize(("content", "told"), [(None, "No such file"), ("x", "it holds no certificate")])
def test_certificates_that_can_not_be_read_are_named(
    content: str | None, told: str, desk_command: RunDesk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if content:
        (tmp_path / "authority.pem").write_text(content)
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "authority.pem"))
    said = refused(desk_command("check"))
    assert f"SSL_CERT_FILE: {tmp_path}/authority.pem can't be used ({told}" in said


def test_the_version_is_that_of_the_package(desk_command: RunDesk) -> None:
    assert desk_command("--version").out == f"podos-order-desk {version('podos-order-desk')}\n"


def test_a_second_signal_interrupts_what_the_first_lets_end() -> None:
    """The work in hand here is one that never ends."""
    script = (
        "import signal, os, time\n"
        "from deployments.stack.stop_signals import asked_to_stop\n"
        "with asked_to_stop() as stop:\n"
        "    os.kill(os.getpid(), signal.SIGTERM)\n"
        "    print('asked', stop.is_set(), flush=True)\n"
        "    time.sleep(60)\n"
    )
    command = [sys.executable, "-c", script]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout
        assert process.stdout.readline() == "asked True\n"
        process.send_signal(signal.SIGINT)
        _, message = process.communicate(timeout=30)
    assert message.rstrip().endswith("KeyboardInterrupt")
