"""What a year costs: requests, hours of work, and the size of the desk, from measured costs an order.

    python -m tests.benchmarks.scale
    python -m tests.benchmarks.scale --orders-a-year 10e9 --projects 100000 --workers 64

Pure arithmetic; docs/scale.md explains it and says where each figure was measured.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass

YEAR_SECONDS = 365 * 86_400
PAGE = 100


@dataclass(frozen=True)
class Load:
    """What comes in, and how it is worked on."""

    orders_a_year: float
    projects: float
    check_minutes: float = 15
    page_seconds: float = 0.15
    connections: int = 8
    workers: int = 1
    peak_factor: float = 5


@dataclass(frozen=True)
class Costs:
    """Measured: CPU of our own for an order, for a check and for a flow run; bytes an order in the desk."""

    order_us: float = 110
    check_ms: float = 50
    flow_run_seconds: float = 5
    sqlite_bytes: float = 2000
    postgres_bytes: float = 2600
    index_bytes: float = 330


@dataclass(frozen=True)
class Year:
    """What comes of it."""

    requests_a_second: float
    peak_orders_a_second: float
    import_cores: float
    checks_a_second: float
    worker_places: float
    desk_gb: float
    index_gb: float
    backfill_hours: float


def simulate(load: Load, costs: Costs) -> Year:
    """Return what a year of this load asks for."""
    orders_a_second = load.orders_a_year / YEAR_SECONDS
    checks_a_second = load.projects / (load.check_minutes * 60)
    orders_a_check = orders_a_second / checks_a_second
    # A check reads its overlap of five minutes again, and ends with one page that is not full.
    read_again = orders_a_second / load.projects * 300
    pages_a_check = max(1.0, (orders_a_check + read_again) / PAGE + 0.5)
    pages_a_second = load.workers * min(load.connections / load.page_seconds, 1e6 / (PAGE * costs.order_us))
    return Year(
        requests_a_second=checks_a_second * pages_a_check,
        peak_orders_a_second=orders_a_second * load.peak_factor,
        import_cores=orders_a_second * load.peak_factor * costs.order_us / 1e6
        + checks_a_second * costs.check_ms / 1e3,
        checks_a_second=checks_a_second,
        worker_places=checks_a_second * (costs.flow_run_seconds + pages_a_check * load.page_seconds),
        desk_gb=load.orders_a_year * costs.postgres_bytes / 1e9,
        index_gb=load.orders_a_year * costs.index_bytes / 1e9,
        backfill_hours=load.orders_a_year / PAGE / pages_a_second / 3600,
    )


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--orders-a-year", type=float)
    parser.add_argument("--projects", type=float, default=100)
    parser.add_argument("--workers", type=int, default=1)
    options = parser.parse_args()
    loads = [Load(10e6, 100), Load(10e9, 100_000, workers=64)]
    if options.orders_a_year:
        loads = [Load(options.orders_a_year, options.projects, workers=options.workers)]
    for load in loads:
        print(
            f"{load.orders_a_year:,.0f} orders a year, {load.projects:,.0f} projects, {load.workers} workers"
        )
        for name, value in vars(simulate(load, Costs())).items():
            print(f"  {name.replace('_', ' '):<22}{value:>14,.2f}")


if __name__ == "__main__":
    main()
