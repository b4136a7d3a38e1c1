"""`make demo`: a sandbox podOS, connected, its orders imported into a fresh desk and handed over."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import typer

from deployments.sandbox.receiver import Receiver
from deployments.sandbox.server import Sandbox, SandboxSettings
from deployments.stack.environment import ROOT

PLACE = ROOT / ".demo"
SECRET = "the demo's own secret"  # noqa: S105 - of a receiver that ends with the demo


def main() -> None:
    """Run the demo; its desk and Prefect home lie in ``.demo`` and are made anew each time."""
    shutil.rmtree(PLACE, ignore_errors=True)
    PLACE.mkdir(mode=0o700)
    with Sandbox(SandboxSettings(orders=250, broken=1)) as sandbox:
        typer.echo(f"sandbox podOS at {sandbox.url} with {len(sandbox.store)} orders\n")
        environment = _environment(sandbox)
        desk("connect", "--project", sandbox.project, "--base-url", sandbox.url, environment=environment)
        desk("check", environment=environment)
        desk("folders", environment=environment)
        desk("orders", "--folder", "Needs Attention", "--limit", "3", environment=environment)
        desk("rejected", environment=environment)
        _hand_over(environment)
    typer.echo(f"the desk's database: {(PLACE / 'desk.db').relative_to(ROOT)} (SQLite)")
    here = f"DESK_DATABASE_URL=sqlite:///{PLACE.relative_to(ROOT)}/desk.db .venv/bin/desk"
    typer.echo(f"look on: {here} orders")
    typer.echo(f"in the browser: {here} web")


def _hand_over(environment: dict[str, str]) -> None:
    """Show the way from order to parcel: to a printer's webhook, shipped, and back to podOS."""
    with Receiver(SECRET) as receiver:
        typer.echo(f"a printer's webhook at {receiver.url}\n")
        with_secret = environment | {"FULFILLER_SECRET": SECRET}
        desk("fulfillers", "add", "webhook", "acme", "--address", receiver.url, environment=with_secret)
        desk("send", "--folder", "New", "--to", "acme", environment=environment)
        first = next(iter(receiver.taken.values()))["order"]
    order = str(first["id"])
    desk("ship", order, "--courier", "Royal Mail", "--code", "AB123456789GB", environment=environment)
    desk("sync", environment=environment)
    desk("order", order, environment=environment)


def _environment(sandbox: Sandbox) -> dict[str, str]:
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(("PREFECT_", "DESK_"))
    }
    return environment | {
        "DESK_DATABASE_URL": f"sqlite:///{PLACE / 'desk.db'}",
        "PREFECT_HOME": str(PLACE / "prefect"),
        "PODOS_API_TOKEN": sandbox.token,
    }


def desk(*arguments: str, environment: dict[str, str]) -> None:
    """Show a command as a person would type it, and run it."""
    typer.echo(f"$ desk {' '.join(repr(word) if ' ' in word else word for word in arguments)}")
    program = Path(sys.executable).parent / "desk"
    done = subprocess.run([program, *arguments], env=environment, check=False)  # noqa: S603 - our own words
    if done.returncode:
        raise SystemExit(done.returncode)
    typer.echo()


if __name__ == "__main__":
    main()
