"""The application of the HTTP API: lets in, reads, does and answers, always in JSON."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from pydantic import BaseModel, ValidationError
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from deployments.stack.asgi import Application, Receive, Send
from deployments.stack.asgi import Scope as AsgiScope
from deployments.web.api.access import check_scope, known_token, now, token_of
from deployments.web.api.endpoints import ENDPOINTS, KEY_HEADER, PREFIX, Call, Endpoint, key_problem
from deployments.web.api.errors import RequestError, error_answer, json_answer, unfit
from deployments.web.api.forms import Form
from deployments.web.api.openapi import document
from deployments.web.site import Site
from tasks.desk.errors import DeskError
from tasks.people.tokens_store import KnownToken, note_use

MAX_BODY_BYTES = 256_000
_TOO_LARGE = f"the body is more than {MAX_BODY_BYTES // 1000} kB: send less at once"


class TokenCheck:
    """Lets in who has a token, before anything else is looked at; the token is kept in the request's state.

    Args:
        application: the one inside.
        site: the desk.
    """

    def __init__(self, application: Application, site: Site) -> None:
        self._application = application
        self._site = site

    async def __call__(self, scope: AsgiScope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] != "http":
            return
        try:
            token = token_of(Request(scope))
            known = await run_in_threadpool(known_token, self._site.engine, token)
        except Exception as error:  # noqa: BLE001 - the last stop: each error is told in JSON
            await error_answer(error)(scope, receive, send)
            return
        scope.setdefault("state", {})["token"] = known
        await self._application(scope, receive, send)


def create_api(site: Site) -> Application:
    """Return the API of a desk."""
    routes = [
        *(
            Route(PREFIX + endpoint.path, _endpoint(endpoint, site), methods=[endpoint.method])
            for endpoint in ENDPOINTS
        ),
        Route(f"{PREFIX}/openapi.json", _document(site), methods=["GET"]),
    ]
    api = Starlette(routes=routes, exception_handlers={HTTPException: _refused})
    api.router.redirect_slashes = False
    return TokenCheck(api, site)


async def _refused(_request: Request, error: Exception) -> Response:
    return error_answer(error)


def _document(site: Site) -> Callable[[Request], Awaitable[Response]]:
    async def answer(request: Request) -> Response:
        response = json_answer(document())
        response.background = _noting(site, request.state.token)
        return response

    return answer


def _endpoint(endpoint: Endpoint, site: Site) -> Callable[[Request], Awaitable[Response]]:
    async def answer(request: Request) -> Response:
        token: KnownToken = request.state.token
        try:
            check_scope(token, endpoint.scope)
            key = _key(request) if endpoint.needs_key else ""
            query = _query(request, endpoint.query)
            body = await _body(request, endpoint.body) if endpoint.body else None
            call = Call(site, token, request.path_params, query, body, key)
            response = json_answer(await run_in_threadpool(endpoint.handle, call), endpoint.status)
        except ClientDisconnect:
            raise
        except Exception as error:  # noqa: BLE001 - the last stop: a traceback quotes values of orders
            response = error_answer(error)
        response.background = _noting(site, token)
        return response

    answer.__name__ = endpoint.handle.__name__
    return answer


def _noting(site: Site, token: KnownToken) -> BackgroundTask:
    """Return what notes the token's use after the answer: nobody waits for it."""

    def note() -> None:
        try:
            note_use(site.engine, token, now=now())
        except DeskError:
            return  # the next request notes it

    return BackgroundTask(note)


def _query(request: Request, form: type[Form]) -> Form:
    given = request.query_params.multi_items()
    names = [name for name, _ in given]
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise RequestError(422, f"{twice[:100]}: it is given twice", twice[:100])
    try:
        return form.model_validate(dict(given))
    except ValidationError as error:
        raise unfit(error) from None


async def _body(request: Request, form: type[BaseModel]) -> BaseModel:
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json":
        raise RequestError(415, "send JSON, with Content-Type: application/json", "Content-Type")
    content = bytearray()
    async for part in request.stream():
        content += part
        if len(content) > MAX_BODY_BYTES:
            raise RequestError(413, _TOO_LARGE, headers={"Connection": "close"})
    try:
        return form.model_validate_json(bytes(content))
    except ValidationError as error:
        raise unfit(error) from None


def _key(request: Request) -> str:
    given = request.headers.getlist(KEY_HEADER)
    key = given[0].strip() if len(given) == 1 else ""
    if problem := key_problem(key):
        raise RequestError(422, f"{KEY_HEADER}: {problem}", KEY_HEADER)
    return key
