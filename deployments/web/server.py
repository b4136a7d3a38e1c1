"""Serve the pages of the desk that the environment names, on this machine only."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from deployments.stack.thread_server import served
from deployments.stack.up import address_of
from deployments.web.app import create_app
from deployments.web.site import Site, check_by_prefect, plans_of_prefect
from models.errors import AppError, ExitCode
from models.settings import Environment
from models.web_address import is_loopback
from tasks.desk.engine import opened_desk

HOST = "127.0.0.1"


class OpenPagesError(AppError):
    """The pages would be open to other machines."""

    exit_code = ExitCode.BAD_INPUT


def refuse_other_machines(host: str) -> None:
    """Make sure that only this machine reaches the pages.

    Raises:
        OpenPagesError: others would.
    """
    if not is_loopback(host):
        raise OpenPagesError(
            f"other machines could reach {host[:100]}, and the pages know no people yet: everybody could "
            "read addresses and change orders. Use --host 127.0.0.1; from another machine, tunnel to it: "
            "ssh -L 4280:127.0.0.1:4280 SERVER"
        )


@contextmanager
def serving(port: int, host: str = HOST, *, password: str | None) -> Iterator[str]:
    """Serve the pages in a thread; give their address.

    Args:
        port: free.
        host: an address by which only this machine reaches itself.
        password: ``name:password`` that everybody is asked for; None: nobody is.

    Raises:
        OpenPagesError: other machines would reach it.
    """
    refuse_other_machines(host)
    settings = Environment()
    with opened_desk(settings.database_url()) as engine:
        prefect = settings.prefect_api_url.removesuffix("/").removesuffix("/api")
        site = Site(
            engine,
            plans_of_prefect if prefect else None,
            prefect=prefect,
            check=check_by_prefect if prefect else None,
        )
        pages = create_app(site, hosts=settings.allowed_hosts(), password=password)
        with served(pages, host, port, name="web"):
            yield address_of(host, port)
