"""`desk orders`, `desk orders export` and `desk order`."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from datetime import UTC, date, datetime, time
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TextIO

import typer

from deployments.cli.desk_access import open_the_desk
from deployments.cli.listing import Before, Limit, is_for_subcommand, show_list
from deployments.cli.new_file import new_file
from deployments.cli.order_arguments import ORDER_HELP, the_order
from deployments.cli.output import (
    AsJson,
    HarmlessOutput,
    json_text,
    print_json,
    print_json_list,
    say,
    show,
    when,
)
from tasks.text_cells import terminal_cell

if TYPE_CHECKING:
    from tasks.desk.browse import OrderDetail, OrderSummary

orders_app = typer.Typer()

InFolder = Annotated[
    str | None, typer.Option("--folder", metavar="F", help="Only the orders of this folder.")
]


class Rows(StrEnum):
    """What a line of a CSV export is."""

    ORDERS = "orders"
    ITEMS = "items"


class ExportFormat(StrEnum):
    """How an export is written."""

    JSONL = "jsonl"
    CSV = "csv"


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.add_typer(orders_app, name="orders")
    app.command("order", epilog="Example: desk order A-1001")(show_order)


@orders_app.callback(invoke_without_command=True, epilog="Example: desk orders --folder New --limit 20")
def list_the_orders(
    context: typer.Context,
    *,
    folder: InFolder = None,
    changed: Annotated[
        bool,
        typer.Option(
            "--changed", help="Only orders that podOS changed and nobody has settled; see: desk changes."
        ),
    ] = False,
    search: Annotated[
        str | None,
        typer.Option(
            metavar="TEXT",
            help="In a number, reference, buyer, postal code, e-mail, SKU or tracking code.",
        ),
    ] = None,
    country: Annotated[str | None, typer.Option(metavar="C", help="Only orders to this country.")] = None,
    status: Annotated[str | None, typer.Option(metavar="S", help="Only orders of this podOS status.")] = None,
    since: Annotated[
        str | None,
        typer.Option(metavar="DAY", help="Created in podOS on this day (UTC) or later."),
    ] = None,
    limit: Limit = None,
    before: Before = None,
    as_json: AsJson = False,
) -> None:
    """List the desk's orders, the newest import first.

    With --json: a list of whole orders, with items and print metadata.
    """
    given = (folder, changed, search, country, status, since, limit, before, as_json)
    if is_for_subcommand(context, *given):
        return
    day = _day(since)
    from tasks.desk.browse import export_orders, list_orders
    from tasks.desk.search import OrderFilter

    matching = OrderFilter(search, country, status, day)
    with open_the_desk() as engine:
        if as_json:
            newest = partial(export_orders, newest_first=True, limit=limit, before_id=before)
            print_json_list(newest(engine, folder=folder, changed=changed, matching=matching))
            return
        show_list(
            lambda size: list_orders(
                engine, folder=folder, changed=changed, matching=matching, limit=size, before_id=before
            ),
            ["Id", "Number", "Folder", "Status", "Created (UTC)", "Ship to", "Country", "Items"],
            _cells,
            limit,
            optional=("Items", "Country", "Created (UTC)", "Status"),
        )


def _day(text: str | None) -> datetime | None:
    try:
        return datetime.combine(date.fromisoformat(text), time.min, tzinfo=UTC) if text else None
    except ValueError:
        raise typer.BadParameter(f"{text!r} is no day; write 2026-11-01", param_hint="--since") from None


def _cells(order: OrderSummary) -> tuple[object, ...]:
    return (
        *(order.id, order.order_number, order.folder, order.podos_status),
        *(when(order.created_at), order.ship_name, order.ship_country, order.items),
    )


@orders_app.command("export", epilog="Example: desk orders export --format csv --folder New --output new.csv")
def export(
    *,
    format_: Annotated[
        ExportFormat | None,
        typer.Option("--format", help="jsonl: a JSON document a line (the default). csv: a line an order."),
    ] = None,
    rows: Annotated[
        Rows | None, typer.Option("--rows", help="Of a CSV file: a line an order, or one an item.")
    ] = None,
    bom: Annotated[
        bool, typer.Option("--bom", help="Begin a CSV file with the byte order mark that Excel looks for.")
    ] = False,
    folder: InFolder = None,
    output: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write to this file, which only you can read.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="The same as --format jsonl.")] = False,
) -> None:
    """Export whole orders, one a line, oldest import first; any number of them.

    CSV has the items as JSON in the last column, or with --rows items a line for each. Text that a
    spreadsheet would run as a formula begins with an apostrophe there. A file is complete or not there: it
    is put in place at the end.
    """
    if format_ is not ExportFormat.CSV and (rows or bom):
        raise typer.BadParameter("it is for --format csv", param_hint="--rows" if rows else "--bom")
    if as_json and format_ is ExportFormat.CSV:
        raise typer.BadParameter("--json and --format csv exclude each other", param_hint="--json")
    from tasks.desk.browse import export_orders

    write = _write_jsonl
    if format_ is ExportFormat.CSV:
        write = partial(_write_csv, rows=rows or Rows.ORDERS, bom=bom)
    with open_the_desk() as engine:
        orders = export_orders(engine, folder=folder)
        if output is None:
            write(orders, HarmlessOutput(sys.stdout))
            return
        with new_file(output) as file:
            count = write(orders, file)
    say(f"{count} {'order' if count == 1 else 'orders'} exported to {output}")


def _write_jsonl(orders: Iterable[dict[str, Any]], file: TextIO | HarmlessOutput) -> int:
    count = 0
    for order in orders:
        file.write(json_text(order) + "\n")
        count += 1
    return count


def _write_csv(
    orders: Iterable[dict[str, Any]],
    file: TextIO | HarmlessOutput,
    *,
    rows: Rows = Rows.ORDERS,
    bom: bool = False,
) -> int:
    from tasks.desk.export import csv_text

    texts = csv_text(orders, by_item=rows is Rows.ITEMS, bom=bom)
    file.write(next(texts))
    count = 0
    for text in texts:
        file.write(text)
        count += 1
    return count


def show_order(
    reference: Annotated[str, typer.Argument(metavar="ORDER", help=ORDER_HELP)],
    *,
    as_json: AsJson = False,
) -> None:
    """Show one order: address, items with their print metadata, and what happened to it."""
    from tasks.desk.browse import find_order

    with open_the_desk() as engine:
        detail = find_order(engine, the_order(engine, reference, as_json=as_json).reference)
    if as_json:
        print_json(detail.as_dict())
    else:
        _show(detail)


def _show(detail: OrderDetail) -> None:
    order = detail.order
    address = order["shipping"]
    town = " ".join(part for part in (address["postal_code"], address["city"], address["state"]) if part)
    lines = [address[part] for part in ("name", "company", "address1", "address2")]
    weight = order["package_weight_g"]
    value = order["declared_value"]
    facts = {
        "Order": f"{order['order_number']} (id {order['id']})",
        "Folder": order["folder"],
        "podOS": f"{order['podos_status']}, {order['source_id']}, project {order['project']}",
        "Created": order["created_at"],
        "Ship to": ", ".join(part for part in (*lines, town, address["country"]) if part),
        "Contact": ", ".join(part for part in (order["email"], order["phone"]) if part),
        "Shipping": order["shipping_method"]["name"] or order["shipping_method"]["code"],
        "Priority": order["priority"],
        "Deadline": order["deadline"],
        "Value": f"{value} {order['currency'] or ''}" if value else None,
        "Weight": f"{weight} g" if weight is not None else None,
        "Held": order["hold_reason"],
        "Unreadable": "; ".join(order.get("unreadable", ())),
        "Metadata": ", ".join(f"{name} = {text}" for name, text in order["metadata"].items()),
    }
    for name, fact in facts.items():
        if fact:
            show(f"{name + ':':<10} {terminal_cell(fact)}")
    for number, item in enumerate(order["items"], 1):
        name = terminal_cell(item["name"] or item["sku"] or "unnamed")
        show("", f"Item {number}: {item['quantity']} x {name}")
        known = {name: item[name] for name in ("sku", "variant_ref", "notes") if item[name]}
        for name, text in (known | item["metadata"]).items():
            show(f"  {terminal_cell(name)}: {terminal_cell(text)}")
    for change in detail.changes:
        show("", f"Changed in podOS: {change.kind} ({when(change.at)} UTC)")
        for name, text in change.new_values.items():
            show(f"  {terminal_cell(name)}: {_value(change.old_values.get(name))} -> {_value(text)}")
    if detail.changes:
        desk_id = f"desk:{order['id']}"
        show(f"Settle it with: desk changes take {desk_id}, or: desk changes keep {desk_id}")
    show("", "History (UTC):")
    for entry in detail.history:
        show(f"  {when(entry.at)}  {terminal_cell(entry.event)}: {terminal_cell(entry.text)}")


def _value(text: str | None) -> str:
    return "(nothing)" if text is None else terminal_cell(text)
