"""Work in a thread, so that what waits for podOS goes on meanwhile."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Awaitable, Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import ContextVar, copy_context
from functools import partial
from threading import Event
from typing import ParamSpec, TypeVar

from models.errors import AppError

Given = ParamSpec("Given")
Result = TypeVar("Result")

_THREAD = ThreadPoolExecutor(max_workers=1, thread_name_prefix="beside")
"""One: Python computes one thing at a time anyway, and every thread keeps memory of its own."""
_stop_asked: ContextVar[Event | None] = ContextVar("stop_asked", default=None)


class StoppedError(AppError):
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


OBJECTS_BETWEEN_LOOKS = 20_000
"""About a batch's worth. The default of 700 took a fifth of an import's time and found nothing."""


@contextmanager
def collecting_seldom() -> Iterator[None]:
    """Let the collector look at young objects seldom, and at what was there before not at all.

    Orders leave no circles behind: they are freed without it, and memory stays flat.
    """
    before = gc.get_threshold()
    gc.freeze()
    gc.set_threshold(OBJECTS_BETWEEN_LOOKS, *before[1:])
    try:
        yield
    finally:
        gc.set_threshold(*before)
        gc.unfreeze()
