"""Fetch the next orders from podOS, a batch at a time."""

from __future__ import annotations

from prefect import task
from prefect.cache_policies import NO_CACHE
from prefect.tasks import exponential_backoff

from tasks.podos.errors import RetriablePodosError
from tasks.podos.scan import Batch, Scan
from tasks.retrying import only_after

BATCH_SIZE = 1000
"""Orders a task carries: small enough to repeat, large enough that Prefect's share of the time is small."""
FIRST_BATCHES = 10
"""After these a large import carries twice as many: each task run costs the server 12 to 27 ms of CPU."""


def batch_size(number: int) -> int:
    """Return how many orders batch ``number`` (from 1) of an import carries."""
    return BATCH_SIZE if number <= FIRST_BATCHES else 2 * BATCH_SIZE


@task(
    name="extract",
    task_run_name="extract {number}",
    cache_policy=NO_CACHE,
    retries=2,
    retry_delay_seconds=exponential_backoff(backoff_factor=5),
    retry_jitter_factor=0.5,
    retry_condition_fn=only_after(RetriablePodosError),
)
async def extract_orders(scan: Scan, number: int) -> Batch | None:
    """Fetch one batch; None when all was read. Repeating goes on where the scan stood."""
    return await scan.next_batch(batch_size(number))
