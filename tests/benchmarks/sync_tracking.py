"""How long it takes to send 10,000 shipments to a podOS that answers after 100 ms, and in how many requests.

Run by hand: ``python -m tests.benchmarks.sync_tracking [SHIPMENTS] [CONNECTIONS]``. The sandbox is a process
of its own; Prefect takes no part.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import sys
import tempfile
import time
from multiprocessing.connection import Connection
from pathlib import Path

from sqlalchemy import Engine, text

from deployments.sandbox.server import Sandbox, SandboxSettings
from models.shipments import SyncReport, SyncSettings
from tasks.desk.engine import opened_desk, writing
from tasks.podos.client import PodosAccess, PodosClient
from tasks.tracking.send import send_batch
from tasks.tracking.sync_run import SyncRun
from tests.support.builders import fill_folder, insert_run

LATENCY_SECONDS = 0.1


def serve(shipments: int, pipe: Connection) -> None:
    """Be the sandbox: tell where it is, and at the end what was asked of it."""
    with Sandbox(SandboxSettings(orders=0)) as sandbox:
        for number in range(1, shipments + 1):
            order = {"id": f"source-{number}", "status": "paid", "createdAt": "2026-11-01T00:00:00Z"}
            sandbox.store.add({**order, "updatedAt": "2026-11-01T00:00:00Z", "tracking": None})
        sandbox.faults.latency_seconds = LATENCY_SECONDS
        pipe.send((sandbox.url, sandbox.project, sandbox.token))
        pipe.recv()
        pipe.send((len(sandbox.store.requests), len({id_ for id_, _ in sandbox.store.patches})))


async def send_all(client: PodosClient, run: SyncRun) -> None:
    """Send everything, as the flow does."""
    async with client:
        while await send_batch(client, run):
            pass


def fill(engine: Engine, shipments: int, project: str) -> None:
    """Write so many orders with a shipment each."""
    run_id = insert_run(engine)
    with writing(engine) as connection:
        fill_folder(connection, "New", run_id=run_id, count=shipments)
        connection.execute(text("UPDATE orders SET project = :project"), {"project": project})
        all_ship = "INSERT INTO shipments (order_id, courier, code) SELECT id, 'DPD', 'D' || id FROM orders"
        connection.execute(text(all_ship))


def main() -> None:
    """Measure, and print a line."""
    shipments = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
    connections = int(sys.argv[2]) if len(sys.argv) > 2 else 8
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(target=serve, args=(shipments, theirs))
    process.start()
    url, project, token = ours.recv()
    with (
        tempfile.TemporaryDirectory() as place,
        opened_desk(f"sqlite:///{Path(place) / 'desk.db'}") as engine,
    ):
        fill(engine, shipments, project)
        settings = SyncSettings("default", project, connections=connections)
        run = SyncRun(engine, settings, SyncReport("default"))
        client = PodosClient(PodosAccess(url, project, token), connections=connections)
        began = time.monotonic()
        asyncio.run(send_all(client, run))
        seconds = time.monotonic() - began
    ours.send(None)
    requests, changed = ours.recv()
    process.join()
    ideal = requests * LATENCY_SECONDS / connections
    words = f"{shipments} shipments, {connections} connections: {requests} requests, {changed} orders changed"
    print(f"{words}, {seconds:.1f} s = {seconds / ideal:.2f} x requests x latency / connections")
    print(run.report.one_line())


if __name__ == "__main__":
    main()
