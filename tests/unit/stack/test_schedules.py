"""The schedules of prefect.yaml can be planned by the locked Prefect on this Python."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any

import pytest
import yaml
from prefect.server.schemas.schedules import CronSchedule

from deployments.stack.environment import ROOT

SCHEDULES: dict[str, dict[str, Any]] = {
    f"{deployment['name']}/{schedule['slug']}": schedule
    for deployment in yaml.safe_load((ROOT / "prefect.yaml").read_text("utf-8"))["deployments"]
    for schedule in deployment["schedules"]
}


@pytest.mark.parametrize("name", SCHEDULES)
@pytest.mark.parametrize("timezone", ["UTC", "Europe/Berlin", "America/New_York"])
def test_the_server_can_plan_its_next_runs(name: str, timezone: str) -> None:
    """A person can choose any time zone in the Prefect pages."""
    schedule = CronSchedule(cron=SCHEDULES[name]["cron"], timezone=timezone)
    dates = asyncio.run(schedule.get_dates(3))
    assert len(dates) == 3
    assert all(date > datetime.now(UTC) for date in dates)
    assert dates == sorted(dates)
