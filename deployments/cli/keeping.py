"""`desk backup` and `desk restore`."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from deployments.cli.desk_access import open_the_desk
from deployments.cli.output import AsJson, print_json, progress, say, table

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from tasks.upkeep.backup import Kept

AFTERWARDS = (
    "what was erased after the backup is back: erase it again; "
    "what came from podOS after it comes with the next check"
)


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command("backup", epilog="Example: desk backup /var/backups/desk.db")(backup)
    app.command("restore", epilog="Example: desk restore /var/backups/desk.db")(restore)


@contextmanager
def _the_desk_as_it_is() -> Iterator[Engine]:
    """Give the desk without making it or bringing its schema up to date."""
    from models.settings import Environment
    from tasks.desk.engine import make_engine

    engine = make_engine(Environment().database_url(), with_file=False)
    try:
        yield engine
    finally:
        engine.dispose()


def backup(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Where to; only you can read it.")],
    *,
    force: Annotated[bool, typer.Option("--force", help="Replace a FILE that is there.")] = False,
    as_json: AsJson = False,
) -> None:
    """Write the desk of this moment into one file, while everything goes on running (SQLite).

    The file is complete and checked, or not there. Prefect's database, with the tokens, is not in it.
    """
    from tasks.upkeep.backup import back_up

    with _the_desk_as_it_is() as engine, progress("backing up") as shown:
        kept = back_up(
            engine, file, force=force, on_progress=lambda done, total: shown(done, f"{done} of {total} pages")
        )
    _tell(kept, as_json=as_json)
    say(f"backed up to {file}: {kept.size_bytes / 1e6:.1f} MB, schema {kept.schema}, checked")


def restore(
    file: Annotated[Path | None, typer.Argument(metavar="FILE", help="A backup of a desk.")] = None,
    *,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    finish: Annotated[
        bool, typer.Option("--finish", help="PostgreSQL: after pg_restore, so that nothing is sent twice.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Put a backup in the place of the desk, after a question (SQLite); the backup stays as it is.

    Refused while a run is at work. Until all of it is written and checked, the desk is what it was. A backup
    of an older version is brought up to date. What was sent after the backup is not sent again.
    """
    if finish == (file is not None):
        raise typer.BadParameter("name the backup, or say --finish after pg_restore", param_hint="FILE")
    if file is None:
        _finish()
        return
    if not yes and (as_json or not sys.stdin.isatty()):
        raise typer.BadParameter("nobody can be asked here: add --yes to replace the desk")
    from tasks.upkeep.restore import restore as put_back
    from tasks.upkeep.sqlite_file import path_of

    with _the_desk_as_it_is() as engine:
        if not yes and path_of(engine).exists():
            typer.confirm(f"Replace the desk {path_of(engine)} by {file}?", abort=True, err=True)
        with progress("restoring") as shown:
            kept = put_back(
                file,
                engine,
                now=datetime.now(UTC),
                on_progress=lambda done, total: shown(done, f"{done} of {total} pages"),
            )
    _tell(kept, as_json=as_json)
    say(f"restored from {file}, checked; {AFTERWARDS}")


def _finish() -> None:
    from tasks.upkeep.restore import finish

    with open_the_desk() as engine:
        finish(engine, now=datetime.now(UTC))
    say(f"the desk is ready; {AFTERWARDS}")


def _tell(kept: Kept, *, as_json: bool) -> None:
    if as_json:
        print_json(kept.as_dict())
    else:
        table(["Table", "Rows"], [(name, rows) for name, rows in kept.rows.items() if rows])
