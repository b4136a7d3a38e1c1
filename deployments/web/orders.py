"""The list of orders: folders, search, filters, and what is done with the selected ones."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, time
from urllib.parse import urlencode

from starlette.responses import Response, StreamingResponse

from deployments.web.pages import Visit, number_of
from deployments.web.site import BY, react, tell_queued, tell_shipments
from tasks.desk.browse import OrderSummary, export_orders, list_orders
from tasks.desk.errors import DeskRefusedError
from tasks.desk.export import csv_text
from tasks.desk.folders import list_folders, move_orders
from tasks.desk.references import desk_reference
from tasks.desk.search import OrderFilter
from tasks.fulfilment.store import find_orders, hold_order, queue_by_hand, release_order
from tasks.production.store import mark_printed

PAGE_SIZE = 50
MAX_SELECTED = 500
_FILTERS = ("folder", "search", "status", "country", "since", "changed")


def show(visit: Visit, *, error: str = "", status: int = 200) -> Response:
    """Show a page of orders, the newest import first."""
    given = {name: visit.query(name) or visit.field(name) for name in _FILTERS}
    before = visit.query("before") or visit.field("before")
    found: list[OrderSummary] = []
    try:
        found = _found(visit, given, before)
    except DeskRefusedError as refusal:
        error, status = error or str(refusal), 400
    used = {name: value for name, value in given.items() if value}
    rows = found[:PAGE_SIZE]
    return visit.page(
        "orders.html",
        status=status,
        error=error,
        folders=list_folders(visit.site.engine),
        rows=rows,
        given=given,
        before=before,
        reason=visit.field("reason"),
        is_filtered=bool(used),
        newest=f"/orders?{urlencode(used)}" if before else "",
        older=f"/orders?{urlencode(used | {'before': str(rows[-1].id)})}" if len(found) > PAGE_SIZE else "",
        fulfillers=visit.site.fulfillers,
        all_as_csv=f"/orders/export.csv?{urlencode(used)}",
        link=lambda **changes: f"/orders?{urlencode({k: v for k, v in (used | changes).items() if v})}",
    )


def export(visit: Visit) -> Response:
    """Give all orders that fit as CSV, oldest import first, as `desk orders export` does."""
    given = {name: visit.query(name) for name in _FILTERS}
    found = export_orders(
        visit.site.engine,
        folder=given["folder"] or None,
        changed=bool(given["changed"]),
        matching=_matching(given),
    )
    named = {"Content-Disposition": 'attachment; filename="orders.csv"'}
    return StreamingResponse(csv_text(found, bom=True), media_type="text/csv; charset=utf-8", headers=named)


def _matching(given: dict[str, str]) -> OrderFilter:
    search, country, status = (given[name] or None for name in ("search", "country", "status"))
    return OrderFilter(search, country, status, _day(given["since"]))


def _found(visit: Visit, given: dict[str, str], before: str) -> list[OrderSummary]:
    """Return the orders that fit, one more than a page holds."""
    return list_orders(
        visit.site.engine,
        folder=given["folder"] or None,
        changed=bool(given["changed"]),
        matching=_matching(given),
        limit=PAGE_SIZE + 1,
        before_id=_number(before, "before"),
    )


def _day(text: str) -> datetime | None:
    try:
        return datetime.combine(date.fromisoformat(text), time.min, tzinfo=UTC) if text else None
    except ValueError:
        raise DeskRefusedError(f"{text!r} is no day: write it as 2026-11-01") from None


def _number(text: str, name: str) -> int | None:
    if not text:
        return None
    number = number_of(text)
    if number is None:
        raise DeskRefusedError(f"{name} is no number of this list: begin with the newest orders")
    return number


def selected(visit: Visit) -> list[int]:
    """Return the desk ids that were selected, in a form or in the address.

    Raises:
        DeskRefusedError: there are none, too many, or one is no id.
    """
    given = visit.fields("order") or visit.request.query_params.getlist("order")
    ids = [id_ for text in dict.fromkeys(given) if (id_ := _number(text, "a selected order"))]
    if not ids:
        raise DeskRefusedError("no order is selected: tick the boxes in front of those that you mean")
    if len(ids) > MAX_SELECTED:
        raise DeskRefusedError(f"at most {MAX_SELECTED} orders at a time")
    return ids


def move(visit: Visit) -> Response:
    """Move the selected orders to a folder, all of them or none."""
    return _done(visit, _move)


def hold(visit: Visit) -> Response:
    """Hold the selected orders one by one; the same again completes what was stopped half-way."""
    return _done(visit, _hold)


def release(visit: Visit) -> Response:
    """Release the selected orders."""
    return _done(visit, _release)


def send(visit: Visit) -> Response:
    """Queue the selected orders for a fulfiller; sending starts at once where a Prefect server runs."""
    return _done(visit, _send)


def printed(visit: Visit) -> Response:
    """Note that the selected orders are printed, and let podOS be told."""
    return _done(visit, _printed)


def _printed(visit: Visit) -> str:
    references = [desk_reference(id_) for id_ in selected(visit)]
    new, integrations = mark_printed(visit.site.engine, references, now=datetime.now(UTC), by=BY)
    tell_shipments(integrations)
    return f"{_orders(len(new))} noted as printed"


def _move(visit: Visit) -> str:
    references = [desk_reference(id_) for id_ in selected(visit)]
    folder = visit.field("to")
    if not folder:
        raise DeskRefusedError("say to which folder")
    moved = move_orders(visit.site.engine, references, folder, by=BY)
    return f"{_orders(moved)} moved to {folder}"


def _hold(visit: Visit) -> str:
    ids = selected(visit)
    for id_ in ids:
        hold_order(visit.site.engine, desk_reference(id_), visit.field("reason"), now=datetime.now(UTC))
    return f"{_orders(len(ids))} held"


def _release(visit: Visit) -> str:
    ids = selected(visit)
    for id_ in ids:
        release_order(visit.site.engine, desk_reference(id_), now=datetime.now(UTC))
    return f"{_orders(len(ids))} released"


def _send(visit: Visit) -> str:
    ids, fulfiller, known = selected(visit), visit.field("fulfiller"), visit.site.fulfillers
    if known is None:
        raise DeskRefusedError("the Prefect server, which knows the fulfillers, does not answer: desk up")
    if fulfiller not in known:
        raise DeskRefusedError("say which fulfiller gets them")
    references = [desk_reference(id_) for id_ in ids]
    found = find_orders(visit.site.engine, references, None)
    tell_queued(queue_by_hand(visit.site.engine, found, fulfiller, now=datetime.now(UTC)))
    return f"{_orders(len(ids))} queued for {fulfiller}; each goes there once"


def _done(visit: Visit, act: Callable[[Visit], str]) -> Response:
    """Do something with the selected orders, and go back to where the form stood."""
    try:
        said = act(visit)
    except DeskRefusedError as error:
        if back := _order_page(visit):
            return visit.go(back, str(error), is_bad=True)
        return show(visit, error=str(error), status=400)
    rules = react(visit.site)
    if back := _order_page(visit):
        return visit.go(back, said, rules)
    query = {name: visit.field(name) for name in (*_FILTERS, "before") if visit.field(name)}
    return visit.go("/orders", said, rules, query=query)


def _order_page(visit: Visit) -> str | None:
    """Return the page of the order that the form stood on, None for the list."""
    return f"/orders/{_number(visit.field('back'), 'back')}" if visit.field("back") else None


def _orders(count: int) -> str:
    return f"{count} order" if count == 1 else f"{count} orders"
