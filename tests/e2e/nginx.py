"""nginx in front of a running system, with the configuration of the runbook."""

from __future__ import annotations

import re
import shutil
import ssl
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

import httpx
import pytest
import trustme

from tests.e2e.running import START_SECONDS, STOP_SECONDS, free_port, wait_for
from tests.support.documentation import page, section

NGINX = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
FRAME = """
daemon off;
master_process off;
pid {place}/nginx.pid;
error_log {place}/error.log;
events {{ worker_connections 256; }}
http {{
    access_log {place}/access.log;
    client_body_temp_path {place}/body;
    proxy_temp_path {place}/proxy;
    fastcgi_temp_path {place}/fastcgi;
    uwsgi_temp_path {place}/uwsgi;
    scgi_temp_path {place}/scgi;
    {servers}
}}
"""


class Proxy(NamedTuple):
    """A running nginx."""

    name: str
    """The public name, which no DNS knows; a browser is told where it is."""
    port: int
    """Where it passes the Host header on, as the runbook has it."""
    local_port: int
    """Where it asks the server for the public name whatever it was asked for itself: for programs."""
    authority: Path
    """The certificate of the authority that signed its own."""

    @property
    def environment(self) -> dict[str, str]:
        """The variables of a program that comes through the proxy."""
        return {
            "PREFECT_API_URL": f"https://127.0.0.1:{self.local_port}/api",
            "PREFECT_API_SSL_CERT_FILE": str(self.authority),
        }

    def trusting(self) -> ssl.SSLContext:
        """How the authority is trusted."""
        return ssl.create_default_context(cafile=str(self.authority))


@contextmanager
def reverse_proxy(place: Path, name: str, server_port: int) -> Iterator[Proxy]:
    """Run nginx before a server of this machine.

    Args:
        place: an empty directory of its own.
        name: under which the server is reached from outside.
        server_port: of the server.
    """
    if NGINX is None:
        pytest.skip("nginx is not installed: apt-get install nginx-light (.ci/run does)")
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(place / "authority.pem"))
    authority.issue_cert(name, "127.0.0.1").private_key_and_cert_chain_pem.write_to_path(
        str(place / "own.pem")
    )
    proxy = Proxy(name, free_port(), free_port(), place / "authority.pem")
    servers = _of_the_runbook(place, proxy, server_port)
    (place / "nginx.conf").write_text(FRAME.format(place=place, servers=servers))
    process = subprocess.Popen([NGINX, "-p", place, "-c", place / "nginx.conf", "-e", place / "error.log"])

    def answers() -> bool:
        assert process.poll() is None, (place / "error.log").read_text()
        with suppress(httpx.TransportError):
            httpx.get(f"https://127.0.0.1:{proxy.local_port}/", verify=proxy.trusting())
            return True
        return False

    try:
        wait_for("nginx", answers, START_SECONDS)
        yield proxy
    finally:
        process.terminate()
        process.wait(STOP_SECONDS)


def _of_the_runbook(place: Path, proxy: Proxy, server_port: int) -> str:
    """Return the runbook's configuration for these ports, and the same again for programs."""
    text = section(page("docs/runbook.md"), "Behind a reverse proxy")
    (block,) = re.findall(r"```nginx\n(.*?)```", text, re.DOTALL)
    replaced = {
        "listen 443 ssl": f"listen 127.0.0.1:{proxy.port} ssl",
        "server_name desk.example.test": f"server_name {proxy.name}",
        "/etc/ssl/desk.pem": str(place / "own.pem"),
        "/etc/ssl/desk.key": str(place / "own.pem"),
        "http://127.0.0.1:4200": f"http://127.0.0.1:{server_port}",
    }
    for documented, own in replaced.items():
        assert block.count(documented) == 1, documented
        block = block.replace(documented, own)
    upgrade, server = block.split("\nserver {")
    for_programs = server.replace(f":{proxy.port} ssl", f":{proxy.local_port} ssl")
    for_programs = for_programs.replace("Host $http_host", f"Host {proxy.name}")
    return f"{upgrade}\nserver {{{server}\nserver {{{for_programs}"
