"""`desk web`: the desk in the browser."""

from __future__ import annotations

import time
from typing import Annotated

import typer

from deployments.cli.output import say
from deployments.stack.environment import prepare_prefect

PORT = 4280
WantedPassword = Annotated[
    bool | None,
    typer.Option(
        "--password/--no-password",
        help="If no password is set for the Prefect server, make one and keep it. Default: where other "
        "people have an account on this machine.",
        show_default=False,
    ),
]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("web", epilog="Example: desk web --port 4280")(web)


def web(
    *,
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port of the pages.")] = PORT,
    host: Annotated[
        str, typer.Option(help="Address to listen on; only one of this machine itself, such as ::1.")
    ] = "127.0.0.1",
    password: WantedPassword = None,
) -> None:
    """Serve the desk's pages on this machine, until Ctrl-C: floor, orders, scanning, job sheets.

    `desk up` does the same beside the system. Where the Prefect server has a password, the pages ask for it.
    """
    from deployments.stack.password import password_of_pages
    from deployments.stack.stop_signals import stopped_by_signals
    from deployments.stack.up import check_port
    from deployments.web.server import refuse_other_machines, serving

    prepare_prefect(quiet=True)
    refuse_other_machines(host)
    check_port(port, host)
    asked_for, about_it = password_of_pages(wanted=password)
    with stopped_by_signals(), serving(port, host, password=asked_for) as address:
        say(f"the desk:  {address}")
        say(f"password:  {about_it}")
        say("Ctrl-C stops it")
        while True:
            time.sleep(0.5)
