"""Every path of Prefect's server, by what Prefect itself says of it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from uuid import UUID

from starlette.routing import WebSocketRoute

SOME_ID = str(UUID(int=4711))
_PARAMETER = re.compile(r"\{[^}]*\}")


def api_requests() -> Iterator[tuple[str, str]]:
    """Give method and path of every request that the API knows, with something in place of parameters."""
    from prefect.server.api.server import create_api_app

    for path, methods in create_api_app().openapi()["paths"].items():
        for method in methods:
            yield method.upper(), f"/api{_filled(path)}"


def websockets() -> list[str]:
    """Return the path of every websocket."""
    from prefect.server.api.server import API_ROUTERS

    routes = (route for router in API_ROUTERS for route in router.routes)
    return [f"/api{_filled(route.path)}" for route in routes if isinstance(route, WebSocketRoute)]


def _filled(path: str) -> str:
    return _PARAMETER.sub(SOME_ID, path)
