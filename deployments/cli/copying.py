"""`desk copy-to`."""

from __future__ import annotations

from typing import Annotated

import typer

from deployments.cli.desk_access import open_the_desk
from deployments.cli.output import AsJson, print_json, progress, say, table


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("copy-to", epilog="Example: desk copy-to postgresql+psycopg://desk@db.example.test/desk")(
        copy_to
    )


def copy_to(
    url: Annotated[str, typer.Argument(metavar="URL", help="SQLAlchemy address of the other database.")],
    *,
    as_json: AsJson = False,
) -> None:
    """Copy this desk into a PostgreSQL database, mostly from SQLite, and compare both row by row.

    Stopped and started again, it goes on with the rows that are missing. Keep the password out of the
    address: PGPASSWORD or ~/.pgpass hold it. Afterwards set DESK_DATABASE_URL to the new address.
    """
    from tasks.desk.engine import opened_desk
    from tasks.upkeep.copy_desk import copy_desk

    if not url.startswith("postgresql"):
        raise typer.BadParameter(
            "it must begin with postgresql+psycopg://; an SQLite desk is copied with desk backup FILE",
            param_hint="URL",
        )
    with open_the_desk() as source, opened_desk(url) as target, progress("copying the desk") as show:
        counts = copy_desk(source, target, lambda name, done: show(done, f"{done} rows, now {name}"))
    if as_json:
        print_json(counts)
        return
    table(["Table", "Rows"], list(counts.items()))
    say("both databases hold the same; next: start desk up anew, with the new DESK_DATABASE_URL")
