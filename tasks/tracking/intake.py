"""Add shipments to the desk, one by one or from a file."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Connection, Engine

from models.shipments import DEFAULT_READING, NewShipment, ShipmentReading
from tasks.desk.engine import writing
from tasks.desk.errors import DeskRefusedError
from tasks.desk.references import Match, desk_id_of, find_by_desk_id, find_by_number, resolve
from tasks.tracking.carriers import tracking_address
from tasks.tracking.requests_store import Done, ShipmentRequestKey, claim, finish
from tasks.tracking.shipment_file import FileRow, read_rows
from tasks.tracking.store import Added, add_shipments, integrations_of
from tasks.tracking.tables import BadRow
from tasks.tracking.values import (
    ROUNDED,
    UnfitShipmentError,
    clean_code,
    clean_courier,
    clean_url,
    refuse_no_value,
    refuse_rounded_number,
    rounded_codes,
    shipped_moment,
)


class Taken(NamedTuple):
    """What came of shipments: how many are new, how many the desk had, which rows are bad.

    ``integrations`` are those whose sync has something new to send; ``sheet`` is the sheet of a workbook that
    was read.
    """

    shipment_ids: list[int]
    added: int
    known: int
    bad: list[BadRow]
    integrations: set[str]
    sheet: str = ""


def take_one(
    engine: Engine,
    row: FileRow,
    *,
    overwrite: bool,
    now: datetime,
    reading: ShipmentReading = DEFAULT_READING,
    by: str = "",
) -> Taken:
    """Take one shipment into the desk.

    Args:
        engine: the desk.
        row: what a person gave; its line does not matter.
        overwrite: let it replace another tracking that podOS shows.
        now: aware.
        reading: the form of its date.
        by: who takes it in, for the history; empty: a command.

    Raises:
        DeskRefusedError: the order is unknown or named ambiguously, or a value is not usable.

    Safe to repeat: the same order, courier and code is one shipment.
    """
    with writing(engine) as connection:
        return _take(connection, row, reading, overwrite=overwrite, now=now, by=by)


def take_requested(
    engine: Engine,
    row: FileRow,
    request: ShipmentRequestKey,
    *,
    overwrite: bool,
    now: datetime,
    by: str,
    reading: ShipmentReading = DEFAULT_READING,
) -> Taken:
    """Take the shipment of a request into the desk; the same request again gets the same answer.

    The shipment and the key are written in one transaction: after a crash both are there or neither.

    Args:
        engine: the desk.
        row: what was asked for.
        request: by which it is known again.
        overwrite: let it replace another tracking that podOS shows.
        now: aware.
        by: who asks, for the history.
        reading: the form of its date.

    Raises:
        KeyReusedError: the key was used for another request.
        DeskRefusedError: the order is unknown or named ambiguously, or a value is not usable.
    """
    with writing(engine) as connection:
        if done := claim(connection, request, now=now):
            names = integrations_of(connection, [done.shipment_id])
            return Taken([done.shipment_id], int(done.added), int(not done.added), [], names)
        taken = _take(connection, row, reading, overwrite=overwrite, now=now, by=by)
        finish(connection, request, Done(taken.shipment_ids[0], bool(taken.added)))
        return taken


def _take(
    connection: Connection, row: FileRow, reading: ShipmentReading, *, overwrite: bool, now: datetime, by: str
) -> Taken:
    (order_id,) = resolve(connection, [row.order])
    try:
        shipment = _shipment(row, order_id, reading.date_format, overwrite=overwrite)
    except UnfitShipmentError as error:
        raise DeskRefusedError(str(error)) from None
    return _taken(connection, add_shipments(connection, [shipment], now=now, by=by), [])


def take_file(
    engine: Engine,
    content: bytes,
    *,
    strict: bool,
    overwrite: bool,
    now: datetime,
    reading: ShipmentReading = DEFAULT_READING,
) -> Taken:
    """Take the shipments of a file into the desk: all good rows, or with ``strict`` all or none.

    Raises:
        ShipmentFileError: the file can't be used at all.

    Safe to repeat: the same file again adds nothing.
    """
    rows, bad, sheet = read_rows(content, reading)
    with writing(engine) as connection:
        good, unfit = _judge(connection, rows, reading.date_format, overwrite=overwrite)
        bad = sorted([*bad, *unfit])
        if strict and bad:
            return Taken([], 0, 0, bad, set(), sheet)
        return _taken(connection, add_shipments(connection, good, now=now), bad)._replace(sheet=sheet)


def _judge(
    connection: Connection, rows: Sequence[FileRow], date_format: str, *, overwrite: bool
) -> tuple[list[NewShipment], list[BadRow]]:
    orders = _Orders(connection, rows)
    rounded = rounded_codes(row.code for row in rows if not row.code_is_text)
    good: list[NewShipment] = []
    bad: list[BadRow] = []
    for row in rows:
        try:
            shipment = _shipment(row, orders.find(row), date_format, overwrite=overwrite)
            _refuse_rounded(row, rounded)
            good.append(shipment)
        except UnfitShipmentError as error:
            bad.append(BadRow(row.line, str(error)))
    return good, bad


def _refuse_rounded(row: FileRow, rounded: Collection[str]) -> None:
    if row.code in rounded and not row.code_is_text:
        raise UnfitShipmentError(ROUNDED)


class _Orders:
    """The orders that the rows of a file name."""

    def __init__(self, connection: Connection, rows: Sequence[FileRow]) -> None:
        self._by_number = find_by_number(connection, [row.order for row in rows if row.order])
        ids = {desk_id for row in rows if (desk_id := desk_id_of(row.desk_id))}
        self._by_id = find_by_desk_id(connection, ids)

    def find(self, row: FileRow) -> int:
        """Return the desk id of a row's order.

        Raises:
            UnfitShipmentError: the row names none or several, or two that differ.
        """
        if row.desk_id:
            return self._of_desk_id(row)
        refuse_no_value(row.order, "order")
        found = self._by_number[row.order]
        if not isinstance(found, Match):
            refuse_rounded_number(row.order, "order")
            raise UnfitShipmentError(found)
        return found.id

    def _of_desk_id(self, row: FileRow) -> int:
        found = self._by_id.get(desk_id_of(row.desk_id) or 0)
        if found is None:
            raise UnfitShipmentError(f"the desk has no order of desk_id {row.desk_id!r}")
        if row.order and row.order not in found.names:
            raise UnfitShipmentError(f"desk_id {row.desk_id} is {found.shown()}, not {row.order!r}")
        return found.id


def _shipment(row: FileRow, order_id: int, date_format: str, *, overwrite: bool) -> NewShipment:
    courier, code = clean_courier(row.courier), clean_code(row.code)
    url = clean_url(row.url) or tracking_address(courier, code)
    shipped_at = shipped_moment(row.shipped_at, date_format)
    return NewShipment(order_id, courier, code, url, shipped_at, overwrite)


def _taken(connection: Connection, added: Added, bad: list[BadRow]) -> Taken:
    ids = list(dict.fromkeys(added.ids))
    new = len(added.new)
    return Taken(ids, new, len(ids) - new, bad, integrations_of(connection, added.new))
