"""Ctrl-C and SIGTERM, handled alike for a while."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

Handler = Callable[[int, FrameType | None], object]


@contextmanager
def handled_by(handler: Handler) -> Iterator[None]:
    """Let both signals be handled by a function; the handlers before come back at the end."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    for number in before:
        signal.signal(number, handler)
    try:
        yield
    finally:
        for number, earlier in before.items():
            signal.signal(number, earlier)


@contextmanager
def stopped_by_signals() -> Iterator[None]:
    """End what is done inside at once, and without an error."""
    try:
        with handled_by(signal.default_int_handler):
            yield
    except KeyboardInterrupt:
        return


@contextmanager
def asked_to_stop() -> Iterator[threading.Event]:
    """Give an event that the first signal sets: the work in hand is completed. The second interrupts it."""
    stop = threading.Event()

    def ask(number: int, frame: FrameType | None) -> None:
        if stop.is_set():
            signal.default_int_handler(number, frame)
        stop.set()

    with handled_by(ask):
        yield stop
