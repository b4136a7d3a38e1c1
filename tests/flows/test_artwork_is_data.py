"""Artwork addresses are data: nothing here ever asks for them."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
from sqlalchemy import Engine

from deployments.sandbox.receiver import Receiver
from tasks.desk.browse import export_orders
from tests.support.commands import RunDesk
from tests.support.connected import Connected
from tests.support.order_desk import KEY, FakeOrderDesk
from tests.support.sending import SECRET
from tests.support.strange_server import StrangeServer, answer

ARTWORK = "https://artwork.example.test"


def test_nothing_asks_for_artwork(
    desk_command: RunDesk,
    connected: Connected,
    engine: Engine,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """From podOS to three kinds of fulfillers, two exports and a reconciliation."""
    monkeypatch.setenv("FULFILLER_SECRET", SECRET)
    with StrangeServer(answer(b"artwork")) as artwork, Receiver(SECRET) as receiver, FakeOrderDesk() as store:
        for order in connected.sandbox.store.all():
            here = json.loads(json.dumps(order).replace(ARTWORK, artwork.url))
            connected.sandbox.store.update(order["id"], **{key: here[key] for key in here if key != "id"})
        for kind in ("json", "csv"):
            (tmp_path / kind).mkdir()
            added = ("folder", kind, "--directory", str(tmp_path / kind), "--format", kind)
            assert desk_command("fulfillers", "add", *added).code == 0
        assert desk_command("fulfillers", "add", "webhook", "hook", "--address", receiver.url).code == 0
        monkeypatch.setenv("FULFILLER_SECRET", KEY)
        added = ("orderdesk", "store", "--store-id", "77", "--address", store.url)
        assert desk_command("fulfillers", "add", *added).code == 0
        connected.check()
        orders = list(export_orders(engine))
        few = [str(order["id"]) for order in orders if artwork.url in json.dumps(order)][:5]
        for name in ("json", "csv", "hook", "store"):
            sent = desk_command("send", *few, "--to", name)
            assert sent.code == 0, sent.err
        for kind in ("jsonl", "csv"):
            output = str(tmp_path / f"all.{kind}")
            assert desk_command("orders", "export", "--format", kind, "--output", output).code == 0
        assert desk_command("reconcile").code == 0
        connected.check()

        passed_on = [str(posted) for posted in (*receiver.taken.values(), *store.orders.values())]
        files = [
            path.read_text() for path in tmp_path.rglob("*") if path.suffix in {".json", ".csv", ".jsonl"}
        ]
        assert sum(artwork.url in text for text in passed_on + files) >= 5 + 5 + 5 + 1 + 2
        assert artwork.requests == []
    with (tmp_path / "all.csv").open(newline="") as exported:
        assert len(list(csv.reader(exported))) == len(orders) + 1
