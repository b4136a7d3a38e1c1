"""Prefect's server application behind our layers, and no way to start it without them.

Prefect's own server answers everybody who reaches its port: each web page that is open in a browser of this
machine could read tokens and start commands (``prefect_patches.SEEN_NEEDED``).
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any, NoReturn

from prefect.cli import _server_utils
from prefect.server.api import server
from prefect.settings import get_current_settings

from deployments.cli.output import say
from deployments.stack.asgi import Application, Receive, Scope, Send, answer_with_text, is_at_or_below
from deployments.stack.password import PasswordNeededError, require_password
from deployments.stack.prefect_patches import original, replace
from deployments.stack.retry_when_locked import AskAgain
from deployments.stack.same_origin import Policy, SameOrigin
from models.errors import ExitCode
from models.settings import Environment

API_PATH = "/api"
CSRF_PROTECTION = {"PREFECT_SERVER_CSRF_PROTECTION_ENABLED": "true"}
IN_PROCESS = frozenset({"prefect-in-memory", "ephemeral-prefect"})
"""Prefect's services, such as the actions of automations, ask the API of their own process by these names."""
_PAGES_ABOUT_THE_API = ("/docs", "/docs/oauth2-redirect", "/redoc")


def guard() -> None:
    """Let this process start Prefect servers behind our layers, and no others."""
    make: Callable[..., Any] = original(server, "create_app")

    def create_app(*args: Any, **options: Any) -> SameOrigin:
        return guarded(make(*args, **options))

    replace(server, create_app=create_app, RequestLimitMiddleware=RequestLimit)
    _check_what_is_started()


def guarded(application: Application) -> SameOrigin:
    """Return Prefect's application behind our layers."""
    has_password = get_current_settings().server.api.auth_string is not None
    policy = Policy(
        hosts=Environment().allowed_hosts(),
        checks_host=not has_password,
        closed_to_links=_api_path(),
        in_process=IN_PROCESS,
    )
    return SameOrigin(ClosedPaths(AskAgain(application), closed_paths(_api_path())), policy)


def _api_path() -> str:
    return get_current_settings().server.api.base_path or API_PATH


def closed_paths(api_path: str) -> frozenset[str]:
    """Return the paths of the pages about the API that FastAPI adds.

    They load scripts from another host, which could then do all that the server's own pages can. The
    description itself stays, with the API.
    """
    below_the_api = (f"{api_path.rstrip('/')}{page}" for page in _PAGES_ABOUT_THE_API)
    return frozenset({"/openapi.json", *_PAGES_ABOUT_THE_API, *below_the_api})


class ClosedPaths:
    """An ASGI application around another one, some of whose paths are not there."""

    def __init__(self, application: Application, paths: frozenset[str]) -> None:
        self._application = application
        self._paths = paths

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] == "http" and scope["path"].rstrip("/") in self._paths:
            await answer_with_text(send, 404, "Not found.\n")
        else:
            await self._application(scope, receive, send)


class RequestLimit(server.RequestLimitMiddleware):
    """Prefect's limit of requests at once, for requests to the API only.

    Pages and open websockets cost the database nothing. With Prefect's own limit, a hundred websockets held
    the whole server, and they did not even have to give the password (measured).
    """

    def __init__(self, app: Any, limit: float) -> None:
        super().__init__(app, limit)
        self._api_path = _api_path()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request; one to the API when its turn has come."""
        if scope["type"] == "http" and is_at_or_below(scope["path"], self._api_path):
            await super().__call__(scope, receive, send)
        else:
            await self.app(scope, receive, send)


def _check_what_is_started() -> None:
    """Let `server start` refuse what would not be behind our layers, or open to other machines."""
    start: Callable[..., None] = original(_server_utils, "_run_in_foreground")

    def start_checked(
        console: Any,
        settings: dict[str, str],
        host: str,
        port: int,
        keep_alive_timeout: int,
        no_services: bool,
        workers: int,
        **options: Any,
    ) -> None:
        if workers != 1:
            _refuse("--workers: its processes would not be protected; start one server")
        try:
            require_password(host)
        except PasswordNeededError as error:
            _refuse(str(error))
        api = get_current_settings().server.api
        if api.auth_string is not None and "csrf_protection_enabled" not in api.model_fields_set:
            settings = settings | CSRF_PROTECTION
        start(console, settings, host, port, keep_alive_timeout, no_services, workers, **options)

    def start_in_background(*_args: Any, **_options: Any) -> None:
        _refuse("--background: that server would not be protected; let a service manager start it")

    replace(_server_utils, _run_in_foreground=start_checked, _run_in_background=start_in_background)


def _refuse(reason: str) -> NoReturn:
    say(f"Error: {reason}")
    sys.exit(ExitCode.BAD_INPUT)
