"""Fetch orders from podOS in batches."""

from __future__ import annotations

from tasks.podos.scan import Batch, Scan
from tasks.prefect_api.step import step

BATCH_SIZES = (1000, 1000, 2000, 2000, 4000)
"""Orders that a task carries, the last for all further batches: the first come soon and are small enough to
repeat; in a large import Prefect's share of the time, 12 to 27 ms of CPU a task run, must be small."""
LARGEST_WHILE_WAITING = 2000
"""Where podOS is waited for, the processor has time to spare, and the last batch comes after all waiting."""


def batch_size(number: int, *, is_quick: bool) -> int:
    """Return how many orders batch ``number`` (from 1) of an import carries.

    Args:
        number: from 1.
        is_quick: whether podOS answers at once.
    """
    size = BATCH_SIZES[min(number, len(BATCH_SIZES)) - 1]
    return size if is_quick else min(size, LARGEST_WHILE_WAITING)


@step("extract", run_name="extract {number}", retries=2)
async def extract_orders(scan: Scan, number: int) -> Batch | None:
    """Fetch one batch; None when all was read. Repeating goes on where the scan stood."""
    return await scan.next_batch(batch_size(number, is_quick=scan.is_quick))
