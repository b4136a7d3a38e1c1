"""Parse a page of podOS's list call. An unreadable row does not affect the others."""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, NamedTuple

import msgspec

from models.errors import AppError
from models.orders import MAX_QUANTITY
from models.podos import Fulfillment, MendedFulfillment, Page, Price, RawPage, Remarks
from tasks.podos.lenient import MAX_AMOUNT_LENGTH, amount_of, read_leniently
from tasks.podos.raw_json import BrokenJsonError, rows_of_page, shallow_fields

_NOT_TEXT = "its text is not valid Unicode, a number is out of range, or it is nested too deep"
MAX_ID_LENGTH = 200
"""PostgreSQL can't index texts of a few thousand bytes: one such row would stop its whole batch."""
_PAGE = msgspec.json.Decoder(Page)
_RAW_PAGE = msgspec.json.Decoder(RawPage)
_ROW = msgspec.json.Decoder(Fulfillment)
_SHAPE = re.compile(r"Expected `(?P<wanted>[^`]+)`, got `(?P<given>[^`]+)` - at `(?P<place>[^`]+)`")
_WORDS = {
    "array": "a list",
    "bool": "yes or no",
    "float": "a number",
    "int": "a number",
    "null": "empty",
    "object": "a group of fields",
    "str": "text",
    "datetime": "a date",
}
_UNDECODABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


class Unreadable(NamedTuple):
    """A row that can't become an order; ``payload`` is its JSON, ``reason`` holds none of its values."""

    payload: str
    reason: str
    id: str | None
    created_at: datetime | None
    updated_at: datetime | None

    @property
    def key(self) -> str:
        """What tells this row from others: its id, else a hash of what its payload says."""
        if self.id:
            return self.id
        try:
            text = json.dumps(json.loads(self.payload, strict=False), sort_keys=True)
        except (ValueError, RecursionError):
            text = self.payload
        return "sha256:" + hashlib.sha256(text.encode()).hexdigest()


Row = Fulfillment | Unreadable


class ParsedPage(NamedTuple):
    """The rows of a page in podOS's order, and the number of the next page (None: this is the last)."""

    rows: Sequence[Row]
    next_page_token: int | None


class NotAPageError(AppError, ValueError):
    """The bytes are no page of fulfillments; ``is_json`` tells half an answer from a wrong one."""

    def __init__(self, reason: str, *, is_json: bool) -> None:
        super().__init__(reason)
        self.is_json = is_json


def parse_page(body: bytes) -> ParsedPage:
    """Return the rows of a page.

    Raises:
        NotAPageError: the body is no JSON, or no page.
    """
    try:
        page = _PAGE.decode(body)
    except _UNDECODABLE:
        return _parse_row_by_row(body)
    for row in page.fulfillments:
        if _is_naive(row) or _needs_mending(row) or problem_of(row):
            return _parse_row_by_row(body)
    return ParsedPage(page.fulfillments, _page_number(page.next_page_token))


def parse_row(raw: bytes) -> Row:
    """Return one row as a fulfillment, or as unreadable with the reason."""
    try:
        row = _ROW.decode(raw)
    except msgspec.ValidationError as error:
        return _parse_leniently(raw, in_words(error))
    except _UNDECODABLE:
        return _parse_leniently(raw, _NOT_TEXT)
    return _parse_leniently(raw, _NOT_TEXT) if _needs_mending(row) else _checked(row, raw)


def in_words(error: msgspec.ValidationError) -> str:
    """Return what is wrong with a field's shape, for the operator; msgspec's texts hold no values."""
    found = _SHAPE.fullmatch(str(error))
    if not found:
        return str(error)
    wanted = " or ".join(_WORDS.get(kind, kind) for kind in found["wanted"].split(" | ") if kind != "null")
    given = _WORDS.get(found["given"], found["given"])
    return f"{found['place'].removeprefix('$.')} is {given}, not {wanted}"


def problem_of(row: Fulfillment) -> str | None:
    """Return why a row of the right shape still can't become an order, None if it can."""
    if not row.id or not row.id.strip():
        return "it has no id"
    if not _is_id(row.id):
        return "its id holds characters that no id has, or is too long"
    if not row.status or not row.status.strip():
        return "it has no status"
    if row.created_at is None:
        return "it has no createdAt"
    if not (_is_plausible(row.created_at) and _is_plausible(row.updated_at)):
        return "createdAt or updatedAt is not a date of this age"
    for position, item in enumerate(row.items or (), 1):
        quantity = item.quantity
        if quantity is None or quantity < 0 or quantity != int(quantity):
            return f"the quantity of item {position} is not a whole number above 0"
        if quantity > MAX_QUANTITY:
            return f"the quantity of item {position} is above the limit of {MAX_QUANTITY:,}"
    return None


def _needs_mending(row: Fulfillment) -> bool:
    """Return whether a row of the right shape holds what is left out or written anew."""
    if not _is_amount(row.declared_value):
        return True
    for item in row.items or ():  # noqa: SIM110 - a generator costs more than the test
        if item.quantity == 0 or not _is_amount(item.declared_value):
            return True
    return False


def _is_id(text: str) -> bool:
    return len(text) <= MAX_ID_LENGTH and text.isprintable() and "\ufffd" not in text


def _is_amount(price: Price | None) -> bool:
    if price is None or price.amount is None:
        return True
    return len(price.amount) <= MAX_AMOUNT_LENGTH and _is_decimal(price.amount)


@lru_cache(maxsize=4096)
def _is_decimal(text: str) -> bool:
    return not text.strip() or amount_of(text) == text.strip()


def _parse_row_by_row(body: bytes) -> ParsedPage:
    try:
        page = _RAW_PAGE.decode(body)
    except msgspec.ValidationError as error:
        raise NotAPageError(f"the answer is no page of fulfillments: {error}", is_json=True) from None
    except _UNDECODABLE:
        return _parse_loosely(body)
    return ParsedPage(
        [parse_row(bytes(raw)) for raw in page.fulfillments], _page_number(page.next_page_token)
    )


def _parse_loosely(body: bytes) -> ParsedPage:
    """Read a page with what no strict reader takes (odd text, deep nesting): one row must not block it."""
    try:
        rows, token = rows_of_page(body)
    except BrokenJsonError:
        raise NotAPageError("the answer is no complete JSON", is_json=False) from None
    except TypeError as error:
        raise NotAPageError(str(error), is_json=True) from None
    if token is not None and (not isinstance(token, (int, float)) or not math.isfinite(token)):
        raise NotAPageError("nextPageToken is no number", is_json=True)
    return ParsedPage([parse_row(raw) for raw in rows], _page_number(token))


def _parse_leniently(raw: bytes, reason: str) -> Row:
    """Return a row with what can be read of it, and remarks about the rest."""
    found = read_leniently(raw)
    if found is None:
        return _unreadable(raw, reason)
    mended, remarks = found
    try:
        # Not msgspec.convert: it would let NaN and lone surrogates through.
        row = _ROW.decode(mended)
    except msgspec.ValidationError as error:
        return _unreadable(raw, in_words(error))
    except _UNDECODABLE:
        return _unreadable(raw, _NOT_TEXT)
    _leave_out_empty_lines(row, remarks)
    checked = _checked(row, raw)
    if isinstance(checked, Unreadable) or not remarks.history:
        return checked
    values = {name: getattr(row, name) for name in row.__struct_fields__}
    return MendedFulfillment(**values, remarks=remarks)


def _leave_out_empty_lines(row: Fulfillment, remarks: Remarks) -> None:
    """Leave out the lines of quantity 0, which a merchant refunded."""
    lines = row.items or []
    empty = [position for position, item in enumerate(lines, 1) if item.quantity == 0]
    if not empty:
        return
    row.items = [item for item in lines if item.quantity != 0]
    remarks.history.extend(f"item {position} has quantity 0: it is left out" for position in empty)
    if not row.items:
        remarks.attention.append("every item has quantity 0")


def _checked(row: Fulfillment, raw: bytes) -> Row:
    row.created_at = _aware(row.created_at)
    row.updated_at = _aware(row.updated_at)
    problem = problem_of(row)
    return _unreadable(raw, problem) if problem else row


def _is_naive(row: Fulfillment) -> bool:
    created, updated = row.created_at, row.updated_at
    return (created is not None and created.tzinfo is None) or (
        updated is not None and updated.tzinfo is None
    )


def _aware(moment: datetime | None) -> datetime | None:
    """Return an instant; a date without an offset is taken as UTC."""
    return moment.replace(tzinfo=UTC) if moment is not None and moment.tzinfo is None else moment


def _is_plausible(moment: datetime | None) -> bool:
    return moment is None or 2000 <= moment.year <= 2999


def _plausible(moment: datetime | None) -> datetime | None:
    return moment if _is_plausible(moment) else None


def _page_number(token: float | None) -> int | None:
    return int(token) if token else None


def _unreadable(raw: bytes, reason: str) -> Unreadable:
    fields = _fields(raw) or shallow_fields(raw)
    id_ = fields.get("id")
    return Unreadable(
        payload=raw.decode("utf-8", "replace"),
        reason=reason,
        # An id that is not an order's would be taken for another order, if it were mended here.
        id=id_ if isinstance(id_, str) and id_.strip() and _is_id(id_) else None,
        created_at=_plausible(_instant(fields.get("createdAt"))),
        updated_at=_plausible(_instant(fields.get("updatedAt"))),
    )


def _fields(raw: bytes) -> dict[str, Any]:
    try:
        value = json.loads(raw.decode("utf-8", "replace"), strict=False)
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def _instant(value: object) -> datetime | None:
    if not isinstance(value, str):
        return None
    try:
        moment = datetime.fromisoformat(value.strip())
    except ValueError:
        return None
    return _aware(moment)
