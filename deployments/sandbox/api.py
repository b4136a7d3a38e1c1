"""The rules of the podOS calls, without HTTP: who may ask, what a list, a get and a PATCH answer."""

from __future__ import annotations

import hmac
import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from itertools import count
from typing import Any, Literal

from deployments.sandbox.catalogue import STATUSES
from deployments.sandbox.faults import FaultPlan
from deployments.sandbox.query import BadRequestError, ListQuery, Pairs, parse_query
from deployments.sandbox.store import Store
from deployments.sandbox.wire import Order, render

AuthScheme = Literal["raw", "bearer", "both"]

_FILTERS: dict[str, list[str] | None] = {
    "sources": None,
    "active": [],
    "frozen": [],
    "applicationOnly": [],
    "plainOnly": [],
    "awaitingTransfers": [],
}
_META = b'"meta":' + render({"filters": _FILTERS})
PRODUCTION_STATUSES = frozenset({"processing", "printed"})
_PATCH_FIELDS = frozenset({"status", "tracking"})
_TRACKING_FIELDS = frozenset({"courier", "code", "url"})
# As openapi.json has it: what counts as white space differs between Python and JavaScript's expressions.
_SAYS_SOMETHING = re.compile(r"[^\s\x00-\x1f\x85\ufeff]")


class ApiError(Exception):
    """A request that is refused."""

    def __init__(self, status: int, code: str, message: str) -> None:
        """Answer with this HTTP status and these words."""
        super().__init__(message)
        self.answer = error_answer(status, code, message)


@dataclass(frozen=True)
class Call:
    """One request, as far as the rules look at it."""

    query: Pairs
    authorization: str | None
    body: bytes = b""


@dataclass(frozen=True)
class Answer:
    """What goes back."""

    status: int
    body: bytes
    content_type: str = "application/json"
    headers: tuple[tuple[str, str], ...] = ()


def error_answer(status: int, code: str, message: str, *headers: tuple[str, str]) -> Answer:
    """Write an error the way podOS does."""
    return Answer(status, render({"code": code, "message": message}), headers=headers)


class Api:
    """The calls of one project."""

    def __init__(self, store: Store, faults: FaultPlan, project: str, token: str, scheme: AuthScheme) -> None:
        """Answer from `store`, with the bugs of `faults`, to holders of `token`."""
        self.store = store
        self.faults = faults
        self._project = project
        self._accepted = {
            "raw": (token,),
            "bearer": (f"Bearer {token}",),
            "both": (token, f"Bearer {token}"),
        }[scheme]
        self._list_numbers = count(1)

    def list_orders(self, call: Call) -> Answer:
        """Answer one page."""
        return self._guarded(call, lambda: self._page(parse_query(call.query)))

    def get_order(self, call: Call, order_id: str) -> Answer:
        """Answer one order."""
        return self._guarded(call, lambda: Answer(200, self._known(order_id)))

    def patch_order(self, call: Call, order_id: str) -> Answer:
        """Write tracking and status, and answer the order."""
        with self.store.alone:
            return self._guarded(call, lambda: self._patch(order_id, call.body))

    def _guarded(self, call: Call, answer: Callable[[], Answer]) -> Answer:
        try:
            self._check_access(call)
            return answer()
        except ApiError as error:
            return error.answer
        except BadRequestError as error:
            return error_answer(400, "bad_request", str(error))

    def _check_access(self, call: Call) -> None:
        given = (call.authorization or "").encode()
        if not any(hmac.compare_digest(given, token.encode()) for token in self._accepted):
            raise ApiError(401, "unauthorized", "The API token is missing or wrong.")
        projects = [value for name, value in call.query if name == "project"]
        if not projects or not projects[-1]:
            raise BadRequestError("project: the parameter is missing")
        if projects[-1] != self._project:
            raise ApiError(404, "not_found", "There is no such project.")

    def _page(self, asked: ListQuery) -> Answer:
        if self.faults.before_list is not None:
            self.faults.before_list(self.store, next(self._list_numbers))
        query = self.faults.distort(asked)
        bodies, more = self.store.select(query.filter, *self.faults.bounds(query))
        if query.fields:
            bodies = [_only(body, query.fields) for body in bodies]
        following = b"%d" % (query.page + 1) if more else b"null"
        page = b",".join(bodies)
        return Answer(200, b'{"fulfillments":[%b],%b,"nextPageToken":%b}' % (page, _META, following))

    def _known(self, order_id: str) -> bytes:
        body = self.store.body(order_id)
        if body is None:
            raise ApiError(404, "not_found", "There is no such fulfillment.")
        return body

    def _patch(self, order_id: str, raw: bytes) -> Answer:
        order = json.loads(self._known(order_id))
        changes = parse_changes(raw)
        if changes.get("status") == "complete" and order.get("status") == "refunded":
            raise BadRequestError("status: a refunded fulfillment can't be completed")
        if changes.get("status") in PRODUCTION_STATUSES and not self.faults.takes_production:
            raise ApiError(403, "forbidden", "This token may not write production statuses.")
        if changes:
            self.store.update(order_id, **changes)
        self.store.log.add_patch(order_id, changes)
        return Answer(200, self._known(order_id))


def parse_changes(raw: bytes) -> Order:
    """Read the body of a PATCH.

    Raises:
        BadRequestError: It is not a JSON object, or holds something that podOS would not take.
    """
    changes = read_object(raw)
    if changes is None:
        raise BadRequestError("the body must be a JSON object")
    unknown = sorted(changes.keys() - _PATCH_FIELDS)
    if unknown:
        raise BadRequestError(f"{unknown[0]}: the sandbox takes only status and tracking")
    if "status" in changes and not _is_status(changes["status"]):
        raise BadRequestError("status: unknown value")
    if changes.get("tracking") is not None:
        _check_tracking(changes["tracking"])
    return changes


def read_object(raw: bytes) -> dict[str, Any] | None:
    """Read a JSON object; None when it is not one, or holds what JSON has not (NaN, half a character)."""
    try:
        value = json.loads(raw)
        json.dumps(value, ensure_ascii=False, allow_nan=False).encode()
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _is_status(value: object) -> bool:
    return isinstance(value, str) and value in STATUSES


def _check_tracking(tracking: object) -> None:
    if not isinstance(tracking, dict):
        raise BadRequestError("tracking: must be an object or null")
    unknown = sorted(tracking.keys() - _TRACKING_FIELDS)
    if unknown:
        raise BadRequestError(f"tracking.{unknown[0]}: unknown field")
    for field in ("courier", "code"):
        value = tracking.get(field)
        if not isinstance(value, str) or not _SAYS_SOMETHING.search(value):
            raise BadRequestError(f"tracking.{field}: must be a text that is not empty")
    if not isinstance(tracking.get("url", ""), str):
        raise BadRequestError("tracking.url: must be a text")


def _only(body: bytes, fields: tuple[str, ...]) -> bytes:
    order = json.loads(body)
    return render({name: order[name] for name in fields if name in order})
