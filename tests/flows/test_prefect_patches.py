"""Prefect's own server still needs each replacement; a test that fails here tells that one may go."""

from __future__ import annotations

import asyncio
import sqlite3
from types import ModuleType
from typing import Any

import httpx
import prefect
import pytest
from prefect.client.orchestration import get_client
from prefect.client.schemas.actions import BlockDocumentCreate
from prefect.server.database import configurations

from deployments.stack.prefect_patches import SEEN_NEEDED, PatchError, original, replace, version_warning
from models.blocks import Integration


def api_url() -> str:
    return str(prefect.settings.PREFECT_API_URL.value())


def test_the_locked_version_is_one_that_was_tried() -> None:
    assert prefect.__version__ in SEEN_NEEDED
    assert version_warning() is None


def test_another_version_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prefect, "__version__", "4.0.0")
    assert str(version_warning()).startswith("Prefect 4.0.0 was not tried with this program (3.8.8, ")


def test_what_is_not_there_any_more_is_named_and_nothing_is_replaced() -> None:
    module = ModuleType("prefect.example")
    vars(module)["kept"] = 1
    with pytest.raises(PatchError, match=r"has no prefect\.example\.gone.*requirements\.lock"):
        replace(module, kept=2, gone=3)
    assert original(module, "kept") == 1


def test_prefect_saves_settings_that_no_run_could_use() -> None:
    async def saved() -> Any:
        async with get_client() as client:
            type_ = await client.read_block_type_by_slug("podos-integration")
            schema = await client.get_most_recent_block_schema_for_block_type(type_.id)
            assert schema is not None
            document = BlockDocumentCreate(
                name="unusable", data={"statuses": 7}, block_type_id=type_.id, block_schema_id=schema.id
            )
            created = await client.create_block_document(document)
            await client.delete_block_document(created.id)
            return created.data

    asyncio.run(Integration.aregister_type_and_schema())
    assert asyncio.run(saved()) == {"statuses": 7}


def test_prefect_checks_no_form_whose_page_sends_the_values_in_place_of_the_schema() -> None:
    values = {"base_url": "no address", "statuses": "paid"}
    answer = httpx.post(
        f"{api_url()}/ui/schemas/validate", json={"schema": values, "values": values}, timeout=30
    )
    assert answer.status_code == 200
    assert answer.json() == {"errors": [], "valid": True}


def test_prefect_answers_a_page_of_another_host() -> None:
    headers = {"Host": "elsewhere.example.test", "Origin": "https://elsewhere.example.test"}
    answer = httpx.post(f"{api_url()}/block_types/filter", json={}, headers=headers, timeout=30)
    assert answer.status_code == 200


def test_prefect_waits_a_minute_for_sqlite_s_lock() -> None:
    configuration = configurations.AioSqliteConfiguration(connection_url="sqlite+aiosqlite:///:memory:")
    connection = sqlite3.connect(":memory:")
    configuration.setup_sqlite(connection, None)  # type: ignore[arg-type]
    (milliseconds,) = connection.execute("PRAGMA busy_timeout").fetchone()
    connection.close()
    assert milliseconds >= 30_000
