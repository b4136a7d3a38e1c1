"""What Prefect's API refuses and what a run says of settings that are not valid."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from deployments.stack.environment import PREFECT_DEFAULTS, ROOT
from tests.e2e.running import System, environment

pytestmark = pytest.mark.e2e

INVALID: dict[str, tuple[dict[str, Any], str]] = {
    "project": ({"project": "no good!"}, "Project Name"),
    "statuses": ({"statuses": []}, "Order Status Filter"),
    "status": ({"statuses": ["lost"]}, "Order Status Filter"),
    "country": ({"country_filter": {"countries": ["XX"]}}, "Country Filter"),
    "address": ({"base_url": "http://podos.example.test"}, "podOS Address"),
    "time zone": ({"time_zone": "Mars/Olympus"}, "Time Zone"),
    "future": ({"first_import_date": "2199-01-01"}, "First Import Date"),
    "token": ({"api_token": "two words"}, "API Token"),
}


@pytest.mark.parametrize(("changed", "title"), INVALID.values(), ids=INVALID)
def test_invalid_settings_are_not_saved(system: System, changed: dict[str, Any], title: str) -> None:
    path = "/block_types/slug/podos-integration/block_documents/name/default?include_secrets=true"
    before = system.api("GET", path)
    answer = system.call(
        "PATCH", f"/block_documents/{before['id']}", {"data": changed, "merge_existing_data": True}
    )
    assert (answer.status_code, f"not saved: {title}" in answer.json()["detail"]) == (400, True)
    assert before["data"]["api_token"] not in answer.text
    new = {
        "name": "invalid",
        "data": before["data"] | changed,
        "block_schema_id": before["block_schema_id"],
        "block_type_id": before["block_type_id"],
    }
    assert system.call("POST", "/block_documents/", new).status_code == 400
    assert system.api("GET", path) == before
    assert system.call("GET", path.replace("/default?", "/invalid?")).status_code == 404


PROGRAM = """
import asyncio, json
from prefect.client.orchestration import get_client
from prefect.client.schemas.actions import BlockDocumentUpdate
from deployments.cli.connecting import merged
from flows.check_orders import check_for_new_orders
from models.blocks import Integration

async def main():
    fields = merged({}, {"project": "acme-1", "api_token": "canary-token-4711"})
    document_id = await Integration.model_validate(fields).save("default")
    async with get_client() as client:
        wrong = {"country_filter": {"countries": ["XX"]}, "base_url": "http://podos.example.test"}
        await client.update_block_document(document_id, BlockDocumentUpdate(data=wrong))
    state = await check_for_new_orders("default", return_state=True)
    print(json.dumps([state.name, state.message]))

asyncio.run(main())
"""


def test_a_run_with_settings_that_became_invalid_says_which(tmp_path: Path) -> None:
    """On another Prefect server, or after an update of this program: nothing refused them there."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        cwd=ROOT,
        env=PREFECT_DEFAULTS | environment(tmp_path),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    name, message = json.loads(done.stdout.splitlines()[-1])
    assert name == "Failed"
    assert "the settings of integration 'default' are not valid" in message
    assert "Country Filter: country 'XX'" in message
    assert "podOS Address must begin with https://" in message
    files = [file for file in tmp_path.rglob("*") if file.is_file()]
    assert not [file for file in files if b"canary-token-4711" in file.read_bytes()]
    assert "canary-token-4711" not in done.stdout + done.stderr
