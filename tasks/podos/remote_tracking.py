"""Read what podOS shows of an order's tracking; nothing else of the order can get in the way."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import msgspec

from models.errors import AppError
from models.podos import HeldTracking, RawPage
from tasks.podos.raw_json import BrokenJsonError, rows_of_page, shallow_fields


class _Shown(msgspec.Struct):
    """The fields that say something of tracking, of any shape; the others are passed over."""

    id: Any = None
    status: Any = None
    tracking: Any = None


_PAGE = msgspec.json.Decoder(RawPage)
_ROW = msgspec.json.Decoder(_Shown)
_UNDECODABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
_HALF = "podOS sent half an answer, or a web page answered; check the podOS Address"


class BrokenAnswerError(AppError, ValueError):
    """The bytes are no answer of podOS, or only half of one."""


def parse_held_page(body: bytes) -> tuple[list[HeldTracking], int | None]:
    """Return what a page of the list call shows, and the number of the next page (None: this is the last).

    Raises:
        BrokenAnswerError: it is no page.
    """
    rows, token = _rows(body)
    found = [held for raw in rows if (held := _held(_fields(raw)))]
    is_number = isinstance(token, (int, float)) and math.isfinite(token)
    return found, int(token) if is_number and token else None


def parse_held(body: bytes) -> HeldTracking:
    """Return what one fulfillment shows.

    Raises:
        BrokenAnswerError: it is none.
    """
    fields = _fields(body)
    if not fields:
        raise BrokenAnswerError(_HALF)
    held = _held(fields)
    if held is None:
        raise BrokenAnswerError("podOS sent no order; check the podOS Address")
    return held


def _rows(body: bytes) -> tuple[list[bytes], Any]:
    try:
        page = _PAGE.decode(body)
    except _UNDECODABLE:
        try:
            return rows_of_page(body)
        except BrokenJsonError:
            raise BrokenAnswerError(_HALF) from None
        except TypeError:
            raise BrokenAnswerError("podOS sent no page of orders; check the podOS Address") from None
    return [bytes(raw) for raw in page.fulfillments], page.next_page_token


def _fields(raw: bytes) -> dict[str, Any]:
    """Return the readable fields of a row and ignore the rest."""
    try:
        shown = _ROW.decode(raw)
    except _UNDECODABLE:
        return shallow_fields(raw)
    return {"id": shown.id, "status": shown.status, "tracking": shown.tracking}


def _held(row: Mapping[str, Any]) -> HeldTracking | None:
    if not isinstance(row.get("id"), str):
        return None
    tracking = row.get("tracking")
    parts = tracking if isinstance(tracking, dict) else {}
    status = row.get("status")
    return HeldTracking(
        id=row["id"],
        status=status if isinstance(status, str) else None,
        courier=_text(parts.get("courier")),
        code=_text(parts.get("code")),
        url=_text(parts.get("url")),
    )


def _text(value: object) -> str | None:
    return str(value) if value is not None and value != "" else None
