"""`make soak MINUTES=10 SEED=1`: run a soak, print its report, and end with 1 if anything was lost."""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from pathlib import Path

from tests.soak.report import report
from tests.soak.soak import Soak
from tests.soak.stage import Options


def main() -> int:
    """Run it."""
    given = _arguments()
    options = Options(
        seed=given.seed,
        seconds=given.minutes * 60,
        orders=given.orders,
        orders_per_second=given.rate,
        with_worker=not given.plain,
        kill_every_seconds=given.kill_every,
    )
    print(f"seed {options.seed}, {given.minutes:g} minutes", flush=True)
    place = Path(tempfile.mkdtemp(prefix="desk-soak-"))
    with Soak(options, place) as soak:
        outcome = soak.run()
    lines = "\n".join(report(outcome))
    print(lines)
    if given.output:
        given.output.write_text(lines + "\n")
    if outcome.is_lossless:
        shutil.rmtree(place, ignore_errors=True)
        return 0
    print(f"what was left lies in {place}")
    return 1


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="tests.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--orders", type=int, default=400, help="in each podOS at first")
    parser.add_argument("--rate", type=float, default=2.0, help="about how many appear a second")
    parser.add_argument("--kill-every", type=float, default=15.0, help="seconds, about")
    parser.add_argument("--plain", action="store_true", help="SQLite and commands only, without a worker")
    parser.add_argument("--output", type=Path, help="write the report as Markdown too")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
