"""One order: what it is, what happened to it, and what a person does with it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from starlette.exceptions import HTTPException
from starlette.responses import Response

from deployments.web.pages import Visit, number_of, shown
from deployments.web.site import BY, react, tell_shipments
from models.carriers import TRACKING_ADDRESSES
from models.edits import ITEM_FIELDS, ORDER_FIELDS, Edit, Edited
from models.settings import Environment
from tasks.desk.browse import OrderDetail, order_by_id
from tasks.desk.errors import DeskRefusedError
from tasks.desk.folders import list_folders
from tasks.desk.references import desk_reference
from tasks.editing.policy import EditConflictError, EditError
from tasks.editing.store import edit_order, needs_of, undo_edit
from tasks.fulfilment.store import handovers_of
from tasks.imports.review import having_them, keep_ours, take_theirs
from tasks.production.store import mark_printed, statuses_of
from tasks.tracking.intake import Taken, take_one
from tasks.tracking.shipment_file import FileRow
from tasks.tracking.shipment_list import shipments_of

LABELS = {
    "ship_name": "Name",
    "ship_company": "Company",
    "ship_address1": "Address 1",
    "ship_address2": "Address 2",
    "ship_city": "City",
    "ship_postal_code": "Postal code",
    "ship_state": "State",
    "ship_country": "Country",
    "email": "E-mail",
    "phone": "Phone",
    "shipping_code": "Shipping code",
    "shipping_name": "Shipping name",
}
_PRINT_KEY = re.compile(r"print_(url|location|technology|preview|width_mm|height_mm)_([1-9][0-9]{0,3})")
_PRINT_PARTS = ("url", "location", "technology", "preview", "width_mm", "height_mm")
_META = "meta."
_WAS = "was."
_LINES = "notes"
"""The only field of several lines."""
_NEW_KEY, _NEW_VALUE = "new_key", "new_value"


def show(visit: Visit, *, error: str = "", status: int = 200) -> Response:
    """Show an order; after a refused edit with what was typed."""
    order_id = _id(visit)
    detail = _detail(visit)
    typed = {name: value for name, value in visit.form.items() if isinstance(value, str)}
    return visit.page(
        "order.html",
        status=status,
        error=error,
        order=detail.order,
        needs=needs_of(visit.site.engine, order_id),
        history=detail.history[::-1],
        changes=detail.changes,
        fields={name: form_text(value) for name, value in order_values(detail.order).items()},
        labels=LABELS,
        items=[item_view(item) for item in detail.order["items"]],
        typed=typed,
        shipments=shipments_of(visit.site.engine, order_id),
        handovers=handovers_of(visit.site.engine, order_id),
        production=statuses_of(visit.site.engine, order_id),
        folders=list_folders(visit.site.engine),
        fulfillers=visit.site.fulfillers,
        couriers=sorted(TRACKING_ADDRESSES),
    )


def _id(visit: Visit) -> int:
    return int(visit.request.path_params["order_id"])


def _detail(visit: Visit) -> OrderDetail:
    detail = order_by_id(visit.site.engine, _id(visit))
    if detail is None:
        raise HTTPException(404)
    return detail


def order_values(order: Mapping[str, Any]) -> dict[str, str | None]:
    """Return the fields of an exported order that can be edited, by the names of their columns."""
    method = {
        "shipping_code": order["shipping_method"]["code"],
        "shipping_name": order["shipping_method"]["name"],
    }
    address = {f"ship_{part}": value for part, value in order["shipping"].items()}
    flat = {**address, **method, "email": order["email"], "phone": order["phone"]}
    return {name: flat[name] for name in ORDER_FIELDS}


def item_view(item: Mapping[str, Any]) -> dict[str, Any]:
    """Return an item with its prints by number and its fields as a form shows them."""
    prints: dict[int, dict[str, str]] = {}
    for key, value in item["metadata"].items():
        if found := _PRINT_KEY.fullmatch(key):
            prints.setdefault(int(found[2]), {})[found[1]] = value
    nothing = dict.fromkeys(_PRINT_PARTS, "")
    numbered = [{"number": number, **nothing, **prints[number]} for number in sorted(prints)]
    fields = {name: form_text(item[name], lines=name == _LINES) for name in ITEM_FIELDS}
    metadata = {key: form_text(value) for key, value in item["metadata"].items()}
    metadata |= {f"print_url_{number}": "" for number in prints if not prints[number].get("url")}
    return {**item, "prints": numbered, "fields": fields, "form_metadata": metadata}


def form_text(value: object, *, lines: bool = False) -> str:
    """Return a value as a field of a form holds it; one of a single line has no line break."""
    text = shown(value).replace("\r", "")
    return text if lines else text.replace("\n", "")


def edit(visit: Visit) -> Response:
    """Write what a person changed; what somebody else changed meanwhile is told, not overwritten."""
    order = _detail(visit).order
    try:
        wanted, seen = _edit(visit, order)
        if not any((wanted.order, wanted.order_metadata, wanted.item, wanted.item_metadata)):
            return visit.go(f"/orders/{_id(visit)}", "nothing changed, it has these values already")
        reference = desk_reference(_id(visit))
        done = edit_order(visit.site.engine, reference, wanted, by=BY, now=datetime.now(UTC), seen=seen)
    except EditConflictError as error:
        return show(visit, error=str(error), status=409)
    except (EditError, DeskRefusedError) as error:
        return show(visit, error=str(error), status=400)
    return _edited(visit, done)


def _edited(visit: Visit, done: Edited) -> Response:
    names = having_them(visit.site.engine, [desk_reference(_id(visit))]) if done.fields else []
    return visit.go(
        f"/orders/{_id(visit)}",
        f"changed: {', '.join(done.fields)}" if done.fields else "nothing changed",
        f"it went to {done.moved_to}" if done.moved_to else "",
        *(f"still needs attention: {reason}" for reason in done.needs),
        f"the old values were handed over to {', '.join(names)}: tell them" if names else "",
        react(visit.site),
    )


def _edit(visit: Visit, order: Mapping[str, Any]) -> tuple[Edit, dict[str, str | None]]:
    """Return what was changed in the form, and the values that the desk has of these fields.

    Each field comes with what the form showed. A field that was left as it was is no edit; one that the desk
    shows otherwise by now was changed by somebody else.

    Raises:
        EditConflictError: a field was changed here and there.
        EditError: the item is none.
    """
    position = _position(visit, order)
    now = _present(order, position)
    changed = _changed(visit)
    others = [
        field.removeprefix(_META)
        for field, typed in changed.items()
        if form_text(now.get(field), lines=field == _LINES).strip()
        not in (_plain(str(visit.form[_WAS + field])), _plain(typed))
    ]
    if others:
        raise EditConflictError(others)
    if key := visit.field(_NEW_KEY):
        changed.setdefault(_META + key, visit.field(_NEW_VALUE))
    return _as_edit(changed, position), _as_seen(changed, position, now)


def _changed(visit: Visit) -> dict[str, str]:
    """Return the fields of a form that hold something else than what the form showed."""
    changed: dict[str, str] = {}
    for name, shown_before in visit.form.items():
        field = name.removeprefix(_WAS)
        typed = visit.form.get(field)
        if name == field or not isinstance(shown_before, str) or not isinstance(typed, str):
            continue
        if _plain(typed) != _plain(shown_before):
            changed[field] = typed
    return changed


def _plain(text: str) -> str:
    return text.replace("\r\n", "\n").strip()


def _position(visit: Visit, order: Mapping[str, Any]) -> int | None:
    text = visit.field("item")
    if not text:
        return None
    position, count = number_of(text), len(order["items"])
    if position is None or not 0 < position <= count:
        raise EditError(f"the order has no such item: it has {count}")
    return position


def _present(order: Mapping[str, Any], position: int | None) -> dict[str, str | None]:
    if position is None:
        metadata = {_META + key: value for key, value in order["metadata"].items()}
        return {**order_values(order), **metadata}
    item = order["items"][position - 1]
    fields = {name: None if item[name] is None else str(item[name]) for name in ITEM_FIELDS}
    return {**fields, **{_META + key: value for key, value in item["metadata"].items()}}


def _as_edit(changed: Mapping[str, str], position: int | None) -> Edit:
    metadata = {name.removeprefix(_META): text for name, text in changed.items() if name.startswith(_META)}
    fields = {name: text for name, text in changed.items() if not name.startswith(_META)}
    if position is None:
        return Edit(fields, metadata, None, {}, {})
    return Edit({}, {}, position, fields, metadata)


def _as_seen(
    changed: Mapping[str, str], position: int | None, now: Mapping[str, str | None]
) -> dict[str, str | None]:
    """Return the present values of the changed fields, named as in the history."""
    seen: dict[str, str | None] = {}
    for name in changed:
        key = name.removeprefix(_META)
        named = key if position is None else f"item {position} {key}"
        seen[f"metadata {key}" if position is None and name.startswith(_META) else named] = now.get(name)
    return seen


def undo(visit: Visit) -> Response:
    """Take the last edit back."""
    _detail(visit)
    try:
        done = undo_edit(visit.site.engine, desk_reference(_id(visit)), by=BY, now=datetime.now(UTC))
    except DeskRefusedError as error:
        return visit.go(f"/orders/{_id(visit)}", str(error), is_bad=True)
    return _edited(visit, done)


def ship(visit: Visit) -> Response:
    """Say that the order shipped; the next sync sends its tracking to podOS."""
    _detail(visit)
    try:
        taken = add_shipment(visit, _id(visit))
    except DeskRefusedError as error:
        return show(visit, error=str(error), status=400)
    said = "shipped: its tracking waits for podOS" if taken.added else "this shipment is in the desk already"
    return visit.go(f"/orders/{_id(visit)}", said, react(visit.site))


def add_shipment(visit: Visit, order_id: int) -> Taken:
    """Take the shipment of a form into the desk, and let the sync begin.

    Raises:
        DeskRefusedError: a value is not usable.
    """
    courier, code, url, at = (visit.field(name) for name in ("courier", "code", "url", "shipped_at"))
    row = FileRow(1, desk_reference(order_id), courier, code, url, at)
    reading = Environment().shipment_reading()
    force = bool(visit.field("force"))
    taken = take_one(visit.site.engine, row, overwrite=force, now=datetime.now(UTC), reading=reading)
    tell_shipments(taken.integrations)
    return taken


def printed(visit: Visit) -> Response:
    """Note that the order is printed, and let podOS be told."""
    _detail(visit)
    references = [desk_reference(_id(visit))]
    new, integrations = mark_printed(visit.site.engine, references, now=datetime.now(UTC), by=BY)
    tell_shipments(integrations)
    return visit.go(f"/orders/{_id(visit)}", "it is printed" if new else "it was printed already")


def take(visit: Visit) -> Response:
    """Take podOS's values over."""
    _detail(visit)
    reference = [desk_reference(_id(visit))]
    take_theirs(visit.site.engine, reference, now=datetime.now(UTC))
    names = having_them(visit.site.engine, reference)
    told = f"the old values were handed over to {', '.join(names)}: tell them" if names else ""
    return visit.go(f"/orders/{_id(visit)}", "podOS's values are taken over", told)


def keep(visit: Visit) -> Response:
    """Leave the order as it is, and take the flag from it."""
    _detail(visit)
    keep_ours(visit.site.engine, [desk_reference(_id(visit))], now=datetime.now(UTC))
    return visit.go(f"/orders/{_id(visit)}", "the desk's values stay")
