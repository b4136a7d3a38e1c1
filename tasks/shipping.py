"""Take shipments into the desk: one, or a file of them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Connection, Engine

from models.shipments import NewShipment
from tasks.couriers import tracking_address
from tasks.desk.engine import writing
from tasks.desk.errors import DeskRefusedError
from tasks.desk.references import find_each, resolve
from tasks.desk.shipments import Added, add_shipments, integrations_of
from tasks.shipment_files import BadRow, FileRow, read_rows
from tasks.tracking_rules import UnfitShipmentError, clean_code, clean_courier, clean_url, shipped_moment


class Taken(NamedTuple):
    """What came of shipments: how many are new, how many the desk had, which rows are bad.

    ``integrations`` are those whose sync has something new to send.
    """

    shipment_ids: list[int]
    added: int
    known: int
    bad: list[BadRow]
    integrations: set[str]


def take_one(engine: Engine, row: FileRow, *, overwrite: bool, now: datetime) -> Taken:
    """Take one shipment into the desk.

    Args:
        engine: the desk.
        row: what a person gave; its line does not matter.
        overwrite: let it replace another tracking that podOS shows.
        now: aware.

    Raises:
        DeskRefusedError: the order is unknown or named ambiguously, or a value is not usable.

    Safe to repeat: the same order, courier and code is one shipment.
    """
    with writing(engine) as connection:
        (order_id,) = resolve(connection, [row.order])
        try:
            shipment = _shipment(row, order_id, overwrite=overwrite)
        except UnfitShipmentError as error:
            raise DeskRefusedError(str(error)) from None
        return _taken(connection, add_shipments(connection, [shipment], now=now), [])


def take_file(engine: Engine, content: bytes, *, strict: bool, overwrite: bool, now: datetime) -> Taken:
    """Take the shipments of a CSV file into the desk: all good rows, or with ``strict`` all or none.

    Raises:
        ShipmentFileError: the file can't be used at all.

    Safe to repeat: the same file again adds nothing.
    """
    rows, bad = read_rows(content)
    with writing(engine) as connection:
        good, unfit = _judge(connection, rows, overwrite=overwrite)
        bad = sorted([*bad, *unfit])
        if strict and bad:
            return Taken([], 0, 0, bad, set())
        return _taken(connection, add_shipments(connection, good, now=now), bad)


def _judge(
    connection: Connection, rows: Sequence[FileRow], *, overwrite: bool
) -> tuple[list[NewShipment], list[BadRow]]:
    found = find_each(connection, [row.order.strip() for row in rows])
    good: list[NewShipment] = []
    bad: list[BadRow] = []
    for row in rows:
        order = found[row.order.strip()]
        if isinstance(order, str):
            bad.append(BadRow(row.line, order if row.order.strip() else "the order is empty"))
            continue
        try:
            good.append(_shipment(row, order, overwrite=overwrite))
        except UnfitShipmentError as error:
            bad.append(BadRow(row.line, str(error)))
    return good, bad


def _shipment(row: FileRow, order_id: int, *, overwrite: bool) -> NewShipment:
    courier, code = clean_courier(row.courier), clean_code(row.code)
    url = clean_url(row.url) or tracking_address(courier, code)
    return NewShipment(order_id, courier, code, url, shipped_moment(row.shipped_at), overwrite)


def _taken(connection: Connection, added: Added, bad: list[BadRow]) -> Taken:
    ids = list(dict.fromkeys(added.ids))
    new = len(added.new)
    return Taken(ids, new, len(ids) - new, bad, integrations_of(connection, added.new))
