"""`/health` and `/metrics` on a port of this machine: what `desk status` says, for programs."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.core import Metric
from prometheus_client.registry import Collector
from sqlalchemy import Engine
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from deployments.stack.same_origin import Policy, SameOrigin
from deployments.stack.thread_server import served
from models.settings import Environment
from models.watching import Plans
from tasks.desk.engine import opened_desk
from tasks.desk.errors import DeskError
from tasks.monitoring.metrics import families
from tasks.monitoring.plans import read_plans
from tasks.monitoring.status import Status, read_status

HOST = "127.0.0.1"
PLANS_FOR_SECONDS = 60.0


class Looker:
    """Looks at the desk, one look at a time; what Prefect plans is asked at most once a minute.

    Args:
        engine: the desk.
        plans: asks the Prefect server.
        clock: seconds that only grow.
    """

    def __init__(
        self,
        engine: Engine,
        plans: Callable[[], Plans | None] = lambda: asyncio.run(read_plans()),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._engine = engine
        self._ask = plans
        self._clock = clock
        self._plans: Plans | None = None
        self._asked_at: float | None = None
        self._one_at_a_time = threading.Lock()

    def status(self) -> Status | None:
        """Return what is found now, None if the desk can't be read."""
        with self._one_at_a_time:
            if self._asked_at is None or self._clock() - self._asked_at > PLANS_FOR_SECONDS:
                self._plans, self._asked_at = self._ask(), self._clock()
            try:
                return read_status(
                    self._engine, self._plans, Environment().thresholds(), now=datetime.now(UTC)
                )
            except DeskError:
                return None


class _Once(Collector):
    """The metrics of one look."""

    def __init__(self, status: Status | None) -> None:
        self._status = status

    def collect(self) -> Iterator[Metric]:
        return families(self._status)


def create_app(looker: Looker, hosts: frozenset[str] = frozenset()) -> SameOrigin:
    """Return the two pages, for programs and for nobody's web page.

    Args:
        looker: at the desk.
        hosts: names of this machine besides its own (DESK_ALLOWED_HOSTS).
    """

    def health(_request: Request) -> Response:
        status = looker.status()
        if status is None:
            return JSONResponse({"well": False, "troubles": ["the desk's database can't be read"]}, 503)
        found = {"well": status.is_well, "troubles": [trouble.cause for trouble in status.troubles]}
        return JSONResponse(found, 200 if status.is_well else 503)

    def metrics(_request: Request) -> Response:
        registry = CollectorRegistry()
        registry.register(_Once(looker.status()))
        return Response(generate_latest(registry), headers={"Content-Type": CONTENT_TYPE_LATEST})

    pages = Starlette(routes=[Route("/health", health), Route("/metrics", metrics)])
    return SameOrigin(pages, Policy(hosts=hosts))


@contextmanager
def serving(port: int) -> Iterator[str]:
    """Serve both pages of the desk that the environment names, in a thread; give their address.

    Args:
        port: on 127.0.0.1, free.
    """
    with opened_desk(Environment().database_url()) as engine:
        pages = create_app(Looker(engine), Environment().allowed_hosts())
        with served(pages, HOST, port, name="metrics"):
            yield f"http://{HOST}:{port}"
