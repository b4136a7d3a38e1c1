"""What goes wrong on purpose: one-shot faults, random faults, slow answers and server bugs.

Everything is off by default. Only decisions are made here; `app.py` plays them.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field, fields, replace
from random import Random
from threading import Lock

from deployments.sandbox.churn import Churn, churn
from deployments.sandbox.query import DEFAULT_SORT, ListQuery
from deployments.sandbox.store import Store
from deployments.sandbox.wire import rng_for

__all__ = ["FAULTS", "Churn", "Fault", "FaultPlan", "churn"]

FAULTS: dict[str, str] = {
    "ok": "no fault: answers as usual, to let a request pass within a script",
    "429": "too many requests, without Retry-After",
    "429_retry_after": "too many requests, Retry-After in seconds",
    "429_retry_after_date": "too many requests, Retry-After as an HTTP date",
    "500": "server error as JSON; nothing is applied",
    "502": "bad gateway as JSON; nothing is applied",
    "503": "unavailable as JSON; nothing is applied",
    "401": "as if the token were wrong",
    "403": "as if the token might not do this",
    "404": "as if the project or order did not exist",
    "400_repeats": "400 with the buyer's name and what was sent in message and header; nothing is applied",
    "503_repeats": "503 with the same message and header; nothing is applied",
    "html": "200 with a web page instead of JSON; nothing is applied",
    "timeout": "silence for hang_seconds, then 504; nothing is applied",
    "broken_json": "applied, then 200 with JSON that ends in the middle and a length that agrees",
    "garbled_json": "applied, then 200 with JSON that is broken in the middle and whole at the end",
    "length_too_long": "applied, then all of the body and a Content-Length of 100 more, for hang_seconds",
    "length_too_short": "applied, then all of the body and a Content-Length of two thirds of it",
    "drip": "applied, then the body in 20 pieces over drip_seconds",
    "spike": "answers as usual, but only after spike_seconds",
    "cut": "applied, then the headers and half of the body, and the connection closes",
    "cut_before_answer": "applied, then the connection closes without a byte",
    "half_closed": "applied, then half of the body, and only the server's side of the connection closes",
}
"""Every fault by name, and what the client sees."""


@dataclass(frozen=True)
class Fault:
    """One scripted fault for the next request, or for the next one with this method."""

    name: str
    method: str | None = None

    def __post_init__(self) -> None:
        """Refuse a name that nobody would play."""
        if self.name not in FAULTS:
            raise ValueError(f"there is no fault {self.name!r}; there are {', '.join(FAULTS)}")


@dataclass
class FaultPlan:
    """What goes wrong, changeable while the sandbox runs, from any thread.

    Attributes:
        seed: Makes the random decisions repeatable.
        latency_seconds: Every answer waits this long.
        latency_jitter_seconds: And up to this much longer, at random.
        retry_after_seconds: What the 429 faults with Retry-After ask for.
        hang_seconds: How long the fault `timeout` stays silent, and how long a connection stays open after
            a wrong length or half a close.
        spike_seconds: How much later the fault `spike` answers.
        drip_seconds: How long the fault `drip` takes to send a body.
        clock_ahead_seconds: How far podOS's clock runs ahead, behind when negative: what it dates from then
            on, and the Date of its answers.
        script: Faults (or their names) to play once each, first come first served; see `then`.
        rates: Probability of each fault, for requests that the script leaves alone.
        ignore_sort: Answers newest first whatever `sortBy[]` says.
        ignore_start: Acts as if `start` had not been sent.
        ignore_page_token: Always answers page 1.
        page_size_cap: Pages are never longer than this.
        small_pages: Pages are at random shorter than asked for, though more follow; no row is lost.
        start_exclusive: Rows exactly at `start` are left out.
        end_exclusive: Rows exactly at `end` are left out.
        duplicate_rows: About half of the pages begin with the last row of the page before.
        takes_production: Off: the statuses `processing` and `printed` are refused (403).
        before_list: Called with the store and the number of the list answer (from 1) before each
            list answer: the place to move rows between two pages.
    """

    seed: int = 1
    latency_seconds: float = 0.0
    latency_jitter_seconds: float = 0.0
    retry_after_seconds: int = 1
    hang_seconds: float = 30.0
    spike_seconds: float = 3.0
    drip_seconds: float = 2.0
    clock_ahead_seconds: float = 0.0
    script: deque[Fault | str] = field(default_factory=deque)
    rates: dict[str, float] = field(default_factory=dict)
    ignore_sort: bool = False
    ignore_start: bool = False
    ignore_page_token: bool = False
    page_size_cap: int | None = None
    small_pages: bool = False
    start_exclusive: bool = False
    end_exclusive: bool = False
    duplicate_rows: bool = False
    takes_production: bool = True
    before_list: Callable[[Store, int], None] | None = None

    def __post_init__(self) -> None:
        """Prepare the random draws and the count of what was played."""
        self._lock = Lock()
        self._rng = rng_for(self.seed, "faults")
        self.played: Counter[str] = Counter()

    def then(self, *names: str, method: str | None = None, times: int = 1) -> FaultPlan:
        """Add one-shot faults to the script, all of them `times` over; only for `method` when given.

        Raises:
            ValueError: There is no fault of that name.
        """
        planned = [Fault(name, method) for name in names]
        with self._lock:
            self.script.extend(planned * times)
        return self

    def reset(self) -> None:
        """Switch everything off and begin the random draws anew."""
        calm = FaultPlan(seed=self.seed)
        with self._lock:
            for field in fields(self):
                setattr(self, field.name, getattr(calm, field.name))
            self._rng = calm._rng
            self.played = calm.played

    def decide(self, method: str) -> str | None:
        """Say which fault the next request of this method gets, and use it up; None for none."""
        with self._lock:
            name = self._scripted(method) or self._drawn()
            if name is None or name == "ok":
                return None
            self.played[name] += 1
            return name

    def delay_seconds(self) -> float:
        """Say how long the next answer waits."""
        with self._lock:
            return self.latency_seconds + self._rng.random() * self.latency_jitter_seconds

    def distort(self, query: ListQuery) -> ListQuery:
        """Read a list request the way the server's bugs make it."""
        wanted = replace(query.filter, start_exclusive=self.start_exclusive, end_exclusive=self.end_exclusive)
        if self.ignore_sort:
            wanted = replace(wanted, sort=DEFAULT_SORT)
        if self.ignore_start:
            wanted = replace(wanted, start=None)
        page = 1 if self.ignore_page_token else query.page
        size = min(query.page_size, self.page_size_cap or query.page_size)
        return replace(query, filter=wanted, page=page, page_size=size)

    def bounds(self, query: ListQuery) -> tuple[int, int]:
        """Say which positions the page covers: first, and the one after the last."""
        page, size = query.page, query.page_size
        repeats = self.duplicate_rows and size > 1
        step = size - 1 if repeats else size
        start, stop = (page - 1) * step, page * step
        if self.small_pages:
            lengths = [self._page_rng(query, number).randint(1, step) for number in range(1, page + 1)]
            start, stop = sum(lengths[:-1]), sum(lengths)
        if repeats and page > 1 and self._page_rng(query, -page).random() < 0.5:
            start -= 1
        return start, stop

    def _page_rng(self, query: ListQuery, number: int) -> Random:
        return rng_for(self.seed, "page", query.filter.start, query.page_size, number)

    def _scripted(self, method: str) -> str | None:
        for position, entry in enumerate(self.script):
            fault = entry if isinstance(entry, Fault) else Fault(entry)
            if fault.method in (None, method):
                del self.script[position]
                return fault.name
        return None

    def _drawn(self) -> str | None:
        if not self.rates:
            return None
        point = self._rng.random()
        for name, probability in self.rates.items():
            point -= probability
            if point < 0:
                return Fault(name).name
        return None
