"""The state of the desk as Prometheus metrics: counts, names of integrations, moments; nothing personal."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client.core import GaugeMetricFamily, Metric

from models.watching import BacklogKind, cause_of
from tasks.monitoring.status import Status

WORK_LABELS = ("work", "name")


def families(status: Status | None) -> Iterator[Metric]:
    """Give the metrics of one look.

    Args:
        status: None where the desk could not be read: then only ``podos_desk_readable`` is given.
    """
    yield GaugeMetricFamily(
        "podos_desk_readable", "1 if the desk's database could be read.", value=float(status is not None)
    )
    if status is None:
        return
    yield GaugeMetricFamily("podos_desk_well", "1 if nothing is late, failed or over.", value=status.is_well)
    yield from _of_work(status)
    troubled = {trouble.cause for trouble in status.troubles}
    piles = GaugeMetricFamily("podos_desk_over", "1 if a pile is over its threshold.", labels=["pile"])
    for pile in BacklogKind:
        piles.add_metric([pile.value], float(pile.value in troubled))
    yield piles
    backlog = GaugeMetricFamily("podos_desk_backlog", "How much waits, failed or is held.", labels=["what"])
    for name, count in vars(status.backlog).items():
        backlog.add_metric([name], count)
    yield backlog


def _of_work(status: Status) -> Iterator[Metric]:
    troubled = {trouble.cause for trouble in status.troubles}
    well = GaugeMetricFamily(
        "podos_desk_work_well", "1 if this work is neither late nor failed.", labels=WORK_LABELS
    )
    success = GaugeMetricFamily(
        "podos_desk_last_success_timestamp_seconds", "When it was last complete.", labels=WORK_LABELS
    )
    planned = GaugeMetricFamily(
        "podos_desk_next_run_timestamp_seconds", "When it is planned next.", labels=WORK_LABELS
    )
    behind = GaugeMetricFamily(
        "podos_desk_behind_podos_seconds", "How long ago the last complete check began.", labels=["name"]
    )
    for work_status in status.work:
        labels = (work_status.work.value, work_status.name)
        well.add_metric(labels, float(cause_of(work_status.work, work_status.name) not in troubled))
        if work_status.last_success_at:
            success.add_metric(labels, work_status.last_success_at.timestamp())
        if work_status.next_run_at:
            planned.add_metric(labels, work_status.next_run_at.timestamp())
        if work_status.behind_seconds is not None:
            behind.add_metric([work_status.name], work_status.behind_seconds)
    yield from (well, success, planned, behind)
