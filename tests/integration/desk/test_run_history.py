"""The run history: newest first, and honest about runs that died."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import Engine

from models.reports import PastCheck
from models.tables.runs import RunState
from tasks.desk.run_history import list_runs
from tasks.desk.runs import past_checks
from tasks.imports.windows import unsure_since
from tests.support.builders import IMPORTED, insert_lease, insert_run


def now() -> datetime:
    return datetime.now(UTC)


def test_runs_are_listed_newest_first_and_limited(desk: Engine) -> None:
    ids = [insert_run(desk) for _ in range(4)]
    assert [run.id for run in list_runs(desk)] == ids[::-1]
    assert [run.id for run in list_runs(desk, limit=2)] == ids[:1:-1]


def test_runs_of_one_integration(desk: Engine) -> None:
    insert_run(desk)
    other = insert_run(desk, integration="other")
    assert [run.id for run in list_runs(desk, integration="other")] == [other]
    assert list_runs(desk, integration="unknown") == []


def test_a_run_as_json(desk: Engine) -> None:
    run_id = insert_run(
        desk,
        since=IMPORTED - timedelta(days=1),
        counts={"imported": 3, "frozen": 1},
        needs_attention=2,
        mark_before=IMPORTED - timedelta(days=1),
        mark_after=IMPORTED,
        flow_run_id="flow-1",
        settings={"project": "acme-441595"},
    )
    (run,) = list_runs(desk)
    assert json.loads(json.dumps(run.as_dict())) == {
        "id": run_id,
        "integration": "default",
        "kind": "check",
        "state": "completed",
        "started_at": "2026-11-23T10:15:00+00:00",
        "finished_at": "2026-11-23T10:15:03+00:00",
        "since": "2026-11-22T10:15:00+00:00",
        "until": None,
        "counts": {"imported": 3, "frozen": 1},
        "needs_attention": 2,
        "mark_before": "2026-11-22T10:15:00+00:00",
        "mark_after": "2026-11-23T10:15:00+00:00",
        "flow_run_id": "flow-1",
        "error": None,
    }


def test_a_running_run_with_a_living_lease_runs(desk: Engine) -> None:
    insert_run(desk, state=RunState.RUNNING, finished_at=None)
    insert_lease(desk, "check:default", expires_at=now() + timedelta(minutes=1))
    assert list_runs(desk)[0].state == RunState.RUNNING


@pytest.mark.parametrize("lease", ["check:default", "check:other", None])
def test_a_running_run_without_a_living_lease_crashed(desk: Engine, lease: str | None) -> None:
    insert_run(desk, state=RunState.RUNNING, finished_at=None)
    if lease:
        expired = lease == "check:default"
        insert_lease(desk, lease, expires_at=now() + timedelta(minutes=-1 if expired else 1))
    assert list_runs(desk)[0].as_dict()["state"] == "crashed"


@pytest.mark.parametrize("state", [RunState.COMPLETED, RunState.FAILED, RunState.CRASHED])
def test_a_finished_run_keeps_its_state_without_a_lease(desk: Engine, state: RunState) -> None:
    insert_run(desk, state=state)
    assert list_runs(desk)[0].state == state


def test_past_checks_are_those_of_the_integration_newest_first(desk: Engine) -> None:
    hours = [IMPORTED + timedelta(hours=number) for number in range(4)]
    insert_run(desk, started_at=hours[0], since=None)
    insert_run(desk, started_at=hours[1], since=hours[0], state=RunState.CRASHED)
    insert_run(desk, started_at=hours[2], kind="import")
    insert_run(desk, started_at=hours[3], integration="another")

    past = past_checks(desk, "default")

    assert past == [
        PastCheck(hours[1], hours[0], is_complete=False),
        PastCheck(hours[0], None, is_complete=True),
    ]
    assert unsure_since(past, hours[1], timedelta(hours=5)) == hours[0]
