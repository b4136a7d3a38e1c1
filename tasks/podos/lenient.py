"""Read rows that the strict decoder refuses: PHP, JavaScript and people write null and numbers otherwise.

Values are coerced where they have one meaning. What has none is left out and named in the row's remarks, so
that an order is not lost for a field of little weight. Identity, status, dates and quantities are never
guessed: they stay as they are, and the strict decoder refuses the row. Pure.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping
from datetime import datetime
from functools import cache, lru_cache
from typing import Any, NamedTuple, get_args, get_origin, get_type_hints

import msgspec

from models.errors import AppError
from models.podos import Application, Fulfillment, FulfillmentItem, Price, Remarks, Wire

_LOST_HALF = re.compile("[\ud800-\udfff]")
_NULL_WORDS = frozenset({"", "null", "none", "nil", "undefined", "n/a"})
_SWITCHES = {
    **dict.fromkeys(("true", "1", "yes", "y", "on"), True),
    **dict.fromkeys(("false", "0", "no", "n", "off"), False),
}
_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d{1,3})?")
_PLAIN_NUMBER = re.compile(r"-?\d{1,100}(\.\d{1,100})?")
_ZERO_DATE = re.compile(r"(0000-00-00|0001-01-01)([ t].*)?", re.DOTALL)
_AMOUNT = re.compile(r"[+]?(?P<whole>-?\d{0,14})(\.(?P<part>\d{0,10}))?")
_NEEDS_A_LOOK = frozenset(
    {
        *("frozen", "shippingAddress", "contactName", "line1", "line2", "city", "postalCode", "country"),
        *("state", "items", "metadata", "productSku", "variantSku", "variantRef", "notes", "applications"),
        *("design", "placement", "technology", "dimensions", "width", "height"),
    }
)
"""Without these an order could be made or sent wrongly: a person looks at it before it goes on."""
_PLACES = {"items": "item", "applications": "print"}
_WORDS = {
    dict: "a group of fields",
    list: "a list",
    str: "text",
    bool: "yes or no",
    float: "no number",
}
_WANTED = {str: "text", float: "a number", bool: "yes or no", list: "a list"}
MAX_AMOUNT_LENGTH = 100
"""What was looked at is remembered: long texts would fill the memory."""


class _Number(str):
    """A number as it was written: a float would round it, and ``1e999999999`` unfolds to gigabytes."""

    __slots__ = ()


class _UnreadableError(AppError):
    """A value has no meaning as what its field should be."""


class _Kind(NamedTuple):
    """What a field should be: a plain type, a struct, or a list of one of these."""

    type: Any
    of: _Kind | None = None


def read_leniently(raw: bytes) -> tuple[bytes, Remarks] | None:
    """Return a row's JSON with its values coerced, and what was left out or replaced.

    Returns:
        None where the row is no JSON object at all.
    """
    try:
        text = raw.decode("utf-8", "surrogateescape")
        value = json.loads(text, strict=False, parse_float=_Number, parse_int=_Number)
        if not isinstance(value, dict):
            return None
        reader = _Reader()
        row = reader.struct(Fulfillment, value, "")
        return json.dumps(row).encode(), reader.remarks
    except (ValueError, RecursionError):
        return None


def is_no_date(text: str) -> bool:
    """Return whether a text stands for no date: ``0000-00-00``, ``null``, ``false``."""
    plain = text.strip().casefold()
    return plain in _NULL_WORDS or _SWITCHES.get(plain) is False or bool(_ZERO_DATE.fullmatch(plain))


def amount_of(text: str) -> str | None:
    """Return an amount of money as a decimal number, as in ``.50`` for 0.50; None for a text that is none."""
    return _amount_of(text) if len(text) <= MAX_AMOUNT_LENGTH else None


@lru_cache(maxsize=4096)
def _amount_of(text: str) -> str | None:
    plain = text.strip()
    found = _AMOUNT.fullmatch(plain)
    if not found or not any(char.isdigit() for char in plain):
        return None
    whole, part = found["whole"], found["part"]
    whole = f"{whole}0" if whole in ("", "-") else whole
    return f"{whole}.{part}" if part else whole


@cache
def _kinds(struct: type[Wire]) -> Mapping[str, _Kind]:
    hints = get_type_hints(struct)
    return {field.encode_name: _kind(hints[field.name]) for field in msgspec.structs.fields(struct)}


def _kind(hint: Any) -> _Kind:
    if get_origin(hint) is list:
        return _Kind(list, _kind(get_args(hint)[0]))
    parts = [part for part in get_args(hint) if part is not type(None)]
    return _kind(parts[0]) if parts else _Kind(hint)


class _Reader:
    """Walks through one row; ``remarks`` says what was not taken as it was."""

    def __init__(self) -> None:
        self.remarks = Remarks([], [])

    def struct(self, struct: type[Wire], value: Mapping[str, Any], place: str) -> dict[str, Any]:
        """Return the known fields of an object, each as its type."""
        return {
            name: self._field(struct, name, kind, value[name], place)
            for name, kind in _kinds(struct).items()
            if name in value
        }

    def _field(self, struct: type[Wire], name: str, kind: _Kind, value: Any, place: str) -> Any:
        if (struct, name) in _DECISIVE:
            return _DECISIVE[struct, name](value)
        try:
            if (struct, name) in _SPECIAL:
                return _SPECIAL[struct, name](value)
            return self._value(kind, value, place, name)
        except _UnreadableError:
            if (struct, name) == (Fulfillment, "items"):
                return _as_it_is(value)  # wholly unreadable: the decoder says so
            wanted = "a decimal number" if name == "amount" else _WANTED.get(kind.type, "a group of fields")
            self._leave_out(name, f"{place}{name}", value, wanted)
            return None

    def _value(self, kind: _Kind, value: Any, place: str, name: str) -> Any:
        if value is None:
            return None
        if kind.type is str:
            return self._text(value, f"{place}{name}")
        if kind.type is float:
            return _number(value)
        if kind.type is bool:
            return _switch(value)
        if kind.type is list and kind.of:
            return self._list(kind.of, value, place, name)
        if _is_empty(value):
            return None
        if not isinstance(value, dict):
            raise _UnreadableError
        return self.struct(kind.type, value, f"{place}{name}, ")

    def _text(self, value: Any, where: str) -> str | None:
        text = _text(value)
        if text is None or not _LOST_HALF.search(text):
            return text
        self.remarks.history.append(f"{where} holds a broken character: it is replaced")
        return _LOST_HALF.sub("\ufffd", text)

    def _list(self, kind: _Kind, value: Any, place: str, name: str) -> list[Any] | None:
        if isinstance(value, dict) and value and all(key.isdecimal() for key in value):
            value = [value[key] for key in sorted(value, key=int)]  # PHP's list with a gap in it
        if name == "items" and not isinstance(value, (list, dict)):
            raise _UnreadableError
        if _is_empty(value) and value != []:
            return None
        if not isinstance(value, list):
            raise _UnreadableError
        found: list[Any] = []
        for number, each in enumerate(value, 1):
            label = f"{place}{_PLACES.get(name, name)} {number}"
            if kind.type is str and isinstance(each, str):
                found.append(self._text(each, label))
            elif kind.type is not str and (isinstance(each, dict) or each == []):
                found.append(self.struct(kind.type, each or {}, f"{label}, "))
            else:
                self._leave_out(name, label, each, _WANTED.get(kind.type, "a group of fields"))
        if value and not found and name == "items":
            raise _UnreadableError
        return found

    def _leave_out(self, name: str, where: str, value: Any, wanted: str) -> None:
        line = f"{where} is {_what(value)}, not {wanted}: it is left out"
        self.remarks.history.append(line)
        if name in _NEEDS_A_LOOK:
            self.remarks.attention.append(line)


def _what(value: Any) -> str:
    if value is None:
        return "empty"
    return "a number" if isinstance(value, _Number) else _WORDS[type(value)]


def _is_empty(value: Any) -> bool:
    """Return whether a value stands for null: an empty list or text, false, 0, or a word for null."""
    if isinstance(value, _Number):
        return float(value) == 0
    return not value or (isinstance(value, str) and value.strip().casefold() in _NULL_WORDS)


def _text(value: Any) -> str | None:
    if isinstance(value, _Number) and not _PLAIN_NUMBER.fullmatch(value):
        raise _UnreadableError
    if isinstance(value, str):
        return value
    if isinstance(value, (list, dict)) and not value:
        return None
    raise _UnreadableError


def _number(value: Any) -> float | None:
    if isinstance(value, bool):
        raise _UnreadableError
    if isinstance(value, str) and _NUMBER.fullmatch(value.strip()):
        number = float(value)
        if math.isfinite(number):
            return number
    elif _is_empty(value):
        return None
    raise _UnreadableError


def _switch(value: Any) -> bool | None:
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and (word := value.strip().casefold()) in _SWITCHES:
        return _SWITCHES[word]
    if _is_empty(value):
        return None
    raise _UnreadableError


def _amount(value: Any) -> str | None:
    if isinstance(value, str) and (amount := amount_of(value)) is not None:
        return amount
    if _is_empty(value):
        return None
    raise _UnreadableError


def _quantity(value: Any) -> Any:
    try:
        return _number(value)
    except _UnreadableError:
        return _as_it_is(value)


def _deleted_at(value: Any) -> str | None:
    """Return when a print was withdrawn; whatever does not say no counts as yes, and is printed by nobody."""
    if _is_empty(value) or (isinstance(value, str) and is_no_date(value)):
        return None
    return "withdrawn"


def _created_at(value: Any) -> Any:
    if isinstance(value, _Number) or not isinstance(value, str):
        return _as_it_is(value)
    try:
        return datetime.fromisoformat(value.strip()).isoformat()
    except ValueError:
        return value


def _updated_at(value: Any) -> Any:
    return None if isinstance(value, str) and is_no_date(value) else _created_at(value)


def _as_it_is(value: Any) -> Any:
    """Return a value that the decoder is to refuse; any number stands for one."""
    if isinstance(value, _Number):
        return 0
    if isinstance(value, list):
        return [_as_it_is(each) for each in value]
    return {name: _as_it_is(each) for name, each in value.items()} if isinstance(value, dict) else value


_DECISIVE: dict[tuple[type[Wire], str], Callable[[Any], Any]] = {
    (Fulfillment, "id"): _as_it_is,
    (Fulfillment, "status"): _as_it_is,
    (Fulfillment, "createdAt"): _created_at,
    (Fulfillment, "updatedAt"): _updated_at,
    (FulfillmentItem, "quantity"): _quantity,
}
"""What is never left out: where it can't be read, it stays as it is, and the row is rejected."""
_SPECIAL: dict[tuple[type[Wire], str], Callable[[Any], str | None]] = {
    (Application, "deletedAt"): _deleted_at,
    (Price, "amount"): _amount,
}
