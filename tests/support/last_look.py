"""Sending with a last look at a sandbox podOS, without Prefect.

Run by ``python -m tests.support.last_look DESK-URL ADDRESS`` it kills itself between look and sending.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from pydantic import SecretStr
from sqlalchemy import Engine

from deployments.sandbox.receiver import Receiver
from deployments.sandbox.server import Sandbox
from models.blocks import Integration
from models.handovers import Outgoing, SendReport, SendSettings
from models.reports import ImportReport
from tasks.delivery.handovers import queue_orders
from tasks.desk.engine import make_engine, writing
from tasks.desk.runs import begin_run, start_run
from tasks.desk.tables import EVENTS, ORDERS
from tasks.fulfilment.channels.interface import Answer
from tasks.fulfilment.channels.webhook import Webhook
from tasks.fulfilment.send import SendRun, count_sendable, send_all
from tasks.imports import last_look
from tasks.imports.load import ImportRunContext, load
from tasks.imports.transform import prepare
from tasks.podos.scan import Batch
from tasks.prefect_api.pacing import open_podos
from tests.support.sending import NOW, SECRET, as_it_is

NAME = "default"


def integration_of(url: str, project: str, token: str, **settings: Any) -> Integration:
    """Return an integration that is connected to a sandbox."""
    return Integration(project=project, api_token=SecretStr(token), base_url=url, **settings)


def import_paid(desk: Engine, sandbox: Sandbox, count: int) -> list[str]:
    """Import the first orders as a check does, let them wait for acme, and return their podOS ids."""
    integration = integration_of(sandbox.url, sandbox.project, sandbox.token)
    settings, keys = integration.import_settings(NAME), sandbox.store.keys()[:count]

    async def fetched() -> Batch:
        async with open_podos(desk, NAME, integration) as client:
            return Batch(1, await client.get_by_ids(keys), None)

    run = ImportRunContext(desk, settings, ImportReport(NAME, "check", dry_run=False))
    run.report.run_id = begin_run(
        desk, settings, run.report, lease_name="check:default", mark_before=None, flow_run_id=None, now=NOW
    )
    load(prepare(asyncio.run(fetched()), settings), run, now=NOW)
    sandbox.store.log.clear()
    with writing(desk) as connection:
        ids = connection.execute(ORDERS.select().with_only_columns(ORDERS.c.id)).scalars().all()
        connection.execute(EVENTS.delete())
        queue_orders(connection, [(id_, "acme") for id_ in sorted(ids)], now=NOW)
    return keys


def connect(integration: Integration | None) -> None:
    """Let the look find this integration, or none."""

    async def names() -> list[str]:
        return [NAME] if integration else []

    async def loaded(_name: str) -> Integration:
        assert integration
        return integration

    vars(last_look).update(integration_names=names, load_integration=loaded)


def send_after_a_look(
    desk: Engine,
    sandbox: Sandbox,
    printer: Receiver,
    *,
    connected: bool = True,
    read_only: bool = False,
    problems: list[Exception | None] | None = None,
    **settings: Any,
) -> tuple[SendReport, list[dict[str, Any]]]:
    """Send what waits for acme; return the report and the events."""
    integration = integration_of(sandbox.url, sandbox.project, sandbox.token, **settings)
    before = {name: vars(last_look)[name] for name in ("integration_names", "load_integration")}
    connect(integration if connected else None)
    try:
        return asyncio.run(_send(desk, Webhook(printer.url, SECRET), read_only, problems))
    finally:
        vars(last_look).update(before)  # flows of other tests look for real integrations


async def _send(
    desk: Engine, channel: Any, read_only: bool, problems: list[Exception | None] | None = None
) -> tuple[SendReport, list[dict[str, Any]]]:
    report = SendReport("acme")
    async with last_look.PodosLook(desk) as look:
        run = SendRun(desk, SendSettings("acme", "webhook"), report, as_it_is, look)
        try:
            if read_only:
                report.would_send = await count_sendable(run)
            else:
                report.run_id = start_run(
                    desk,
                    "acme",
                    project="",
                    kind="send",
                    lease_name="send:acme",
                    started_at=datetime.now(UTC),
                )
                await send_all(channel, run)
        finally:
            await channel.close()
        if problems is not None:
            problems.append(look.problem)
    return report, look.to_announce


class Dying:
    """A way out that ends its process, as a power cut does, before anything leaves."""

    group_size, lanes = 1, 1

    async def send(self, group: Sequence[Outgoing]) -> Mapping[int, Answer]:
        """Die."""
        os.kill(os.getpid(), signal.SIGKILL)
        raise AssertionError

    async def close(self) -> None:
        """Close nothing."""


if __name__ == "__main__":
    connect(integration_of(os.environ["PODOS"], os.environ["PROJECT"], os.environ["TOKEN"]))
    asyncio.run(_send(make_engine(sys.argv[1]), Dying(), read_only=False))
