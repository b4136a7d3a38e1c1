"""A flow of all integrations or fulfillers: each has its turn, whatever becomes of the others."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

from prefect.client.schemas.objects import State
from prefect.states import Failed

from tasks.prefect_api.foreign_errors import fault_of

logger = logging.getLogger(__name__)


async def for_each(
    names: Iterable[str], run: Callable[[str], Awaitable[State[Any]]]
) -> dict[str, State[Any]]:
    """Do the work of each, one after the other, and return how each ended; no error ends the others."""
    states: dict[str, State[Any]] = {}
    for name in names:
        try:
            states[name] = await run(name)
        except Exception as error:  # noqa: BLE001 - a fault at one integration is not the others'
            words = str(fault_of(error))
            logger.error("%s: %s", name, words)  # noqa: TRY400 - a traceback may quote values
            states[name] = Failed(message=words)
    return states
