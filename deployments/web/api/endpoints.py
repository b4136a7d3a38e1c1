"""The endpoints: what each takes, answers and does. Routes and openapi.json are made of this table."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any, NamedTuple

from pydantic import BaseModel

from deployments.web.api.access import now
from deployments.web.api.answers import (
    AddedAnswer,
    Answer,
    FoldersAnswer,
    MovedAnswer,
    OneOrderAnswer,
    OrdersAnswer,
    PrintedAnswer,
    ShipmentAnswer,
)
from deployments.web.api.errors import RequestError
from deployments.web.api.forms import (
    MAX_KEY_LENGTH,
    Form,
    MoveForm,
    NoQuery,
    OrdersQuery,
    PrintedForm,
    ShipmentForm,
)
from deployments.web.pages import number_of
from deployments.web.site import Site, react, tell_shipments
from models.tables.people import Scope
from tasks.desk.browse import export_orders, find_order
from tasks.desk.engine import reading
from tasks.desk.errors import DeskRefusedError
from tasks.desk.folders import known_folder_id, list_folders, move_orders
from tasks.desk.references import Match, candidates, find_each
from tasks.desk.search import OrderFilter
from tasks.people.random_secrets import digest_of
from tasks.people.tokens_store import KnownToken
from tasks.production.store import mark_printed
from tasks.tracking.intake import take_requested
from tasks.tracking.requests_store import ShipmentRequestKey
from tasks.tracking.shipment_file import FileRow
from tasks.tracking.shipment_list import get_shipments

PREFIX = "/api/v1"
KEY_HEADER = "Idempotency-Key"
_LIST_DIGITS = 16


class Call(NamedTuple):
    """A request that was let in and read; ``query`` and ``body`` are of the endpoint's own forms."""

    site: Site
    token: KnownToken
    path: Mapping[str, str]
    query: Any
    body: Any
    key: str


@dataclass(frozen=True)
class Endpoint:
    """One way to ask.

    Attributes:
        method: of HTTP.
        path: below ``PREFIX``, with parameters as Starlette writes them.
        scope: what a token needs.
        does: a sentence for the document.
        answers: the form of a good answer.
        handle: does it.
        query: the form of the address's query.
        body: the form of the body; None: it has none.
        status: of a good answer.
        needs_key: whether an Idempotency-Key must come with it.
        refusals: statuses besides those that every endpoint has.
    """

    method: str
    path: str
    scope: Scope
    does: str
    answers: type[Answer]
    handle: Callable[[Call], Any]
    query: type[Form] = NoQuery
    body: type[BaseModel] | None = None
    status: int = 200
    needs_key: bool = False
    refusals: tuple[int, ...] = ()


def list_orders(call: Call) -> dict[str, Any]:
    """Return a page of orders, the newest import first."""
    wanted: OrdersQuery = call.query
    before = _before(wanted)
    matching = OrderFilter(wanted.search, wanted.country, wanted.status, wanted.since_moment())
    found = _checked("folder", lambda: list(_found(call.site, wanted, matching, before)))
    page = found[: wanted.limit]
    more = len(found) > wanted.limit
    return {"orders": page, "next": f"{page[-1]['id']}.{_list_digest(wanted)}" if more else None}


def _found(site: Site, wanted: OrdersQuery, matching: OrderFilter, before: int | None) -> Any:
    return export_orders(
        site.engine,
        folder=wanted.folder,
        changed=bool(wanted.changed),
        matching=matching,
        newest_first=True,
        limit=wanted.limit + 1,
        before_id=before,
    )


def _before(wanted: OrdersQuery) -> int | None:
    """Return the desk id behind which a page begins.

    Raises:
        RequestError: the page is of another list.
    """
    if wanted.page is None:
        return None
    digits, _, digest = wanted.page.partition(".")
    before = number_of(digits)
    if before is None or digest != _list_digest(wanted):
        raise RequestError(422, "page: it is of another list; begin without it", "page")
    return before


def _list_digest(wanted: OrdersQuery) -> str:
    return digest_of(wanted.list_key())[:_LIST_DIGITS]


def get_order(call: Call) -> dict[str, Any]:
    """Return the order that a reference means."""
    reference = call.path["order"]
    try:
        return find_order(call.site.engine, reference).as_dict()
    except DeskRefusedError as error:
        with reading(call.site.engine) as connection:
            several = candidates(connection, [reference])[reference]
        raise RequestError(409 if several else 404, str(error)) from None


def move(call: Call) -> dict[str, Any]:
    """Move orders to a folder, all of them or none."""
    wanted: MoveForm = call.body
    with reading(call.site.engine) as connection:
        _checked("to", lambda: known_folder_id(connection, wanted.to))
    references = list(wanted.orders)
    moved = _checked("orders", lambda: move_orders(call.site.engine, references, wanted.to, by=call.token.by))
    react(call.site)
    return {"moved": moved}


def printed(call: Call) -> dict[str, Any]:
    """Note that orders are printed, all of them or none; podOS is told where the integration is set to."""
    wanted: PrintedForm = call.body
    references = list(wanted.orders)
    note = partial(mark_printed, call.site.engine, references, now=now(), by=call.token.by)
    new, integrations = _checked("orders", note)
    tell_shipments(integrations)
    return {"printed": len(new)}


def folders(call: Call) -> dict[str, Any]:
    """Return all folders."""
    return {"folders": [asdict(folder) for folder in list_folders(call.site.engine)]}


def add_shipment(call: Call) -> dict[str, Any]:
    """Say that an order shipped; the same request again gets the same answer."""
    wanted: ShipmentForm = call.body
    engine = call.site.engine
    row = FileRow(1, wanted.order, wanted.courier, wanted.code, wanted.url or "", wanted.shipped_at or "")
    key = ShipmentRequestKey(call.token.id, digest_of(call.key), digest_of(repr(wanted.model_dump())))
    taken = _checked_order(
        call,
        wanted.order,
        lambda: take_requested(engine, row, key, overwrite=wanted.force, now=now(), by=call.token.by),
    )
    tell_shipments(taken.integrations)
    react(call.site)
    shipment = _shipment(call.site, taken.shipment_ids[0])
    unchanging = ("id", "order", "source_id", "courier", "code", "url")
    return {**{name: shipment[name] for name in unchanging}, "added": bool(taken.added)}


def get_shipment(call: Call) -> dict[str, Any]:
    """Return a shipment and how far it came."""
    return _shipment(call.site, number_of(call.path["shipment"]) or 0)


def _shipment(site: Site, shipment_id: int) -> dict[str, Any]:
    with reading(site.engine) as connection:
        found = get_shipments(connection, [shipment_id])
    if not found:
        raise RequestError(
            404, f"the desk has no shipment {shipment_id or 'of this id'}; see: desk shipments"
        )
    return found[0].as_dict()


def _checked(field: str, act: Callable[[], Any]) -> Any:
    """Do something, and name the field where the desk refuses it."""
    try:
        return act()
    except DeskRefusedError as error:
        raise RequestError(422, f"{field}: {error}", field) from None


def _checked_order(call: Call, reference: str, act: Callable[[], Any]) -> Any:
    """Do something with an order, and name the field ``order`` where it is that which the desk refuses."""
    try:
        return act()
    except DeskRefusedError:
        with reading(call.site.engine) as connection:
            found = find_each(connection, [reference])[reference]
        if isinstance(found, Match):
            raise
        raise RequestError(422, f"order: {found}", "order") from None


def key_problem(key: str) -> str | None:
    """Return why a text is no Idempotency-Key, None if it is one."""
    if not key:
        return "it is needed: a text of your own for each parcel, the same when you ask again"
    if len(key) > MAX_KEY_LENGTH or not (key.isascii() and key.isprintable()):
        return f"it needs 1 to {MAX_KEY_LENGTH} printable ASCII characters"
    return None


ENDPOINTS = (
    Endpoint(
        method="GET",
        path="/orders",
        scope=Scope.READ,
        does="Lists orders, the newest import first.",
        answers=OrdersAnswer,
        handle=list_orders,
        query=OrdersQuery,
    ),
    Endpoint(
        method="POST",
        path="/orders/move",
        scope=Scope.WRITE,
        does="Moves orders to a folder, all of them or none.",
        answers=MovedAnswer,
        handle=move,
        body=MoveForm,
    ),
    Endpoint(
        method="POST",
        path="/orders/printed",
        scope=Scope.WRITE,
        does="Notes that orders are printed, all of them or none.",
        answers=PrintedAnswer,
        handle=printed,
        body=PrintedForm,
    ),
    Endpoint(
        method="GET",
        path="/orders/{order:path}",
        scope=Scope.READ,
        does="Shows an order with items, prints and history.",
        answers=OneOrderAnswer,
        handle=get_order,
        refusals=(404, 409),
    ),
    Endpoint(
        method="GET",
        path="/folders",
        scope=Scope.READ,
        does="Lists the folders.",
        answers=FoldersAnswer,
        handle=folders,
    ),
    Endpoint(
        method="POST",
        path="/shipments",
        scope=Scope.WRITE,
        does="Says that an order shipped: its tracking waits for podOS.",
        answers=AddedAnswer,
        handle=add_shipment,
        body=ShipmentForm,
        status=201,
        needs_key=True,
        refusals=(409,),
    ),
    Endpoint(
        method="GET",
        path="/shipments/{shipment}",
        scope=Scope.READ,
        does="Shows a shipment and how far it came.",
        answers=ShipmentAnswer,
        handle=get_shipment,
        refusals=(404,),
    ),
)
