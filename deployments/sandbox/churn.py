"""Rows that move while they are read: what makes a plain page loop lose orders."""

from __future__ import annotations

from datetime import UTC, datetime

from deployments.sandbox.generator import GeneratorOptions, OrderFactory
from deployments.sandbox.store import Store
from deployments.sandbox.wire import rng_for

_LEAVES_TO = ("processing", "complete", "refunded")


class Churn:
    """Changes the store before each list answer, and remembers what it did, by id.

    Attributes:
        moved: Orders that were touched: `updatedAt` became the store's time.
        left: Orders that left the status `paid`.
        returned: Orders that had left and went back to `paid`, from `refunded` too.
        appeared: New orders, created at the store's time, in the status `paid`.
    """

    def __init__(self, rate: float, seed: int) -> None:
        """Make `rate` changes per list answer on average; the same seed makes the same changes."""
        self.moved: list[str] = []
        self.left: list[str] = []
        self.returned: list[str] = []
        self.appeared: list[str] = []
        self._away: list[str] = []
        self._rate = rate
        self._rng = rng_for(seed, "churn")
        options = GeneratorOptions(now=datetime.now(UTC), seed=-seed - 1, nulls=False, unknown_values=False)
        self._factory = OrderFactory(options)

    def __call__(self, store: Store, _number: int) -> None:
        """Change the store."""
        whole = int(self._rate)
        for _ in range(whole + (self._rng.random() < self._rate - whole)):
            with store.alone:
                self._rng.choice((self._move, self._leave, self._return, self._appear))(store)

    def _move(self, store: Store) -> None:
        key = store.pick(self._rng, "paid")
        if key is not None:
            store.update(key)
            self.moved.append(key)

    def _leave(self, store: Store) -> None:
        key = store.pick(self._rng, "paid")
        if key is not None:
            store.update(key, status=self._rng.choice(_LEAVES_TO))
            self.left.append(key)
            self._away.append(key)

    def _return(self, store: Store) -> None:
        """Send an order back to where it came from, unless somebody has shipped it meanwhile."""
        if not self._away:
            return
        key = self._away.pop(self._rng.randrange(len(self._away)))
        order = store.get(key)
        if order is not None and order["status"] in _LEAVES_TO and not order.get("tracking"):
            store.update(key, status="paid")
            self.returned.append(key)

    def _appear(self, store: Store) -> None:
        created = store.now()
        order = self._factory.order(len(self.appeared), created, status="paid")
        order.update(updatedAt=order["createdAt"], statusChangedAt=order["createdAt"])
        self.appeared.append(store.add(order))


def churn(rate: float, seed: int = 1) -> Churn:
    """Make a `before_list` hook that lets rows move to the end, leave, come back and appear.

    Args:
        rate: How many changes per list answer, on average.
        seed: The same seed makes the same changes.
    """
    return Churn(rate, seed)
