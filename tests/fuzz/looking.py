"""Look for an example that breaks a property: the same few in every test run, or new ones for minutes."""

from __future__ import annotations

import secrets
import time
from collections import Counter
from collections.abc import Callable
from typing import Any, TypeVar

from hypothesis import HealthCheck, Phase, given, note, seed, settings
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

T = TypeVar("T")
EXAMPLES_A_ROUND = 200
SHOWN_CHARACTERS = 5000


class Example:
    """What a property is tried on, told shortly: Hypothesis warns of a long text, not of what failed."""

    def __init__(self, value: Any) -> None:
        self.value = value

    def __repr__(self) -> str:
        return repr(self.value)[:SHOWN_CHARACTERS]


class Looking:
    """Tries examples; without seconds the same ones every time.

    Args:
        seconds: how long to look; 0 for the short form.
        first_seed: of the first round; the next rounds count on from it. None for one by chance.
    """

    def __init__(self, seconds: float, first_seed: int | None) -> None:
        self._seconds = seconds
        self._seed = secrets.randbelow(2**32) if first_seed is None else first_seed
        self._began = time.monotonic()
        self.counts: Counter[str] = Counter()

    def run(self, examples: SearchStrategy[T], check: Callable[[T], None], *, short: int = 50) -> None:
        """Try a property on examples.

        Args:
            examples: what to try.
            check: raises where the property does not hold.
            short: how many examples the short form tries.
        """
        if not self._seconds:
            self._round(examples, check, short, derandomize=True)()
            return
        first = self._seed
        while time.monotonic() - self._began < self._seconds:
            print(f"seed {self._seed}; to repeat: make fuzz SEED={self._seed}")  # noqa: T201 - shown when it fails
            seed(self._seed)(self._round(examples, check, EXAMPLES_A_ROUND, derandomize=False))()
            self._seed += 1
        self.counts["rounds"] = self._seed - first

    def _round(
        self, examples: SearchStrategy[T], check: Callable[[T], None], count: int, *, derandomize: bool
    ) -> Callable[[], None]:
        @given(_shown(examples))
        @settings(
            max_examples=count,
            derandomize=derandomize,
            database=None,
            deadline=None,
            # The short form's examples are always the same: a smaller one would be no other news.
            phases=(Phase.generate,) if derandomize else (Phase.generate, Phase.shrink),
            suppress_health_check=list(HealthCheck),
        )
        def counted(example: Example) -> None:
            self.counts["examples"] += 1
            note(repr(example))
            check(example.value)

        return counted

    def summary(self) -> str:
        """Return what was tried, on one line."""
        counts = ", ".join(f"{count} {what}" for what, count in self.counts.items())
        return f"{counts}, {time.monotonic() - self._began:.0f} s, next seed {self._seed}"


@st.composite
def _shown(draw: st.DrawFn, examples: SearchStrategy[Any]) -> Example:
    return Example(draw(examples))
