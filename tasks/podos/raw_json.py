"""Split JSON into raw values without decoding them, so that a broken value does not affect the others.

For answers that no strict reader takes as a whole: a row nested thousands deep, or a number of a thousand
digits, must not take the other rows of its page with it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from models.errors import AppError

_TOKEN = re.compile(rb'\s*+("[^"\\]*+(?:\\.[^"\\]*+)*+"|[][{}:,]|[^\s"\[\]{}:,]++)', re.DOTALL)
_CLOSING = {b"{": b"}", b"[": b"]"}
_ABSENT = b"null"
MAX_DEPTH = 1_000_000
"""Far beyond any order: a row nested thousands deep is rejected, an answer like this is none."""


class BrokenJsonError(AppError, ValueError):
    """The bytes are no complete JSON."""


def rows_of_page(body: bytes) -> tuple[list[bytes], object]:
    """Return the rows of a page, each as its JSON, and the number of the next page as it stands there.

    Raises:
        BrokenJsonError: the body is no complete JSON.
        TypeError: it is no page of fulfillments.
    """
    body = body.removeprefix(b"\xef\xbb\xbf").strip()
    if not body.startswith(b"{"):
        _loads(body)
        raise TypeError("the answer is no page of fulfillments")
    fields = dict(_fields(body))
    rows = fields.get("fulfillments", _ABSENT)
    for name, value in fields.items():
        if name != "fulfillments":
            _loads(value)
    if not rows.startswith(b"["):
        _loads(rows)
        raise TypeError("the answer is no page of fulfillments")
    pieces = _pieces(rows)
    for piece in pieces:
        _loads(piece)
    token = _loads(fields.get("nextPageToken", _ABSENT))
    if token is None and fields.get("nextPageToken", _ABSENT) != _ABSENT:
        raise TypeError("nextPageToken is no number")
    return pieces, token


def shallow_fields(raw: bytes) -> dict[str, Any]:
    """Return those fields of an object that can be read; of a name that comes twice, the later one counts."""
    try:
        pieces = dict(_fields(raw))
        return {name: value for name, piece in pieces.items() if (value := _loads(piece)) is not None}
    except BrokenJsonError:
        return {}


def _loads(raw: bytes) -> object:
    """Read a piece; None for one that is complete but too deep, or has too long a number, to be read."""
    try:
        return json.loads(raw.decode("utf-8", "replace"), strict=False)
    except json.JSONDecodeError:
        raise BrokenJsonError("the answer is no complete JSON") from None
    except (ValueError, RecursionError):
        return None


def _fields(raw: bytes) -> Iterator[tuple[str, bytes]]:
    for piece in _pieces(raw):
        name = _TOKEN.match(piece)
        colon = _TOKEN.match(piece, name.end()) if name else None
        if name is None or colon is None or colon[1] != b":":
            raise BrokenJsonError("a name or its value is missing")
        yield str(_loads(name[1])), piece[colon.end() :].strip()


def _pieces(raw: bytes) -> list[bytes]:
    """Return what stands between the commas of the outermost brackets.

    Raises:
        BrokenJsonError: they do not match, or are not closed.
        TypeError: they are nested too deep to be any answer.
    """
    open_: list[bytes] = []
    cuts: list[int] = []
    position = 0
    while found := _TOKEN.match(raw, position):
        position, token = found.end(), found[1]
        if token in _CLOSING:
            open_.append(_CLOSING[token])
            if len(open_) > MAX_DEPTH:
                raise TypeError(f"the answer is nested over {MAX_DEPTH} deep")
        elif token in (b"}", b"]") and (not open_ or open_.pop() != token):
            raise BrokenJsonError("brackets do not match")
        if len(open_) == 1 and (token == b"," or not cuts):
            cuts.append(position)
        if not open_:
            break
    if open_ or not cuts or raw[position:].strip():
        raise BrokenJsonError("the brackets are not closed, or something follows them")
    ends = [cut - 1 for cut in cuts[1:]] + [position - 1]
    pieces = [raw[begin:end].strip() for begin, end in zip(cuts, ends, strict=True)]
    return [] if pieces == [b""] else pieces
