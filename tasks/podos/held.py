"""Read what podOS shows of an order's tracking; nothing else of the order can get in the way."""

from __future__ import annotations

from typing import Any

import msgspec

from models.podos import HeldTracking


class BrokenAnswerError(ValueError):
    """The bytes are no answer of podOS, or only half of one."""


def parse_held_page(body: bytes) -> tuple[list[HeldTracking], int | None]:
    """Return what a page of the list call shows, and the number of the next page (None: this is the last).

    Raises:
        BrokenAnswerError: it is no page.
    """
    page = _object(body)
    rows, token = page.get("fulfillments"), page.get("nextPageToken")
    if not isinstance(rows, list):
        raise BrokenAnswerError("podOS sent no page of orders; check the podOS Address")
    found = [_held(row) for row in rows if isinstance(row, dict) and isinstance(row.get("id"), str)]
    return found, int(token) if isinstance(token, (int, float)) and token else None


def parse_held(body: bytes) -> HeldTracking:
    """Return what one fulfillment shows.

    Raises:
        BrokenAnswerError: it is none.
    """
    row = _object(body)
    if not isinstance(row.get("id"), str):
        raise BrokenAnswerError("podOS sent no order; check the podOS Address")
    return _held(row)


def _object(body: bytes) -> dict[str, Any]:
    try:
        value = msgspec.json.decode(body)
    except (msgspec.DecodeError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise BrokenAnswerError("podOS sent half an answer, or a web page answered; check the podOS Address")
    return value


def _held(row: dict[str, Any]) -> HeldTracking:
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
