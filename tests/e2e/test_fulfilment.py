"""On the running system: rules split orders between two fulfillers, and sending starts by its event."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from deployments.sandbox.receiver import Receiver
from deployments.sandbox.server import Sandbox, SandboxSettings
from tests.e2e.running import FULFILLER_SECRET, System, wait_for

pytestmark = pytest.mark.e2e
RULES = """
rules:
  - name: Britain
    event: order imported
    all: [shipping.country = GB]
    actions: [{{send_to: {webhook}}}]
  - name: elsewhere
    event: order imported
    all: [shipping.country != GB]
    actions: [{{send_to: {folder}}}]
"""


@dataclass
class Shop:
    """A podOS project, and two who print for it; names are new each time."""

    sandbox: Sandbox
    receiver: Receiver
    directory: Path
    mark: str = field(default_factory=lambda: uuid4().hex[:8])

    @property
    def integration(self) -> str:
        return f"shop-{self.mark}"

    @property
    def webhook(self) -> str:
        return f"webhook-{self.mark}"

    @property
    def folder(self) -> str:
        return f"folder-{self.mark}"


@pytest.fixture
def shop(system: System, tmp_path: Path) -> Iterator[Shop]:
    """Connected, its rules loaded, the schedule of sending paused; nothing of it stays switched on."""
    deployment = system.deployment("send-orders")
    (schedule,) = deployment["schedules"]
    path = f"/deployments/{deployment['id']}/schedules/{schedule['id']}"
    settings = SandboxSettings(orders=60, seed=11, project="shop-300003")
    with Sandbox(settings) as sandbox, Receiver(FULFILLER_SECRET) as receiver:
        shop = Shop(sandbox, receiver, tmp_path / "orders")
        system.api("PATCH", path, {"active": False})
        try:
            _set_up(system, shop, tmp_path / "rules.yaml")
            yield shop
        finally:
            _take_down(system, shop)
            system.api("PATCH", path, {"active": True})


def _set_up(system: System, shop: Shop, rules: Path) -> None:
    where = ("--project", shop.sandbox.project, "--base-url", shop.sandbox.url)
    folder = ("--folder", f"Orders {shop.mark}")
    system.desk("connect", shop.integration, *where, *folder, PODOS_API_TOKEN=shop.sandbox.token)
    add = ("fulfillers", "add")
    address = ("--address", shop.receiver.url)
    system.desk(*add, "webhook", shop.webhook, *address, FULFILLER_SECRET=FULFILLER_SECRET)
    shop.directory.mkdir()
    system.desk(*add, "folder", shop.folder, "--directory", str(shop.directory))
    rules.write_text(RULES.format(webhook=shop.webhook, folder=shop.folder))
    system.desk("rules", "load", str(rules))


def _take_down(system: System, shop: Shop) -> None:
    for rule in json.loads(system.desk("rules", "list", "--json")):
        system.desk("rules", "off", rule["name"])
    for slug, name in {
        "podos-integration": shop.integration,
        "fulfiller-webhook": shop.webhook,
        "fulfiller-folder": shop.folder,
    }.items():
        answer = system.call("GET", f"/block_types/slug/{slug}/block_documents/name/{name}")
        if answer.is_success:
            system.api("DELETE", f"/block_documents/{answer.json()['id']}")


def test_orders_reach_two_fulfillers_by_the_event_and_tracking_returns(system: System, shop: Shop) -> None:
    check = system.start_run(
        system.deployment("check-for-new-orders")["id"], {"integration": shop.integration}
    )
    run = system.finished(check)
    assert run["state_type"] == "COMPLETED", run["state"]
    for name in (shop.webhook, shop.folder):
        started = wait_for(f"the run for {name}", partial(_started_by_event, system, name))
        sent = system.finished(started)
        assert (sent["state_type"], sent["auto_scheduled"]) == ("COMPLETED", False), sent["state"]
    queued = wait_for("the end of sending", lambda: _all_handed_over(system, shop))
    taken = [request["order"]["source_id"] for request in shop.receiver.taken.values()]
    files = [json.loads(file.read_text())["order"] for file in shop.directory.glob("[!.]*.json")]
    assert shop.receiver.problems == []
    assert set(shop.receiver.posts.values()) == {1}
    assert sorted(taken) == _sent(queued, shop.webhook)
    assert sorted(order["source_id"] for order in files) == _sent(queued, shop.folder)
    assert {request["order"]["shipping"]["country"] for request in shop.receiver.taken.values()} == {"GB"}
    assert "GB" not in {order["shipping"]["country"] for order in files}

    order = next(iter(shop.receiver.taken.values()))["order"]
    system.desk("ship", str(order["id"]), "--courier", "Royal Mail", "--code", "AB123456789GB")
    wait_for("complete in podOS", lambda: _status(shop, order["source_id"]) == "complete")


def _started_by_event(system: System, fulfiller: str) -> str | None:
    mine = {"deployments": {"id": {"any_": [system.deployment("send-orders")["id"]]}}}
    runs = system.api("POST", "/flow_runs/filter", mine)
    return next((run["id"] for run in runs if run["parameters"] == {"fulfiller": fulfiller}), None)


def _all_handed_over(system: System, shop: Shop) -> list[dict[str, Any]] | None:
    """Return what was queued for the shop's fulfillers, once nothing of it waits."""
    rows = json.loads(system.desk("outbox", "--json"))
    mine = [row for row in rows if row["fulfiller"] in {shop.webhook, shop.folder}]
    return mine if mine and not any(row["state"] == "waiting" for row in mine) else None


def _sent(queued: list[dict[str, Any]], fulfiller: str) -> list[str]:
    """Return the podOS ids of what was handed over; the check before sending refused the others."""
    found = [row["source_id"] for row in queued if (row["fulfiller"], row["state"]) == (fulfiller, "sent")]
    assert len(found) > 3
    return sorted(found)


def _status(shop: Shop, source_id: str) -> str:
    order = shop.sandbox.store.get(source_id)
    assert order is not None
    return str(order["status"])


INVALID: dict[str, tuple[str, dict[str, Any], str]] = {
    "address": ("webhook", {"address": "http://printer.example.test/orders"}, "Address"),
    "secret": ("webhook", {"secret": "short"}, "Secret"),
    "previous secret": ("webhook", {"previous_secret": "short"}, "Previous Secret"),
    "connections": ("webhook", {"connections": 0}, "Connections"),
    "directory": ("folder", {"directory": "orders"}, "Directory"),
    "format": ("folder", {"format": "xml"}, "Format"),
}


def test_invalid_fulfillers_are_not_saved(system: System, shop: Shop) -> None:
    for case, (kind, changed, title) in INVALID.items():
        name = f"{kind}-{shop.mark}"
        path = f"/block_types/slug/fulfiller-{kind}/block_documents/name/{name}?include_secrets=true"
        before = system.api("GET", path)
        answer = system.call(
            "PATCH", f"/block_documents/{before['id']}", {"data": changed, "merge_existing_data": True}
        )
        assert answer.status_code == 400, (case, answer.text)
        assert f"not saved: {title}" in answer.json()["detail"]
        assert FULFILLER_SECRET not in answer.text
        new = {key: before[key] for key in ("block_schema_id", "block_type_id")}
        new |= {"name": f"invalid-{shop.mark}", "data": before["data"] | changed}
        assert system.call("POST", "/block_documents/", new).status_code == 400, case
        assert system.api("GET", path) == before
