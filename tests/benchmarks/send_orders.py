"""Measure handing orders over to a webhook whose receiver answers after 50 ms, in a process of its own.

Run it: ``python -m tests.benchmarks.send_orders [ORDERS] [CONNECTIONS]``
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import Engine, text

from models.handovers import SendReport, SendSettings
from tasks.delivery.handovers import queue_orders
from tasks.desk.engine import open_desk, writing
from tasks.desk.runs import start_run
from tasks.fulfilment.channels.webhook import Webhook
from tasks.fulfilment.prepare import preparation_for
from tasks.fulfilment.send import Prepare, SendRun, send_all
from tests.support.builders import fill_folder, insert_run
from tests.support.sending import nobody_to_ask

LATENCY_SECONDS = 0.05
SECRET = "a secret of the benchmark"


def main() -> None:
    """Measure and print."""
    orders = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
    connections = int(sys.argv[2]) if len(sys.argv) > 2 else 8
    with tempfile.TemporaryDirectory() as directory:
        engine = open_desk(f"sqlite:///{Path(directory) / 'desk.db'}")
        fill(engine, orders)
        command = [sys.executable, "-m", "deployments.sandbox.receiver", SECRET, str(LATENCY_SECONDS)]
        pipe = subprocess.PIPE
        with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) as receiver:
            assert receiver.stdout
            url = receiver.stdout.readline().strip()
            seconds = asyncio.run(send(engine, url, connections, preparation_for(engine, "acme")))
            told, _ = receiver.communicate()
        engine.dispose()
    ideal = orders * LATENCY_SECONDS / connections
    taken, posts = told.split()
    print(f"{orders} orders, {connections} connections: {seconds:.1f} s, {seconds / ideal:.2f} x latency")
    print(f"receiver: {taken} orders taken, {posts} posts")


def fill(engine: Engine, orders: int) -> None:
    """Write orders with an item each, complete, and queue them."""
    run_id = insert_run(engine)
    address = (
        "ship_name='A', ship_address1='1 Road', ship_city='Leeds', ship_postal_code='LS1', ship_country='GB'"
    )
    with writing(engine) as connection:
        fill_folder(connection, "New", run_id=run_id, count=orders)
        connection.execute(text(f"UPDATE orders SET {address}, ship_country='GB'"))
        metadata = '{"print_url_1": "https://cdn.example.test/1.png", "print_location_1": "front"}'
        items = "INSERT INTO order_items (order_id, position, sku, name, quantity, metadata) "
        connection.execute(text(items + "SELECT id, 1, 'TEE', 'Tee', 1, :m FROM orders"), {"m": metadata})
        ids = connection.execute(text("SELECT id FROM orders")).scalars()
        queue_orders(connection, [(id_, "acme") for id_ in ids], now=datetime.now(UTC))


async def send(engine: Engine, url: str, connections: int, prepare: Prepare) -> float:
    """Send all and return the seconds it took."""
    settings = SendSettings("acme", "webhook", connections=connections)
    report = SendReport("acme")
    started = time.perf_counter()
    report.run_id = start_run(
        engine, "acme", project="", kind="send", lease_name="send:acme", started_at=datetime.now(UTC)
    )
    channel = Webhook(url, SECRET, connections=connections)
    await send_all(channel, SendRun(engine, settings, report, prepare, nobody_to_ask))
    await channel.close()
    print(report.one_line())
    return time.perf_counter() - started


if __name__ == "__main__":
    main()
