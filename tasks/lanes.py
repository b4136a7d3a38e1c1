"""Do the same for many things, so many at once."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import TypeVar

Item = TypeVar("Item")


async def in_lanes(items: Iterable[Item], work: Callable[[Item], Awaitable[None]], *, lanes: int) -> None:
    """Do the work for each item, ``lanes`` at once.

    After an error nothing new is begun, what is under way comes to its end, and the first error is raised.
    """
    queue = iter(items)
    errors: list[Exception] = []

    async def lane() -> None:
        for item in queue:
            if errors:
                return
            try:
                await work(item)
            except Exception as error:  # noqa: BLE001 - raised below, when the other lanes have ended
                errors.append(error)

    running = [asyncio.create_task(lane()) for _ in range(lanes)]
    try:
        await asyncio.gather(*running)
    finally:
        for task in running:
            task.cancel()
    if errors:
        raise errors[0]
