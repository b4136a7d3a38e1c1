"""An answer of success whose JSON says no: many receivers answer 200 whatever became of the order. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from tasks.fulfilment.channels.interface import UNDECODABLE, text_of
from tasks.text_cells import one_line

_MAX_WORDS = 200
_NO_WORDS = frozenset({"false", "no", "0", "off"})
_FAILED_WORDS = frozenset(
    {
        *("error", "err", "fail", "failed", "failure", "ko", "nok", "not_ok", "invalid"),
        *("rejected", "refused", "declined", "denied", "unauthorized", "forbidden"),
    }
)
_NOTHING_WORDS = frozenset({"", "null", "none", "nil", "undefined", "ok", "success"})
_SAYS_NO_BY_BEING_THERE = ("error", "fail", "reject")
_CODES = ("status", "code")
_WORDS_FIELDS = ("message", "error", "reason", "detail", "errors")


def refusal_in(content: bytes, fields: Sequence[str]) -> tuple[str, str] | None:
    """Return the name of the field that says no, and the receiver's own words; None if nothing does.

    Args:
        content: the body of an answer of success.
        fields: the names to look at, in any case. One with error, fail or reject in its name says no by
            what it holds; any other by false, 0, no, a code from 400 on, or a word such as ``failed``.
    """
    if not fields or not content:
        return None
    try:
        said = msgspec.json.decode(content)
    except UNDECODABLE:
        return None
    if not isinstance(said, dict):
        return None
    values = {str(name).casefold(): value for name, value in said.items()}
    for field in fields:
        if field.casefold() in values and _says_no(field.casefold(), values[field.casefold()]):
            return field, _words(values)
    return None


def _says_no(name: str, value: Any) -> bool:
    word = value.strip().casefold() if isinstance(value, str) else None
    if any(part in name for part in _SAYS_NO_BY_BEING_THERE):
        return word not in _NOTHING_WORDS | _NO_WORDS if word is not None else bool(value)
    if word is not None:
        return word in _FAILED_WORDS or _is_bad_code(name, word) or (word in _NO_WORDS and name not in _CODES)
    if isinstance(value, bool):
        return not value
    if isinstance(value, (int, float)):
        return value >= 400 if name in _CODES else value == 0
    return False


def _is_bad_code(name: str, word: str) -> bool:
    return name in _CODES and word.isascii() and word.isdecimal() and len(word) == 3 and word >= "400"


def _words(values: dict[str, Any]) -> str:
    for name in _WORDS_FIELDS:
        if words := text_of(values.get(name)):
            return one_line(words)[:_MAX_WORDS]
    return ""
