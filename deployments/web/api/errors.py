"""Errors as JSON, in the words of the commands; the class of an error decides its status."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import ValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response

from deployments.cli.output import json_text
from deployments.web.pages import logged
from models.errors import AppError
from tasks.desk.errors import DeskRefusedError, RetriableDeskError
from tasks.tracking.requests_store import KeyReusedError

RETRY_AFTER_SECONDS = 5
STATUSES: tuple[tuple[type[AppError], int], ...] = (
    (RetriableDeskError, 503),
    (KeyReusedError, 409),
    (DeskRefusedError, 422),
    (AppError, 500),
)
"""The first that an error is of."""
_WORDS = {404: "there is no such address: see openapi.json", 405: "this address does not know this method"}


class RequestError(AppError):
    """A request that can't be answered.

    Args:
        status: of HTTP.
        text: why not.
        field: what is wrong of the request.
        headers: of the answer.
    """

    def __init__(
        self, status: int, text: str, field: str | None = None, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(text)
        self.status = status
        self.field = field
        self.headers = headers


def json_answer(value: object, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """Return a value as JSON."""
    return Response(json_text(value).encode(), status, headers, "application/json")


def error_answer(error: Exception) -> Response:
    """Return an error as JSON."""
    if isinstance(error, RequestError):
        return _told(str(error), error.status, error.field, error.headers)
    if isinstance(error, HTTPException):
        return _told(_WORDS.get(error.status_code, error.detail), error.status_code, None, error.headers)
    if isinstance(error, AppError):
        status = next(status for kind, status in STATUSES if isinstance(error, kind))
        wait = {"Retry-After": str(RETRY_AFTER_SECONDS)} if error.retriable else None
        return _told(str(error), status, None, wait)
    return _told(f"{logged(error)} Ask again for what was done: it may have been.", 500, None, None)


def unfit(error: ValidationError) -> RequestError:
    """Return what is wrong of a request first, without its value."""
    first = error.errors(include_url=False, include_input=False, include_context=False)[0]
    field = ".".join(str(part) for part in first["loc"]) or None
    text = first["msg"].removeprefix("Value error, ")
    return RequestError(422, f"{field}: {text}" if field else text, field)


def _told(text: str, status: int, field: str | None, headers: Mapping[str, str] | None) -> Response:
    return json_answer({"error": text, "field": field}, status, headers)
