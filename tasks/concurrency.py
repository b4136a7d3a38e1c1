"""Run blocking work in a thread, run coroutines with bounded concurrency, and relax the garbage collector."""

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

_THREAD = ThreadPoolExecutor(max_workers=1, thread_name_prefix="run-in-thread")
"""One: Python computes one thing at a time anyway, and every thread keeps memory of its own."""
_stop_asked: ContextVar[Event | None] = ContextVar("stop_asked", default=None)


class StoppedError(AppError):
    """Work in a thread ended early, because its caller was cancelled."""


async def run_in_thread(work: Callable[Given, Result], *args: Given.args, **options: Given.kwargs) -> Result:
    """Run blocking work in a thread so that the event loop stays free, and return its result.

    A cancelled caller waits for the work to end first, so that nothing is still running when it releases a
    lease or closes the desk. Long work calls ``stop_if_asked`` between its steps.
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
    """Raise if the caller of this thread was cancelled, as by Ctrl-C; the transaction is rolled back.

    Raises:
        StoppedError: it was.
    """
    asked = _stop_asked.get()
    if asked and asked.is_set():
        raise StoppedError("stopped: the run was cancelled")


Item = TypeVar("Item")


async def for_each_concurrently(
    items: Iterable[Item], work: Callable[[Item], Awaitable[None]], *, lanes: int
) -> None:
    """Run a coroutine for each item, at most ``lanes`` at a time.

    After an error no new item is started. Items under way are completed, then the first error is raised.
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
def relaxed_gc() -> Iterator[None]:
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
