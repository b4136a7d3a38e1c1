"""Python's cycle collector, told that a lot of orders is on its way."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager

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
