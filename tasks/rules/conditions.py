"""Conditions of rules: read once, compiled to functions of an exported order. Text is compared case-blind."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any, NamedTuple

from models.errors import AppError
from models.rules import ITEM_FIELDS, METADATA, ORDER_FIELDS, Kind
from tasks.rules.patterns import PatternError, compile_pattern
from tasks.rules.yaml_lines import near

Document = dict[str, Any]
Test = Callable[[Any], bool]

_FORM = re.compile(
    r"(?:(?P<which>any|all)\s+items?\.)?(?P<field>[\w.-]+?)\s*"
    r"(?:(?P<sign>!=|>=|<=|==|=|>|<)|(?<=\s)(?P<word>not\s+in|in|not\s+contains|contains|starts\s+with|"
    r"ends\s+with|not\s+matches|matches|not\s+exists|exists)(?=[\s\[]|$))\s*(?P<value>.*)",
    re.IGNORECASE | re.DOTALL,
)
_ITEM = re.compile(r"(any|all)?\s*items?\.", re.IGNORECASE)
_PART = re.compile(r"""\s*("[^"]*"|'[^']*'|[^,"'][^,]*)\s*(?:,|$)""")
_ORDERS = {">=": operator.ge, "<=": operator.le, ">": operator.gt, "<": operator.lt}
_COUNTRY = re.compile(r"[^\W\d](?:[^,\[\]\"'\n]*[^\s,\[\]\"'])?")
_BY_WHOLE_VALUE = frozenset({"=", "!=", "in", "not in"})
_NOT = ("not in", "not contains", "not matches", "not exists", "!=")
SIGNS = (
    "=, !=, >, >=, <, <=, in, not in, contains, not contains, starts with, ends with, matches, not matches, "
)
SIGNS += "exists, not exists"


class ConditionError(AppError):
    """A condition can't be understood; the text says what is wrong with it."""


class Condition(NamedTuple):
    """A compiled condition.

    Attributes:
        field: its path in the order, or in the item.
        holds: whether an exported order fulfils it.
        item: for ``any item.``: whether an exported item fulfils it; else None.
        on_value: the test of the field's value alone.
    """

    field: str
    holds: Callable[[Document], bool]
    item: Callable[[Document], bool] | None
    on_value: Test


def compile_condition(text: str) -> Condition:
    """Return a condition ready for use.

    Raises:
        ConditionError: it can't be understood, or names a field or operator that there is not.
    """
    match = _FORM.fullmatch(text.strip())
    if match is None:
        raise ConditionError(_why_not(text))
    which, field = (match["which"] or "").lower(), match["field"].lower()
    kind, get = _field(field, of_item=bool(which))
    name = re.sub(r"\s+", " ", (match["sign"] or match["word"]).lower()).replace("==", "=")
    value = match["value"].strip()
    if field == "shipping.country" and name in _BY_WHOLE_VALUE:
        value = _with_codes(value)
    test = _test(name, kind, value)

    def matches(document: Document) -> bool:
        return test(get(document))

    if which == "any":
        return Condition(field, lambda order: any(map(matches, order["items"])), matches, test)
    if which == "all":
        return Condition(
            field, lambda order: bool(order["items"]) and all(map(matches, order["items"])), None, test
        )
    return Condition(field, matches, None, test)


def _with_codes(value: str) -> str:
    """Return countries as the desk keeps them: ``UK`` and ``United Kingdom`` are ``GB`` there."""
    from models.countries import country_code  # its list takes time to load

    return _COUNTRY.sub(lambda found: country_code(found[0]) or found[0], value)


def _why_not(text: str) -> str:
    if _ITEM.match(text.strip()) and not text.strip().lower().startswith(("any ", "all ")):
        return f"{text!r}: say `any item.` or `all items.` before an item's field"
    return f"{text!r} is not a condition: write FIELD OPERATOR VALUE; the operators are {SIGNS}"


def _field(path: str, *, of_item: bool) -> tuple[Kind, Callable[[Document], Any]]:
    known = ITEM_FIELDS if of_item else ORDER_FIELDS
    if path.startswith(METADATA) and len(path) > len(METADATA):
        key = path.removeprefix(METADATA)
        return Kind.TEXT, lambda document: _case_blind(document["metadata"], key)
    if path not in known:
        whose = "an item" if of_item else "an order"
        hint = near(path, [*known, METADATA])
        if not of_item and path.startswith(("item.", "items.")):
            hint = ": say `any item.` or `all items.`"
        raise ConditionError(f"{whose} has no field {path!r}{hint}")
    group, _, part = path.partition(".")
    if part:
        return known[path], lambda document: document[group][part]
    return known[path], lambda document: document[group]


def _case_blind(metadata: dict[str, str], key: str) -> str | None:
    found = metadata.get(key)
    if found is None:
        return next((value for name, value in metadata.items() if name.lower() == key), None)
    return found


def _test(name: str, kind: Kind, value: str) -> Test:
    """Return the test of a field's value; nothing is there: only ``!=`` and the ``not`` operators hold."""
    test = _positive(name, kind, value)
    if name in _NOT:
        return lambda given: not test(given)
    return test


def _positive(name: str, kind: Kind, value: str) -> Test:
    if name.endswith("exists"):
        if value:
            raise ConditionError(f"`{name}` takes no value, but {value!r} stands behind it")
        return lambda given: given not in (None, "", [])
    if not value:
        raise ConditionError(f"`{name}` needs a value; put one with # or : in it into quotation marks")
    if name in _ORDERS:
        return _ordered(_ORDERS[name], kind, value)
    if name.endswith("in"):
        return _among(kind, _list(value))
    if name in {"=", "!="}:
        return _among(kind, [_unquoted(value)])
    return _textual(name, _unquoted(value))


def _ordered(compare: Callable[[Any, Any], bool], kind: Kind, value: str) -> Test:
    read: Callable[[Any], Any] = _moment if kind is Kind.MOMENT else _number
    wanted = read(_unquoted(value))
    if wanted is None:
        what = "a date such as 2026-11-23" if kind is Kind.MOMENT else "a number"
        raise ConditionError(f"{value!r} is not {what}, which >, >=, < and <= need here")

    def test(given: Any) -> bool:
        found = read(given)
        return found is not None and compare(found, wanted)

    return test


def _among(kind: Kind, values: list[str]) -> Test:
    if kind is Kind.LIST:
        raise ConditionError("this field is a list: use contains, matches or exists")
    if kind is Kind.TEXT:
        wanted = frozenset(value.casefold() for value in values)
        return lambda given: given is not None and given.casefold() in wanted
    read: Callable[[Any], Any] = _moment if kind is Kind.MOMENT else _number
    for value in values:
        if read(value) is None:
            raise ConditionError(f"{value!r} is not a {'date' if kind is Kind.MOMENT else 'number'}")
    known = frozenset(map(read, values))
    return lambda given: read(given) in known


def _textual(name: str, value: str) -> Test:
    wanted = value.casefold()
    if name.endswith("matches"):
        try:
            fits = compile_pattern(value)
        except PatternError as error:
            raise ConditionError(f"{value!r} is not a regular expression that can be used: {error}") from None
        return lambda given: given is not None and fits(_text(given))
    if name == "starts with":
        return lambda given: given is not None and _text(given).casefold().startswith(wanted)
    if name == "ends with":
        return lambda given: given is not None and _text(given).casefold().endswith(wanted)
    return lambda given: given is not None and wanted in _text(given).casefold()


def _text(value: Any) -> str:
    return "\n".join(map(str, value)) if isinstance(value, list) else str(value)


def _number(value: Any) -> Decimal | None:
    try:
        number = Decimal(str(value).strip())
    except InvalidOperation:
        return None
    return number if number.is_finite() else None


def _moment(value: Any) -> datetime | None:
    try:
        moment = datetime.fromisoformat(value)
    except (TypeError, ValueError):
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _list(text: str) -> list[str]:
    inner = text[1:-1].strip() if text.startswith("[") and text.endswith("]") else None
    if not inner:
        raise ConditionError(f"{text!r} is not a list: write [A, B, C]")
    values, at = [], 0
    while at < len(inner):
        match = _PART.match(inner, at)
        if match is None:
            raise ConditionError(f"{text!r} is not a list: write [A, B, C]")
        values.append(_unquoted(match[1].strip()))
        at = match.end()
    return values


def _unquoted(text: str) -> str:
    is_quoted = len(text) > 1 and text[0] == text[-1] and text[0] in "\"'"
    return text[1:-1] if is_quoted else text
