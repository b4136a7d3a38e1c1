"""How long commands that only read the desk take, as whole processes, beside ``desk --help``."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tasks.desk.engine import make_engine, open_desk
from tests.support.builders import insert_order, insert_shipment

ROUNDS = 9
ORDERS = 200
COMMANDS = {
    "desk --help": ("--help",),
    "desk folders": ("folders",),
    "desk orders": ("orders",),
    "desk order": ("order", "desk:1"),
    "desk shipments": ("shipments",),
    "desk orders export": ("orders", "export"),
}


def main() -> None:
    """Print the median of each command in seconds, and how it compares to the help."""
    with tempfile.TemporaryDirectory() as place:
        url = f"sqlite:///{Path(place) / 'desk.db'}"
        open_desk(url).dispose()
        engine = make_engine(url)
        for _ in range(ORDERS):
            insert_shipment(engine, insert_order(engine))
        engine.dispose()
        taken: dict[str, list[float]] = {name: [] for name in COMMANDS}
        for _ in range(ROUNDS):
            for name, arguments in COMMANDS.items():
                taken[name].append(_seconds(arguments, url))
    help_seconds = statistics.median(taken["desk --help"])
    for name, seconds in taken.items():
        median = statistics.median(seconds)
        print(f"{name:20} {median:5.2f} s  {median / help_seconds:4.1f} times the help")


def _seconds(arguments: tuple[str, ...], url: str) -> float:
    desk = Path(sys.executable).with_name("desk")
    began = time.perf_counter()
    subprocess.run(
        [desk, *arguments],
        env=os.environ | {"DESK_DATABASE_URL": url},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        check=True,
    )
    return time.perf_counter() - began


if __name__ == "__main__":
    main()
