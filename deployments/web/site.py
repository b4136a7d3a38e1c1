"""What all pages share: the desk, what Prefect plans, and what a page says after it wrote."""

from __future__ import annotations

import asyncio
import secrets
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Collection
from datetime import UTC, datetime

from sqlalchemy import Engine

from models.settings import Environment
from models.watching import Plans
from tasks.desk.errors import UnusableRuleError
from tasks.desk.events import events_wait

PLANS_FOR_SECONDS = 60.0
_KEPT = 200
BY = "a person on the page"
"""Who did it, for the history."""


class Site:
    """The desk and what is known beside it.

    Args:
        engine: the desk.
        read_plans: asks the Prefect server; None: there is none.
        clock: seconds that only grow.
        prefect: the address of Prefect's pages; empty: there are none.
        check: starts a check of all integrations.
    """

    def __init__(
        self,
        engine: Engine,
        read_plans: Callable[[], Plans | None] | None = None,
        clock: Callable[[], float] = time.monotonic,
        *,
        prefect: str = "",
        check: Callable[[], None] | None = None,
    ) -> None:
        self.engine = engine
        self.prefect = prefect
        self.check = check
        self._ask = read_plans
        self._clock = clock
        self._plans: Plans | None = None
        self._asked_at: float | None = None
        self._one_at_a_time = threading.Lock()
        self._said: OrderedDict[str, tuple[str, bool]] = OrderedDict()

    @property
    def plans(self) -> Plans | None:
        """What the Prefect server knows; it is asked at most once a minute, by one visitor."""
        if self._ask and self._one_at_a_time.acquire(blocking=self._asked_at is None):
            try:
                if self._asked_at is None or self._clock() - self._asked_at > PLANS_FOR_SECONDS:
                    self._plans, self._asked_at = self._ask(), self._clock()
            finally:
                self._one_at_a_time.release()
        return self._plans

    @property
    def fulfillers(self) -> list[str] | None:
        """The names of those that orders can be sent to, None where nobody knows."""
        plans = self.plans
        return sorted(plans.fulfillers) if plans else None

    def keep(self, text: str, *, is_bad: bool = False) -> str:
        """Keep a sentence for the page after this one, and return the key that its address carries.

        The sentence itself is in no address: a link could put its own words on our page.
        """
        key = secrets.token_urlsafe(9)
        self._said[key] = (text, is_bad)
        while len(self._said) > _KEPT:
            self._said.popitem(last=False)
        return key

    def said(self, key: str) -> tuple[str, bool] | None:
        """Return a sentence that was kept, and whether it tells of a trouble."""
        return self._said.get(key)


def plans_of_prefect() -> Plans | None:
    """Ask the server of PREFECT_API_URL what is connected and planned."""
    from tasks.monitoring.plans import read_plans

    return asyncio.run(read_plans())


def check_by_prefect() -> None:
    """Let the server of PREFECT_API_URL start a check.

    Raises:
        AppError: it can't be used.
    """
    from deployments.stack.planning import start_check

    asyncio.run(start_check("check from the page"))


def react(site: Site) -> str:
    """Let the rules look at what a page just did, and return what there is to say about it."""
    if not events_wait(site.engine):
        return ""
    from tasks.rules.apply import apply_rules, emit_events_of

    result = apply_rules(site.engine, now=datetime.now(UTC))
    asyncio.run(emit_events_of(result))
    try:
        result.raise_problem()
    except UnusableRuleError as error:
        return str(error)
    return result.one_line() if result.fired or result.unlooked else ""


def tell_shipments(integrations: Collection[str]) -> None:
    """Let the sync of these integrations start at once where a Prefect server runs."""
    if integrations and Environment().prefect_api_url:
        from tasks.prefect_api.events import emit_shipments_added

        asyncio.run(emit_shipments_added(integrations))


def tell_queued(fulfillers: Collection[str]) -> None:
    """Let sending to these fulfillers start at once where a Prefect server runs."""
    if fulfillers and Environment().prefect_api_url:
        from tasks.prefect_api.events import emit_orders_queued

        asyncio.run(emit_orders_queued(fulfillers))
