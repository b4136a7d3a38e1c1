"""The drop folder under Prefect, and the event that starts a sync at once."""

from __future__ import annotations

import asyncio
import os
import time
from pathlib import Path
from typing import Any

import pytest
from prefect.client.schemas.objects import State
from prefect.settings import PREFECT_API_URL
from sqlalchemy import Engine

from flows.collect_shipments import watch_shipments
from tasks.prefect_api.events import emit_shipments_added
from tasks.tracking.shipment_list import list_shipments
from tests.support.builders import insert_order


def watch(directory: str = "") -> State[Any]:
    """Run the flow and return how it ended."""

    async def run() -> State[Any]:
        return await watch_shipments(directory, return_state=True)

    return asyncio.run(run())


def test_files_of_the_drop_folder_are_taken(
    engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    insert_order(engine, order_number="A-1")
    drop = tmp_path / "drop"
    drop.mkdir()
    (drop / "a.csv").write_text("order,courier,code\nA-1,DPD,1\nA-9,DPD,2\n", encoding="utf-8")
    long_ago = time.time() - 60
    os.utime(drop / "a.csv", (long_ago, long_ago))
    monkeypatch.setenv("DESK_DROP_FOLDER", str(drop))
    state = watch()
    assert (state.is_completed(), state.message) == (True, "1 files: 1 shipments added, 1 bad rows")
    assert [shipment.code for shipment in list_shipments(engine)] == ["1"]


def test_without_a_drop_folder_it_says_what_to_do(engine: Engine) -> None:
    state = watch()
    assert state.is_completed()
    assert "DESK_DROP_FOLDER" in (state.message or "")


def test_a_drop_folder_that_is_not_there_fails_the_run(engine: Engine, tmp_path: Path) -> None:
    state = watch(str(tmp_path / "nowhere"))
    assert state.is_failed()
    assert "can't be used" in (state.message or "")


def test_the_server_takes_the_event(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PREFECT_API_URL", str(PREFECT_API_URL.value()))
    assert asyncio.run(emit_shipments_added({"default", "other"}))


def test_nothing_is_announced_without_a_server_or_a_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not asyncio.run(emit_shipments_added(set()))
    monkeypatch.setenv("PREFECT_API_URL", "")
    assert not asyncio.run(emit_shipments_added({"default"}))
