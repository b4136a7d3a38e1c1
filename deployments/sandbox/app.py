"""The HTTP side: routes, and playing the faults on the wire."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from deployments.sandbox.api import Answer, Api, Call, error_answer, read_object
from deployments.sandbox.connections import Connections
from deployments.sandbox.playing import CutResponse, DripResponse, NoResponse, RawResponse, garbled, hang
from deployments.sandbox.record import RecordedRequest

_OPENAPI = Path(__file__).with_name("openapi.json")
_LOG = logging.getLogger(__name__)
_REFUSALS: dict[str, tuple[int, str, str]] = {
    "429": (429, "too_many_requests", "Too many requests."),
    "429_retry_after": (429, "too_many_requests", "Too many requests."),
    "429_retry_after_date": (429, "too_many_requests", "Too many requests."),
    "500": (500, "server_error", "Something went wrong."),
    "502": (502, "bad_gateway", "Bad gateway."),
    "503": (503, "unavailable", "Down for maintenance."),
    "401": (401, "unauthorized", "The API token is missing or wrong."),
    "403": (403, "forbidden", "The API token may not do this."),
    "404": (404, "not_found", "Not found."),
    "timeout": (504, "gateway_timeout", "The server took too long."),
}
_PAGE = b"<!doctype html><html><head><title>Sign in</title></head><body><h1>Please sign in</h1></body></html>"

_MAKERS: dict[str, type[Response]] = {
    "cut": CutResponse,
    "drip": DripResponse,
    "half_closed": RawResponse,
    "length_too_long": RawResponse,
    "length_too_short": RawResponse,
}


def create_app(api: Api, connections: Connections) -> Starlette:
    """Make the ASGI application that answers for `api`."""
    shell = _Shell(api, connections)
    return Starlette(
        routes=[
            Route("/health", _health, methods=["GET"]),
            Route("/openapi.json", _openapi, methods=["GET"]),
            Route("/v1/fulfillments", shell.list_orders, methods=["GET"]),
            Route("/v1/fulfillments/{order_id}", shell.get_order, methods=["GET"]),
            Route("/v1/fulfillments/{order_id}", shell.patch_order, methods=["PATCH"]),
        ],
        exception_handlers={HTTPException: _http_error, Exception: _crash},
    )


class _Shell:
    """Turns requests into calls, plays the faults around them, and keeps the log."""

    def __init__(self, api: Api, connections: Connections) -> None:
        self._api = api
        self._connections = connections

    async def list_orders(self, request: Request) -> Response:
        return await self._serve(request, self._api.list_orders)

    async def get_order(self, request: Request) -> Response:
        return await self._serve(
            request, lambda call: self._api.get_order(call, request.path_params["order_id"])
        )

    async def patch_order(self, request: Request) -> Response:
        return await self._serve(
            request, lambda call: self._api.patch_order(call, request.path_params["order_id"])
        )

    async def _serve(self, request: Request, handle: Callable[[Call], Answer]) -> Response:
        started = time.monotonic()
        body = await request.body()
        call = Call(request.query_params.multi_items(), request.headers.get("authorization"), body)
        faults = self._api.faults
        fault = faults.decide(request.method)
        delay = faults.delay_seconds() + (faults.spike_seconds if fault == "spike" else 0)
        if delay > 0:
            await asyncio.sleep(delay)
        answer = self._refusal(fault) or self._repeating(fault, request, call) or handle(call)
        self._record(request, call, started, fault, answer)
        if fault == "timeout":
            await hang(request.receive, faults.hang_seconds)
        return self._response(fault, answer)

    def _refusal(self, fault: str | None) -> Answer | None:
        """Make the answer of a fault that keeps the call from being handled."""
        if fault == "html":
            return Answer(200, _PAGE, content_type="text/html; charset=utf-8")
        if fault not in _REFUSALS:
            return None
        seconds = self._api.faults.retry_after_seconds
        if fault == "429_retry_after":
            return error_answer(*_REFUSALS[fault], ("Retry-After", str(seconds)))
        if fault == "429_retry_after_date":
            moment = self._podos_now() + timedelta(seconds=seconds)
            return error_answer(*_REFUSALS[fault], ("Retry-After", format_datetime(moment, usegmt=True)))
        return error_answer(*_REFUSALS[fault])

    def _repeating(self, fault: str | None, request: Request, call: Call) -> Answer | None:
        """Make the answer of a fault that repeats what it should not, of this order or the newest."""
        if fault not in {"400_repeats", "503_repeats"}:
            return None
        store = self._api.store
        order = store.get(request.path_params.get("order_id", "")) or next(iter(store.all()[::-1]), {})
        address, contact = order.get("shippingAddress"), order.get("contactInformation")
        name = address.get("contactName") if isinstance(address, dict) else address
        said = f"No parcel for {name}: {call.body.decode(errors='replace')} {address} {contact} {request.url}"
        header = ("X-Error", said.encode("ascii", "replace").decode())
        return error_answer(int(fault[:3]), "refused", said, header)

    def _response(self, fault: str | None, answer: Answer) -> Response:
        if fault == "cut_before_answer":
            return NoResponse(self._connections)
        body, make = answer.body, _MAKERS.get(fault or "", Response)
        if fault == "garbled_json":
            body = garbled(body)
        elif fault in {"broken_json", "half_closed"}:
            body = body[: len(body) // 2]
        date = format_datetime(self._podos_now(), usegmt=True)
        headers = {**dict(answer.headers), "Date": date}
        response = make(body, answer.status, headers, media_type=answer.content_type)
        if isinstance(response, DripResponse):
            response.seconds = self._api.faults.drip_seconds
        if isinstance(response, RawResponse):
            response.connections, response.seconds = self._connections, self._api.faults.hang_seconds
            response.half_close = fault == "half_closed"
            response.surplus = _surplus(fault, answer.body)
        return response

    def _podos_now(self) -> datetime:
        return datetime.fromtimestamp(self._api.store.now(), UTC)

    def _record(
        self, request: Request, call: Call, started: float, fault: str | None, answer: Answer
    ) -> None:
        seen = RecordedRequest(
            method=request.method,
            path=request.url.path,
            query=call.query,
            body=read_object(call.body) if call.body else None,
            status=0 if fault == "cut_before_answer" else answer.status,
            started=started,
            fault=fault,
        )
        self._api.store.log.add_request(seen)


def _surplus(fault: str | None, body: bytes) -> int:
    """Return by how much the length that is said exceeds what is sent."""
    if fault == "half_closed":
        return len(body) - len(body) // 2
    return 100 if fault == "length_too_long" else -(len(body) // 3)


async def _health(_request: Request) -> Response:
    return Response(b'{"status":"ok"}', media_type="application/json")


async def _openapi(_request: Request) -> Response:
    return Response(_OPENAPI.read_bytes(), media_type="application/json")


async def _http_error(_request: Request, error: Exception) -> Response:
    status, headers = (error.status_code, error.headers) if isinstance(error, HTTPException) else (500, None)
    code = {404: "not_found", 405: "method_not_allowed"}.get(status, "error")
    answer = error_answer(status, code, "There is no such call.")
    return Response(answer.body, answer.status, headers, media_type=answer.content_type)


async def _crash(_request: Request, error: Exception) -> Response:
    """Say on the log what broke: mostly a `before_list` hook or a mistyped fault."""
    _LOG.error("the sandbox failed at a request", exc_info=error)
    answer = error_answer(500, "sandbox_failure", "The sandbox itself failed; its log says why.")
    return Response(answer.body, answer.status, media_type=answer.content_type)
