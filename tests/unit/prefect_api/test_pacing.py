"""Requests take turns, and nothing new begins after an error."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tasks.concurrency import for_each_concurrently
from tasks.desk.engine import opened_desk
from tasks.prefect_api.pacing import RateLimiter

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)


class Clock:
    """Time that passes only while somebody sleeps."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> datetime:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


def test_two_processes_share_the_requests_per_second(tmp_path: Path) -> None:
    with opened_desk(f"sqlite:///{tmp_path / 'desk.db'}") as desk:
        clock = Clock()
        pacers = [RateLimiter(desk, "default", 5.0, clock=clock, sleep=clock.sleep) for _ in range(2)]

        async def ask() -> None:
            for number in range(40):
                await pacers[number % 2]()

        asyncio.run(ask())
    assert (clock.now - NOW).total_seconds() >= 7.0


def test_turns_of_the_past_are_no_burst(tmp_path: Path) -> None:
    with opened_desk(f"sqlite:///{tmp_path / 'desk.db'}") as desk:
        clock = Clock()
        pacer = RateLimiter(desk, "default", 10.0, clock=clock, sleep=clock.sleep)

        async def ask() -> timedelta:
            await pacer()
            clock.now += timedelta(minutes=1)
            began = clock.now
            for _ in range(10):
                await pacer()
            return clock.now - began

        assert asyncio.run(ask()) >= timedelta(seconds=0.8)


@pytest.mark.parametrize(("allowed", "processes"), [(3, 1), (3, 2), (20, 1)])
def test_without_a_cap_the_rate_that_podos_allows_is_found(
    tmp_path: Path, allowed: int, processes: int
) -> None:
    asked = refused = 0
    with opened_desk(f"sqlite:///{tmp_path / 'desk.db'}") as desk:
        clock = Clock()
        pacers = [
            RateLimiter(desk, "default", None, clock=clock, sleep=clock.sleep) for _ in range(processes)
        ]
        answered: list[datetime] = []

        async def ask() -> None:
            nonlocal asked, refused
            while len(answered) < 200:
                pacer = pacers[asked % processes]
                await pacer()
                asked += 1
                clock.now += timedelta(milliseconds=5)
                if sum(clock.now - moment < timedelta(seconds=1) for moment in answered) >= allowed:
                    refused += 1
                    await pacer.refused()
                else:
                    answered.append(clock.now)

        asyncio.run(ask())
    assert refused < 40
    if processes == 1:  # two that ask by turns lose some of the turns that they took
        assert (clock.now - NOW).total_seconds() < 1.6 * 200 / allowed


def test_after_an_error_what_is_under_way_ends_and_nothing_begins() -> None:
    begun: list[int] = []
    ended: list[int] = []

    async def work(number: int) -> None:
        begun.append(number)
        await asyncio.sleep(0)
        if number == 1:
            raise ValueError("two")
        await asyncio.sleep(0)
        ended.append(number)

    with pytest.raises(ValueError, match="two"):
        asyncio.run(for_each_concurrently(range(100), work, lanes=3))
    assert begun == [0, 1, 2]
    assert ended == [0, 2]
