"""PostgreSQL servers for tests and benchmarks, and their databases.

The server that the tests bring lacks the extension pg_trgm, which Prefect's server needs: Debian's has it.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import create_engine, make_url, text

PROGRAMS = max(Path("/usr/lib/postgresql").glob("*/bin"), default=None)
"""Where its programs lie, None where it is not installed."""
MISSING = "Debian's PostgreSQL is not installed: apt-get install postgresql (.ci/run does)"


@contextmanager
def debian_postgres(place: Path, port: int, settings: Mapping[str, str] | None = None) -> Iterator[str]:
    """Run a server on a port of 127.0.0.1 and give its address.

    Args:
        place: a directory that another user can enter; its data are kept there.
        port: a free one.
        settings: of postgresql.conf, beside its usual, safe ones.
    """
    assert PROGRAMS is not None, MISSING
    as_user: list[str | Path] = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []
    data = place / "postgres"
    data.mkdir()
    if as_user:
        shutil.chown(data, "postgres")
    _run(*as_user, PROGRAMS / "initdb", "-D", data, "-A", "trust", "-U", "postgres")
    wanted = {
        "listen_addresses": "127.0.0.1",
        "port": str(port),
        "max_connections": "200",
        **(settings or {}),
    }
    options = " ".join([f"-c {name}={value}" for name, value in wanted.items()] + [f"-k {data}"])
    control = [*as_user, PROGRAMS / "pg_ctl", "-D", data, "-w"]
    _run(*control, "-l", data / "log", "-o", options, "start")
    try:
        yield f"postgresql+psycopg://postgres:postgres@127.0.0.1:{port}/postgres"
    finally:
        _run(*control, "-m", "fast", "stop")


def _run(*command: str | Path) -> None:
    subprocess.run(command, cwd="/", stdout=subprocess.DEVNULL, check=True)


def administer(server: str, statement: str) -> None:
    """Run a statement outside of a transaction."""
    engine = create_engine(server, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text(statement))
    engine.dispose()


def address_of(server: str, name: str) -> str:
    """Return the address of another database of the server."""
    return make_url(server).set(database=name).render_as_string(hide_password=False)
