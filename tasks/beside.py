"""Work in a thread, so that what waits for podOS goes on meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import ContextVar, copy_context
from functools import partial
from threading import Event
from typing import ParamSpec, TypeVar

Given = ParamSpec("Given")
Result = TypeVar("Result")

_THREAD = ThreadPoolExecutor(max_workers=1, thread_name_prefix="beside")
"""One: Python computes one thing at a time anyway, and every thread keeps memory of its own."""
_stop_asked: ContextVar[Event | None] = ContextVar("stop_asked", default=None)


class StoppedError(Exception):
    """Work in a thread ended early, because its caller was cancelled."""


async def beside(work: Callable[Given, Result], *args: Given.args, **options: Given.kwargs) -> Result:
    """Call a function in a thread and return its result.

    A caller that is cancelled meanwhile waits for its end first: nothing goes on behind the back of one who
    gives up a lease or closes the desk. Work that takes long asks ``stop_if_asked`` between its steps.
    """
    context, asked = copy_context(), Event()
    context.run(_stop_asked.set, asked)
    call = partial(context.run, work, *args, **options)
    running = asyncio.ensure_future(asyncio.get_running_loop().run_in_executor(_THREAD, call))
    try:
        return await asyncio.shield(running)
    except asyncio.CancelledError:
        asked.set()
        await asyncio.wait([running])
        running.cancelled() or running.exception()  # nobody else asks for it
        raise


def stop_if_asked() -> None:
    """End work in a thread whose caller was cancelled, as by Ctrl-C; its transaction is rolled back.

    Raises:
        StoppedError: it was.
    """
    asked = _stop_asked.get()
    if asked and asked.is_set():
        raise StoppedError("stopped: the run was cancelled")
