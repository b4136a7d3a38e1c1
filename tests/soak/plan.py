"""What goes wrong in a soak, and when: drawn from a seed before anything starts, so that a seed repeats it.

The schedule is what repeats. Which request a fault hits, and where a process stands when it is killed, is up
to the machine.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Any

HOUR_SECONDS = 3600
FAULTS = (
    "spike",
    "429",
    "429_retry_after",
    "429_retry_after_date",
    "500",
    "502",
    "503",
    "timeout",
    "cut",
    "cut_before_answer",
    "half_closed",
    "broken_json",
    "garbled_json",
    "html",
    "length_too_long",
    "length_too_short",
    "drip",
)
"""Every fault of the sandbox but those that a person must mend: a refused token, an unknown project."""
_SEGMENT_SECONDS = 12.0
_FAULTS_AT_ONCE = 5
_CLOCK_EVERY_SECONDS = 80.0
_CLOCK_SHARE = 0.55
_DISK_EVERY_SECONDS = 120.0
_DISK_FULL_SECONDS = 20.0
_COMMANDS_FOR_A_SERVICE = 5


@dataclass(frozen=True, order=True)
class Event:
    """Something that happens ``at`` so many seconds after the beginning."""

    at: float
    kind: str = field(compare=False)
    facts: dict[str, Any] = field(compare=False)


def make_plan(
    seed: int, seconds: float, commands: Sequence[str], services: Sequence[str], kill_every_seconds: float
) -> list[Event]:
    """Return all events of a soak in their order.

    Args:
        seed: the same seed and arguments give the same plan.
        seconds: how long it lasts.
        commands: what can be killed and takes seconds to begin again.
        services: what can be killed and is missed by all others meanwhile: every sixth kill.
        kill_every_seconds: about how often a command is killed.
    """
    rng = random.Random(f"soak:{seed}")  # noqa: S311 - nothing secret
    events = [
        *_faults(rng, seconds),
        *_clock(rng, seconds),
        *_disk(seconds),
        *_kills(rng, seconds, commands, kill_every_seconds),
        *_kills(rng, seconds, services, kill_every_seconds * _COMMANDS_FOR_A_SERVICE),
    ]
    return sorted(events)


def _dealt(rng: random.Random, things: Sequence[str]) -> Iterator[str]:
    """Deal all things in a random order, again and again: none is left out for long."""
    while True:
        yield from rng.sample(things, len(things))


def _faults(rng: random.Random, seconds: float) -> Iterator[Event]:
    names = _dealt(rng, FAULTS)
    length = min(_SEGMENT_SECONDS, seconds / 5)
    for number in count():
        if number * length >= seconds:
            return
        yield Event(
            number * length,
            "faults",
            {
                "rates": {next(names): round(rng.uniform(0.03, 0.12), 3) for _ in range(_FAULTS_AT_ONCE)},
                "latency_seconds": rng.choice((0.0, 0.0, 0.05, 0.2)),
                "latency_jitter_seconds": rng.choice((0.0, 0.1, 0.4)),
                "spike_seconds": rng.choice((2.0, 5.0)),
                "drip_seconds": rng.choice((1.0, 3.0)),
                "hang_seconds": rng.choice((1.0, 3.0)),
                "duplicate_rows": rng.random() < 0.5,
                "small_pages": rng.random() < 0.5,
                "page_size_cap": rng.choice((3, 7, 25)),  # many requests,
            },
        )


def _clock(rng: random.Random, seconds: float) -> Iterator[Event]:
    """Jump an hour ahead, back to right, an hour behind, back to right, and so on."""
    every = min(_CLOCK_EVERY_SECONDS, seconds / 2)
    ahead = rng.choice((HOUR_SECONDS, -HOUR_SECONDS))
    for number in range(int(seconds / every)):
        begin = number * every + every * (1 - _CLOCK_SHARE) * rng.uniform(0.5, 0.9)
        yield Event(begin, "clock", {"ahead_seconds": ahead})
        yield Event(begin + every * _CLOCK_SHARE, "clock", {"ahead_seconds": 0})
        ahead = -ahead


def _disk(seconds: float) -> Iterator[Event]:
    every = min(_DISK_EVERY_SECONDS, seconds)
    length = min(_DISK_FULL_SECONDS, every / 4)
    for number in range(int(seconds / every)):
        begin = number * every + every * 0.4
        yield Event(begin, "disk", {"full": True})
        yield Event(begin + length, "disk", {"full": False})


def _kills(rng: random.Random, seconds: float, targets: Sequence[str], every: float) -> Iterator[Event]:
    names = _dealt(rng, targets)
    at = every * rng.uniform(0.6, 1.4)
    while targets and at < seconds:
        yield Event(at, "kill", {"target": next(names), "down_seconds": round(rng.uniform(0.2, 5.0), 2)})
        at += every * rng.uniform(0.6, 1.4)
