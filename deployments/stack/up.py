"""The whole system on this machine: Prefect server with UI, deployments, a worker, the sandbox if asked."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import BinaryIO
from urllib.error import URLError
from urllib.request import urlopen

from deployments.sandbox.server import Sandbox, SandboxSettings
from deployments.stack.environment import ROOT
from deployments.stack.password import password_of_pages, protect
from deployments.stack.running_system import RunningSystem, announced
from deployments.stack.stop_signals import stopped_by_signals
from models.errors import AppError
from tasks.safe_files import Directory

HOST = "127.0.0.1"
_EVERYWHERE = {"0.0.0.0": HOST, "::": "::1"}  # noqa: S104 - refused without a password
START_TIMEOUT_SECONDS = 120.0
STOP_TIMEOUT_SECONDS = 20.0
PREFECT = "prefect"
SERVER = "deployments.stack.prefect_server"


class LocalError(AppError):
    """The local system could not be started, or a part of it died; the text says which."""


def run_everything(
    *,
    host: str,
    port: int,
    web_port: int,
    metrics_port: int | None,
    sandbox_orders: int | None,
    password: str,
    desk: str,
    system: RunningSystem,
    check_at_once: bool,
    say: Callable[[str], None],
) -> None:
    """Start everything, say the addresses, and stop it all on Ctrl-C or SIGTERM.

    Args:
        host: the address that the Prefect server listens on; one that others reach needs a password.
        port: of the Prefect server; PREFECT_API_URL names it already (``prepare_prefect``).
        web_port: of the desk's pages, on 127.0.0.1.
        metrics_port: on 127.0.0.1, for ``/metrics`` and ``/health``; None: they are not served.
        sandbox_orders: size of the sandbox podOS to add, None for no sandbox.
        password: what to say about the server's password (``provide_password``).
        desk: what to say about the desk's database.
        system: what commands in other terminals are told.
        check_at_once: start a check now, and do not wait for the schedule.
        say: tells the person at the terminal.

    Raises:
        LocalError: a password is needed, the port is taken, or a part ended by itself.
    """
    protect(host)
    check_port(port, host)
    check_port(web_port, option="--web-port")
    if metrics_port is not None:
        check_port(metrics_port, option="--metrics-port")
    url = address_of(host, port)
    with stopped_by_signals(), ExitStack() as stack:
        server = stack.enter_context(child(SERVER, "server", "start", "--host", host, "--port", str(port)))
        _wait_for_server(server, f"{url}/api/health")
        say(f"pages:     {stack.enter_context(_pages(web_port))} (orders, scanning, sheets)")
        say(f"Prefect:   {url} (runs, schedules, settings)")
        say(f"password:  {password}")
        _set_up()
        if sandbox_orders is not None:
            sandbox = stack.enter_context(Sandbox(SandboxSettings(orders=sandbox_orders, broken=1)))
            say(f"sandbox:   podOS at {sandbox.url} (project {sandbox.project})")
            say(f"connected: as {_connect_sandbox(sandbox)}")
        say(f"desk:      {desk}")
        worker = stack.enter_context(child(PREFECT, "worker", "start", "--pool", "desk", "--limit", "4"))
        say(f"alerts:    {_alerts()}")
        if metrics_port is not None:
            watching = stack.enter_context(_metrics(metrics_port))
            say(f"metrics:   {watching}/metrics, health: {watching}/health")
        say(f"checks:    {_checks(at_once=check_at_once)}")
        stack.enter_context(announced(system))
        say(f"next:      {_next_step()}; commands in other terminals find this system by themselves")
        say("Ctrl-C stops all of it")
        _watch({"server": server, "worker": worker})


@contextmanager
def child(module: str, *arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run a prefect command in a process group of its own; at the end it and all it started are stopped.

    What it says goes to ``desk-up-server.log`` or ``desk-up-worker.log`` in Prefect's home, anew each time.
    """
    with _new_log(arguments[0]) as log:
        process = subprocess.Popen(  # noqa: S603 - our own words
            [sys.executable, "-m", module, *arguments],
            cwd=ROOT,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        yield process
    finally:
        _stop(process)


def _new_log(part: str) -> BinaryIO:
    """Make the log of a part anew, for its user alone."""
    path = _log_of(part)
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    # Prefect's database lies here, with the tokens and, unless it is set elsewhere, their key.
    path.parent.chmod(0o700)
    with Directory.open(path.parent, follow_link=True) as home:
        return home.replace(path.name)


def _log_of(part: str) -> Path:
    from prefect.settings import get_current_settings

    return get_current_settings().home / f"desk-up-{part}.log"


def _stop(process: subprocess.Popen[bytes]) -> None:
    group = process.pid  # start_new_session makes the child its group's leader
    if process.poll() is None:
        process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(STOP_TIMEOUT_SECONDS)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(group, signal.SIGKILL)
    process.wait()


def address_of(host: str, port: int) -> str:
    """Return where this machine reaches a server that listens on a host."""
    reached = _EVERYWHERE.get(host, host)
    return f"http://{f'[{reached}]' if ':' in reached else reached}:{port}"


def check_port(port: int, host: str = HOST, option: str = "--port") -> None:
    """Make sure that nothing listens on a port of this machine."""
    reached = _EVERYWHERE.get(host, host)
    with socket.socket(socket.AF_INET6 if ":" in reached else socket.AF_INET) as probe:
        if probe.connect_ex((reached, port)) == 0:
            raise LocalError(f"port {port} is taken: stop what runs there, or give another with {option}")


def _wait_for_server(server: subprocess.Popen[bytes], address: str) -> None:
    deadline = time.monotonic() + START_TIMEOUT_SECONDS
    while time.monotonic() < deadline:
        if server.poll() is not None:
            raise LocalError(f"the Prefect server ended at once; see why in {_log_of('server')}")
        try:
            with urlopen(address, timeout=5):  # noqa: S310 - our own http address
                return
        except (URLError, OSError):
            time.sleep(0.3)
    raise LocalError(f"the Prefect server did not answer within {START_TIMEOUT_SECONDS:.0f} seconds")


def _set_up() -> None:
    from deployments.stack.deploy import set_up_server

    asyncio.run(set_up_server())


@contextmanager
def _metrics(port: int) -> Iterator[str]:
    from deployments.stack.metrics_server import serving

    with serving(port) as address:
        yield address


@contextmanager
def _pages(port: int) -> Iterator[str]:
    from deployments.web.server import serving

    password, _ = password_of_pages(wanted=False)
    with serving(port, password=password) as address:
        yield address


def _alerts() -> str:
    from deployments.stack.deploy import alerts_go_to

    where = asyncio.run(alerts_go_to())
    return f"go to {where}" if where else "none are sent yet: desk alerts setup --webhook URL"


def _checks(*, at_once: bool) -> str:
    """Start the first check if it is wanted and there is something to check; say when the next one comes."""
    from deployments.stack.deploy import next_check_at, start_check

    async def told() -> str:
        is_started = at_once and await start_check()
        next_at = await next_check_at()
        upcoming = f"at {next_at:%H:%M} UTC" if next_at else "only by hand: the schedule is off"
        return f"one runs now, the next {upcoming}" if is_started else f"the next {upcoming}"

    return asyncio.run(told())


def _next_step() -> str:
    from tasks.prefect_api.integrations import integration_names

    if asyncio.run(integration_names()):
        return "open the pages"
    return "desk connect default --project P, which asks for the token"


def _connect_sandbox(sandbox: Sandbox) -> str:
    """Connect the sandbox, as ``default`` unless that is a real project, and return the name."""
    from pydantic import SecretStr

    from deployments.cli.connecting import connect, saved_fields
    from models.web_address import is_loopback

    given = {"project": sandbox.project, "base_url": sandbox.url, "api_token": SecretStr(sandbox.token)}

    async def connected() -> str:
        saved = await saved_fields("default")
        is_free = not saved or is_loopback(saved["base_url"].split("/")[2].split(":")[0])
        name = "default" if is_free else "sandbox"
        await connect(name, await saved_fields(name), given)
        return name

    return asyncio.run(connected())


def _watch(children: dict[str, subprocess.Popen[bytes]]) -> None:
    while True:
        for name, process in children.items():
            if process.poll() is not None:
                raise LocalError(
                    f"the {name} ended by itself (exit code {process.returncode}); all is stopped"
                )
        time.sleep(0.5)
