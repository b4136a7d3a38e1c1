"""Work in a thread, so that what waits for podOS goes on meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import ParamSpec, TypeVar

Given = ParamSpec("Given")
Result = TypeVar("Result")


async def beside(work: Callable[Given, Result], *args: Given.args, **options: Given.kwargs) -> Result:
    """Call a function in a thread and return its result.

    A caller that is cancelled meanwhile waits for its end first: nothing goes on behind the back of one who
    gives up a lease or closes the desk.
    """
    running = asyncio.ensure_future(asyncio.to_thread(work, *args, **options))
    try:
        return await asyncio.shield(running)
    except asyncio.CancelledError:
        await asyncio.wait([running])
        raise
