"""`desk edit`: correct an order by hand."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from deployments.cli.desk_access import open_the_desk
from deployments.cli.order_arguments import ORDER_HELP, tell_desk_ids, the_order
from deployments.cli.output import AsJson, print_json, say, show
from deployments.cli.rules import react
from tasks.text_cells import terminal_cell

if TYPE_CHECKING:
    from models.edits import Edit, Edited

BY = "a person"
Field = Annotated[str | None, typer.Option(metavar="TEXT", help='The new value; "" empties it.')]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(
        "edit", epilog="Example: desk edit A-1001 --item 2 --set print_url_1=https://files.example.test/2.png"
    )(edit)


def edit(
    order: Annotated[str, typer.Argument(metavar="ORDER", help=ORDER_HELP)],
    *,
    name: Field = None,
    company: Field = None,
    address1: Field = None,
    address2: Field = None,
    city: Field = None,
    postal_code: Field = None,
    state: Field = None,
    country: Annotated[
        str | None, typer.Option(metavar="TEXT", help="A code such as GB, or an English name.")
    ] = None,
    email: Field = None,
    phone: Field = None,
    shipping_code: Field = None,
    shipping_name: Field = None,
    item: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="The item that --sku ... --set are about, from 1.")
    ] = None,
    sku: Field = None,
    quantity: Annotated[int | None, typer.Option(min=1, metavar="N", help="The item's.")] = None,
    notes: Field = None,
    set_: Annotated[
        list[str] | None,
        typer.Option(
            "--set", metavar="KEY=VALUE", help="Metadata of the item, or of the order; KEY= removes it."
        ),
    ] = None,
    undo: Annotated[bool, typer.Option("--undo", help="Take the order's last edit back.")] = False,
    as_json: AsJson = False,
) -> None:
    """Correct an order: address, contact, shipping method, items, metadata. podOS never overwrites it.

    An order that needs no attention any more goes to the folder of new orders. What a fulfiller has already
    is not changed there: tell it.
    """
    fields = {
        **{"ship_name": name, "ship_company": company, "ship_address1": address1, "ship_address2": address2},
        **{"ship_city": city, "ship_postal_code": postal_code, "ship_state": state, "ship_country": country},
        **{"email": email, "phone": phone, "shipping_code": shipping_code, "shipping_name": shipping_name},
    }
    of_item = {"sku": sku, "quantity": None if quantity is None else str(quantity), "notes": notes}
    wanted = _edit(fields, of_item, item, set_ or [])
    is_edit = any((wanted.order, wanted.order_metadata, wanted.item, wanted.item_metadata, item))
    if undo and is_edit:
        raise typer.BadParameter("--undo takes back the last edit: give no values", param_hint="--undo")
    from tasks.editing.store import edit_order, undo_edit
    from tasks.imports.review import having_them

    with open_the_desk() as engine:
        named = the_order(engine, order, as_json=as_json)
        now = datetime.now(UTC)
        if undo:
            done = undo_edit(engine, named.reference, by=BY, now=now)
        else:
            done = edit_order(engine, named.reference, wanted, by=BY, now=now)
        fulfillers = having_them(engine, [named.reference]) if done.fields else []
        _tell(named.shown, done, undo=undo, as_json=as_json)
        tell_desk_ids([named])
        if fulfillers:
            say(f"the old values were handed over to {', '.join(fulfillers)}: tell them")
        react(engine)


def _edit(
    fields: dict[str, str | None], of_item: dict[str, str | None], item: int | None, pairs: list[str]
) -> Edit:
    from models.edits import Edit

    metadata: dict[str, str | None] = {}
    for pair in pairs:
        key, is_pair, value = pair.partition("=")
        if not is_pair:
            raise typer.BadParameter("write KEY=VALUE, such as print_url_1=https://...", param_hint="--set")
        metadata[key.strip()] = value
    return Edit(
        {name: value for name, value in fields.items() if value is not None},
        metadata if item is None else {},
        item,
        {name: value for name, value in of_item.items() if value is not None},
        metadata if item is not None else {},
    )


def _tell(shown: str, done: Edited, *, undo: bool, as_json: bool) -> None:
    if as_json:
        print_json(done._asdict())
        return
    what = ", ".join(done.fields)
    if not what:
        show(f"{shown}: nothing changed, it has these values already")
    else:
        show(f"{shown}: {what} {'put back' if undo else 'changed'}")
    if done.moved_to:
        show(f"it went to {terminal_cell(done.moved_to)}")
    for reason in done.needs:
        show(f"still needs attention: {terminal_cell(reason)}")
