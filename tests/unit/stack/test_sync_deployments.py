"""The deployments of shipping and sending fit their flows, and triggers wait for the events that are sent."""

from __future__ import annotations

import importlib
import inspect
from fnmatch import fnmatch
from importlib.metadata import version
from typing import Any

import pytest
import yaml

from deployments.stack.environment import ROOT
from tasks.prefect_api.events import FULFILLER, INTEGRATION, ORDERS_QUEUED, SHIPMENTS_ADDED

DEPLOYMENTS: dict[str, dict[str, Any]] = {
    deployment["name"]: deployment
    for deployment in yaml.safe_load((ROOT / "prefect.yaml").read_text("utf-8"))["deployments"]
    if deployment["name"] in {"sync-tracking", "watch-shipments", "send-orders"}
}


@pytest.mark.parametrize("name", ["sync-tracking", "watch-shipments", "send-orders"])
def test_its_parameters_are_those_of_the_flow(name: str) -> None:
    module, _, flow = DEPLOYMENTS[name]["entrypoint"].rpartition(".")
    function = getattr(importlib.import_module(module), flow).fn
    assert set(DEPLOYMENTS[name]["parameters"]) == set(inspect.signature(function).parameters)


def test_the_trigger_starts_the_sync_of_the_event() -> None:
    (trigger,) = DEPLOYMENTS["sync-tracking"]["triggers"]
    assert trigger["expect"] == [SHIPMENTS_ADDED]
    assert fnmatch(f"{INTEGRATION}.default", trigger["match"]["prefect.resource.id"])
    assert trigger["parameters"] == {"integration": "{{ event.payload.integration }}"}


def test_the_trigger_starts_sending_to_the_fulfiller_of_the_event() -> None:
    (trigger,) = DEPLOYMENTS["send-orders"]["triggers"]
    assert trigger["expect"] == [ORDERS_QUEUED]
    assert fnmatch(f"{FULFILLER}.acme", trigger["match"]["prefect.resource.id"])
    assert trigger["parameters"] == {"fulfiller": "{{ event.payload.fulfiller }}"}


def test_deployments_bear_the_version_of_the_package() -> None:
    deployments = yaml.safe_load((ROOT / "prefect.yaml").read_text("utf-8"))["deployments"]
    assert {deployment["version"] for deployment in deployments} == {version("podos-order-desk")}
