"""The whole system on this machine: Prefect server with UI, deployments, a worker, the sandbox if asked."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import datetime
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


@dataclass(frozen=True)
class Options:
    """What the system on this machine consists of.

    Attributes:
        host: the address that the Prefect server listens on; one that others reach needs a password.
        port: of the Prefect server; PREFECT_API_URL names it already (``prepare_prefect``).
        web_port: of the desk's pages, on 127.0.0.1.
        metrics_port: on 127.0.0.1, for ``/metrics`` and ``/health``; None: they are not served.
        sandbox_orders: size of the sandbox podOS to add, None for no sandbox.
        checks_at_once: start a check now, and do not wait for the schedule.
    """

    host: str
    port: int
    web_port: int
    metrics_port: int | None
    sandbox_orders: int | None
    checks_at_once: bool

    def check_ports(self) -> None:
        """Make sure that all ports are free.

        Raises:
            LocalError: one is taken.
        """
        check_port(self.port, self.host)
        check_port(self.web_port, option="--web-port")
        if self.metrics_port is not None:
            check_port(self.metrics_port, option="--metrics-port")


def run_everything(
    options: Options, system: RunningSystem, *, password: str, desk: str, say: Callable[[str], None]
) -> None:
    """Start everything, say the addresses, and stop it all on Ctrl-C or SIGTERM.

    Args:
        options: what is started.
        system: what commands in other terminals are told.
        password: what to say about the server's password (``provide_password``).
        desk: what to say about the desk's database.
        say: tells the person at the terminal.

    Raises:
        LocalError: a password is needed, a port is taken, or a part ended by itself.
    """
    protect(options.host)
    options.check_ports()
    with stopped_by_signals(), ExitStack() as stack:
        server = stack.enter_context(_server(options, say, password))
        if options.sandbox_orders is not None:
            stack.enter_context(_sandbox(options.sandbox_orders, say))
        say(f"desk:      {desk}")
        worker = stack.enter_context(child(PREFECT, "worker", "start", "--pool", "desk", "--limit", "4"))
        say(f"alerts:    {_alerts()}")
        if options.metrics_port is not None:
            stack.enter_context(_metrics(options.metrics_port, say))
        checks, next_step = _begin(at_once=options.checks_at_once)
        say(f"checks:    {checks}")
        stack.enter_context(announced(system))
        say(f"next:      {next_step}; commands in other terminals find this system by themselves")
        say("Ctrl-C stops all of it")
        _watch({"server": server, "worker": worker}, _threads())


@contextmanager
def _server(options: Options, say: Callable[[str], None], password: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run the Prefect server and the desk's pages, and set the server up."""
    url, host, port = address_of(options.host, options.port), options.host, str(options.port)
    with child(SERVER, "server", "start", "--host", host, "--port", port) as server:
        _wait_for_server(server, f"{url}/api/health")
        with _pages(options.web_port) as pages:
            say(f"pages:     {pages} (orders, scanning, sheets)")
            say(f"Prefect:   {url} (runs, schedules, settings)")
            say(f"password:  {password}")
            _set_up()
            yield server


@contextmanager
def _sandbox(orders: int, say: Callable[[str], None]) -> Iterator[None]:
    with Sandbox(SandboxSettings(orders=orders, broken=1)) as sandbox:
        say(f"sandbox:   podOS at {sandbox.url} (project {sandbox.project})")
        say(f"connected: as {_connect_sandbox(sandbox)}")
        yield


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
def _metrics(port: int, say: Callable[[str], None]) -> Iterator[None]:
    from deployments.stack.metrics_server import serving

    with serving(port) as address:
        say(f"metrics:   {address}/metrics, health: {address}/health")
        yield


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


def _begin(*, at_once: bool) -> tuple[str, str]:
    """Start the first check if it is wanted and there is something to check.

    Returns:
        When checks run, and what the operator does next.
    """
    from deployments.stack.planning import next_check_at, start_check
    from tasks.prefect_api.integrations import integration_names

    async def begun() -> tuple[bool, bool, datetime | None]:
        has_integration = bool(await integration_names())
        is_started = at_once and has_integration
        if is_started:
            await start_check("check at the start")
        return has_integration, is_started, await next_check_at()

    has_integration, is_started, next_at = asyncio.run(begun())
    upcoming = f"the next {f'at {next_at:%H:%M} UTC' if next_at else 'only by hand: the schedule is off'}"
    next_step = (
        "open the pages" if has_integration else "desk connect default --project P, which asks for the token"
    )
    return f"one runs now, {upcoming}" if is_started else upcoming, next_step


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


def _threads() -> list[threading.Thread]:
    """Return the threads that serve the pages and the metrics."""
    return [thread for thread in threading.enumerate() if thread.name in {"web", "metrics"}]


def _watch(children: dict[str, subprocess.Popen[bytes]], threads: Sequence[threading.Thread]) -> None:
    while True:
        for name, process in children.items():
            if process.poll() is not None:
                raise LocalError(
                    f"the {name} ended by itself (exit code {process.returncode}); all is stopped"
                )
        if ended := next((thread.name for thread in threads if not thread.is_alive()), None):
            raise LocalError(f"the {ended} server ended by itself; all is stopped")
        time.sleep(0.5)
