"""Work in a thread: a caller that is cancelled waits for its end, and long work ends early."""

from __future__ import annotations

import asyncio
import threading

import pytest

from tasks.concurrency import StoppedError, run_in_thread, stop_if_asked


def test_long_work_ends_when_its_caller_is_cancelled() -> None:
    began, seen = threading.Event(), list[str]()

    def work() -> None:
        began.set()
        try:
            while True:
                stop_if_asked()
        except StoppedError:
            seen.append("stopped")
            raise

    async def cancelled() -> None:
        running = asyncio.create_task(run_in_thread(work))
        await asyncio.to_thread(began.wait)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        assert seen == ["stopped"]
        await run_in_thread(stop_if_asked)

    asyncio.run(cancelled())


def test_outside_of_such_a_thread_nobody_is_asked_to_stop() -> None:
    stop_if_asked()


def test_the_error_of_the_work_is_its_callers() -> None:
    def work() -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        asyncio.run(run_in_thread(work))
