"""`desk up`, `desk deploy` and `desk sandbox`."""

from __future__ import annotations

import asyncio
import json
import os
from typing import TYPE_CHECKING, Annotated
from urllib.parse import urlsplit

import typer

from deployments.cli.output import AsJson, say
from deployments.cli.web import PORT as WEB_PORT
from deployments.cli.web import WantedPassword
from deployments.stack.environment import prepare_prefect

if TYPE_CHECKING:
    from collections.abc import Callable

    from deployments.sandbox.server import SandboxSettings

SANDBOX_ORDERS = 250


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command("up", epilog="Example: desk up --sandbox")(up)
    app.command("deploy", epilog="Example: PREFECT_API_URL=http://prefect.example.test:4200/api desk deploy")(
        deploy
    )
    app.command("sandbox", epilog="Example: desk sandbox --orders 1000 --port 8900")(sandbox)


def up(
    *,
    with_sandbox: Annotated[
        bool, typer.Option("--sandbox", help="Add the sandbox podOS, connected.")
    ] = False,
    orders: Annotated[int, typer.Option(min=0, help="How many orders the sandbox has.")] = SANDBOX_ORDERS,
    host: Annotated[
        str,
        typer.Option(
            help="Address of the Prefect server; one that other machines reach needs a password to be set."
        ),
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port of the Prefect server.")] = 4200,
    web_port: Annotated[
        int, typer.Option(min=1, max=65535, help="Port of the desk's pages, on 127.0.0.1.")
    ] = WEB_PORT,
    metrics_port: Annotated[
        int | None,
        typer.Option(min=1, max=65535, help="Serve /metrics and /health on this port of 127.0.0.1."),
    ] = None,
    password: WantedPassword = None,
    check: Annotated[
        bool, typer.Option("--check/--no-check", help="Check for new orders at the start, too.")
    ] = True,
) -> None:
    """Run the whole system on this machine until Ctrl-C: the desk's pages, Prefect server, a worker.

    Schedules and settings that were changed in the UI stay as they are.
    """
    from deployments.cli.desk_access import open_the_desk
    from deployments.stack.password import prefect_home, protect, provide_password
    from deployments.stack.running_system import RunningSystem, url_to_announce
    from deployments.stack.up import Options, address_of, run_everything
    from models.settings import Environment

    is_apart = with_sandbox and _keep_the_sandbox_apart()
    prepare_prefect(quiet=True, api_url=f"{address_of(host, port)}/api")
    database_url = Environment().database_url()  # refused now, not when the server has started
    about_the_password = provide_password(host, wanted=password)
    protect(host)
    with open_the_desk():
        pass  # made or brought up to date before anything starts
    options = Options(host, port, web_port, metrics_port, orders if with_sandbox else None, check)
    system = RunningSystem(
        api_url=f"{address_of(host, port)}/api",
        prefect_home=str(prefect_home()),
        desk_database_url=url_to_announce(database_url),
        is_sandbox=is_apart,
    )
    about_the_desk = _about_the_desk(database_url, is_apart=is_apart)
    run_everything(options, system, password=about_the_password, desk=about_the_desk, say=say)


def _keep_the_sandbox_apart() -> bool:
    """Give the sandbox a desk and a Prefect server of its own, unless the environment names one of them."""
    from deployments.stack.running_system import sandbox_place

    if os.environ.get("DESK_DATABASE_URL") or os.environ.get("PREFECT_HOME"):
        return False
    place = sandbox_place()
    place.mkdir(mode=0o700, parents=True, exist_ok=True)
    os.environ["DESK_DATABASE_URL"] = f"sqlite:///{place / 'desk.db'}"
    os.environ["PREFECT_HOME"] = str(place / "prefect")
    return True


def _about_the_desk(database_url: str, *, is_apart: bool) -> str:
    from deployments.stack.running_system import sandbox_place

    if is_apart:
        return f"the sandbox's own, in {sandbox_place()}; to begin anew, stop and remove that directory"
    if database_url.startswith("sqlite:"):
        return database_url.removeprefix("sqlite:///")
    return f"the database of DESK_DATABASE_URL on {urlsplit(database_url).hostname or 'this machine'}"


def deploy() -> None:
    """Set up the Prefect server of PREFECT_API_URL: work pool, deployments, block form, watch on dead runs.

    `desk up` does this by itself. Schedules that were changed in the UI stay as they are.
    """
    prepare_prefect(quiet=True)
    from deployments.stack.deploy import set_up_server
    from models.settings import Environment

    if not Environment().prefect_api_url:
        raise typer.BadParameter("set PREFECT_API_URL to the server's address", param_hint="PREFECT_API_URL")
    asyncio.run(set_up_server())
    say("deployed: the deployments of prefect.yaml; start a worker with: prefect worker start --pool desk")


def sandbox(
    *,
    orders: Annotated[int, typer.Option(min=0, help="How many orders it has.")] = SANDBOX_ORDERS,
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port on 127.0.0.1; 0: any free one.")] = 0,
    seed: Annotated[int, typer.Option(help="The same seed gives the same orders.")] = 1,
    benchmark: Annotated[
        bool, typer.Option("--benchmark", help="Serve only the list of orders, rendered once, very fast.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Run the sandbox podOS alone, until Ctrl-C: a stand-in with invented orders, to try things on."""
    from deployments.sandbox.server import Sandbox, SandboxSettings, serve

    settings = SandboxSettings(orders=orders, port=port, seed=seed, broken=min(1, orders))

    def ready(running: Sandbox) -> None:
        tell({"url": running.url, "project": running.project, "token": running.token})

    def tell(facts: dict[str, str]) -> None:
        if as_json:
            typer.echo(json.dumps(facts))
            return
        for name, value in facts.items():
            typer.echo(f"{name + ':':<9}{value}")
        say("Ctrl-C stops it")

    try:
        if benchmark:
            _serve_benchmark(settings, tell)
        else:
            serve(settings, ready)
    except OSError as error:
        raise typer.BadParameter(
            f"port {port} can't be used ({error.strerror})", param_hint="--port"
        ) from None


def _serve_benchmark(settings: SandboxSettings, tell: Callable[[dict[str, str]], None]) -> None:
    from deployments.sandbox.benchmark import Benchmark, serve_benchmark
    from deployments.sandbox.prerendered import PrerenderedOrders
    from deployments.sandbox.server import token_of

    token = token_of(settings)
    orders = PrerenderedOrders(settings.orders, settings.seed)
    served = Benchmark(orders, settings.project, token)
    asyncio.run(
        serve_benchmark(
            served,
            settings.port,
            lambda url: tell({"url": url, "project": settings.project, "token": token}),
        )
    )
