"""Work in a thread, so that what waits for podOS goes on meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from functools import partial
from typing import ParamSpec, TypeVar

Given = ParamSpec("Given")
Result = TypeVar("Result")

_THREAD = ThreadPoolExecutor(max_workers=1, thread_name_prefix="beside")
"""One: Python computes one thing at a time anyway, and every thread keeps memory of its own."""


async def beside(work: Callable[Given, Result], *args: Given.args, **options: Given.kwargs) -> Result:
    """Call a function in a thread and return its result.

    A caller that is cancelled meanwhile waits for its end first: nothing goes on behind the back of one who
    gives up a lease or closes the desk.
    """
    call = partial(copy_context().run, work, *args, **options)
    running = asyncio.ensure_future(asyncio.get_running_loop().run_in_executor(_THREAD, call))
    try:
        return await asyncio.shield(running)
    except asyncio.CancelledError:
        await asyncio.wait([running])
        raise
