"""What Prefect's database holds, read without a server: for commands that only look at settings."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from prefect.client.orchestration import PrefectClient
from prefect.context import AsyncClientContext, ContextModel
from prefect.settings import get_current_settings

Found = TypeVar("Found")


class _InProcessClient(AsyncClientContext):
    """Prefect's own context of a client, whose server is a part of this process and serves nobody else."""

    def __init__(self) -> None:
        from prefect.server.api.server import create_app

        password = get_current_settings().api.auth_string
        app = create_app(ephemeral=True, webserver_only=True)
        ContextModel.__init__(
            self,
            client=PrefectClient(app, auth_string=password.get_secret_value() if password else None),
        )


def read_settings(reading: Coroutine[Any, Any, Found]) -> Found:
    """Return what a coroutine reads from Prefect: from the server that is set, or else from its database.

    A temporary server would take twice as long, and open a port.
    """

    async def read() -> Found:
        if get_current_settings().api.url:
            return await reading
        async with _InProcessClient():
            return await reading

    return asyncio.run(read())
