"""Pages of podOS by its published schema, and such as no podOS should ever send."""

from __future__ import annotations

import json
from collections.abc import Iterator
from copy import deepcopy
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple

from hypothesis import strategies as st

SCHEMA: dict[str, Any] = json.loads(
    (Path(__file__).parents[1] / "contract" / "sandbox" / "fulfillments.schema.json").read_text("utf-8")
)["definitions"]
CANARY = "Canary-4711"
"""In many texts: no reason may repeat it."""
MARK = "fuzzRow"
"""A field that podOS does not have; it tells the rows of a page apart wherever they end."""

FRAGMENTS = (
    *("NaN", "Infinity", "-Infinity", "1e999", "-1", "0", "0.5", "1e308", "1" * 400, "9" * 5000),
    *("1e999999999", "1e-999999999", "-1E+99999999999999999999", "0." + "1" * 5000),
    *("null", "true", '""', '" "', "[]", "{}", "[null]", "[7]", '[{"a":1}]', '{"amount":7}'),
    *("[" * 2000 + "]" * 2000, '{"a":' * 2000 + "1" + "}" * 2000, "[" * 600 + "]" * 600),
    *(r'"\ud800"', r'"\udfff\ud800 x"', r'"\u0000"', r'"a\u0000b"', '"a\x00b"', '"a\nb"', '"\x7f\x1b[0m"'),
    *('"2026-02-30T10:00:00Z"', '"2026-11-23"', '"2026-11-23T10:15:00"', '"0001-01-01T00:00:00+14:00"'),
    *('"9999-12-31T23:59:59-14:00"', '"2026-11-23T23:59:60Z"', '"20261123T101500+0100"', '"yesterday"'),
    *('"=HYPERLINK(0)"', '"\u202e\u200b"', '"\ufeff"', '"\U0001f4e6"', json.dumps("é" * 3000), '"%00/../"'),
    f'"{CANARY}"',
)
"""Pieces of JSON, or nearly, that can stand where a value is expected."""
_NULLS: tuple[Any, ...] = ([], {}, "", None, False, 0, "null", "undefined")
_NONSENSE: tuple[Any, ...] = (
    *_NULLS,
    True,
    -7,
    1.5,
    CANARY,
    [CANARY],
    {"a": CANARY},
    [[]],
    "\ud83d",
    "é" * 300,
)
DEFECTS: dict[str, tuple[Any, ...]] = {
    **dict.fromkeys(("tracking", "packingNotes", "additionalFiles", "sourcePlatform", "deadline"), _NONSENSE),
    **dict.fromkeys(
        ("priorityLevel", "shippingMethod", "contactInformation", "merchantReference"), _NONSENSE
    ),
    **dict.fromkeys(("packageWeight", "serviceLevel", "declaredValue", "frozenReasons", "frozen"), _NONSENSE),
    **dict.fromkeys(("shippingAddress", "shippingAddress.state", "shippingAddress.country"), _NONSENSE),
    **dict.fromkeys(
        ("items.metadata", "items.declaredValue", "items.applications", "items.notes"), _NONSENSE
    ),
    "declaredValue.amount": (20, 20.5, ".50", "20.", "+5", "GBP 3", True, [], None),
    "items.quantity": ("2", " 3 ", 0, "0", 2.0),
    "updatedAt": (None, "", "0000-00-00 00:00:00", "2026-11-23 10:15:00", "2026-11-23T10:15:00+0000"),
}
"""What must not lose an order, by its place."""
BAD_BYTES = (b'"\xff"', b'"\xc3"', b'"\xed\xa0\x80"', b'"a\xe9b"')

LONG = "".join(sha256(bytes([number])).hexdigest() for number in range(128))
"""Longer than PostgreSQL can index, and not to be compressed."""
_WORDS = (
    "",
    " ",
    "0",
    "007",
    "01067",
    " 02134",
    "1E5",
    "=1+1",
    "null",
    "\x00",
    "x\x00y",
    "ß",
    "ſ",
    "\u2003x\u2003",
)
texts = st.one_of(
    st.sampled_from((*_WORDS, CANARY, LONG)),
    st.text(max_size=12),
)
numbers = st.one_of(
    st.sampled_from((0, 1, 2, 250, -1, 0.5, 2**53, 2**70, 1e300, 1e-300)),
    st.floats(allow_nan=False, allow_infinity=False),
)
moments = st.datetimes(datetime(2000, 1, 2), datetime(2999, 12, 30), timezones=st.just(UTC)).map(  # noqa: DTZ001
    lambda moment: moment.isoformat(timespec="seconds")
)
amounts = st.decimals(-999_999, 99_999_999_999_999, places=2).map(str) | st.sampled_from(
    ("0.10", "19.90", "12345678901234.0123456789", " 7.00 ", "00.50", "")
)
ids = st.uuids(version=4).map(str)


def of_schema(name: str) -> st.SearchStrategy[Any]:
    """Return any JSON of a definition of the published schema."""
    return _value(SCHEMA[name])


def _value(schema: dict[str, Any]) -> st.SearchStrategy[Any]:
    if "$ref" in schema:
        return st.deferred(lambda: of_schema(schema["$ref"].rpartition("/")[2]))
    if "anyOf" in schema:
        return st.one_of([_value(branch) for branch in schema["anyOf"]])
    if "enum" in schema:
        return st.sampled_from(schema["enum"])
    kinds = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
    return st.one_of([_of_kind(kind, schema) for kind in kinds])


def _of_kind(kind: str, schema: dict[str, Any]) -> st.SearchStrategy[Any]:
    if kind == "object":
        fields = {name: _value(field) for name, field in schema.get("properties", {}).items()}
        needed = schema.get("required", [])
        return st.fixed_dictionaries(
            {name: fields[name] for name in needed},
            optional={name: field for name, field in fields.items() if name not in needed},
        )
    if kind == "array":
        return st.lists(_value(schema["items"]), max_size=2)
    return {"string": texts, "number": numbers, "boolean": st.booleans(), "null": st.none()}[kind]


class WireRow(NamedTuple):
    """A row on the wire; ``order`` is what it says, where it must be readable, else None.

    ``has_defect`` tells that it has small defects, which must not lose it.
    """

    number: int
    raw: bytes
    id: str | None
    order: dict[str, Any] | None
    has_defect: bool = False


@st.composite
def pages(draw: st.DrawFn) -> list[WireRow]:
    """Draw the rows of a page: whole ones, others of the schema, broken ones; ids may come twice."""
    some_ids = draw(st.lists(ids, min_size=2, max_size=3))
    order = draw(of_schema("Fulfillment"))
    kinds = draw(
        st.lists(
            st.sampled_from(("whole", "defect", "schema", "broken", "broken", "junk")), min_size=2, max_size=6
        )
    )
    return [_row(draw, number, kind, some_ids, deepcopy(order)) for number, kind in enumerate(kinds)]


def _row(draw: st.DrawFn, number: int, kind: str, some_ids: list[str], order: dict[str, Any]) -> WireRow:
    if kind == "junk":
        junk = draw(st.sampled_from((f"{number}", f'"{number}"', f"[{number}]", f'{{"{MARK}":{number}}}')))
        return WireRow(number, junk.encode(), None, None)
    id_ = draw(ids | st.sampled_from(some_ids))
    order |= {"id": id_, MARK: number}
    if kind == "schema":
        if draw(st.booleans()):
            order["id"] = draw(texts)
        return WireRow(number, _written(draw, order), usable_id(order.get("id")), None)
    make_whole(draw, order)
    if kind == "whole":
        return WireRow(number, _written(draw, order), id_, order)
    if kind == "defect":
        _make_defects(draw, order)
        return WireRow(number, _written(draw, order), id_, None, has_defect=True)
    return _broken(draw, number, order)


def make_whole(draw: st.DrawFn, order: dict[str, Any]) -> None:
    """Give an order of the schema what it can't do without."""
    order |= {"createdAt": draw(moments), "updatedAt": draw(moments)}
    order["declaredValue"] = {"amount": draw(amounts), "currencyCode": "GBP"}
    for item in order["items"]:
        item["quantity"] = draw(st.integers(1, 1_000_000))
        item["declaredValue"] = {"amount": draw(amounts), "currencyCode": "GBP"}


def _make_defects(draw: st.DrawFn, order: dict[str, Any]) -> None:
    """Write one to three values as PHP, JavaScript and people do, or put nonsense into small fields."""
    for _ in range(draw(st.integers(1, 3))):
        place = draw(st.sampled_from(sorted(DEFECTS)))
        holder: Any = order
        *path, name = place.split(".")
        for part in path:
            holder = holder.get(part) if isinstance(holder, dict) else None
        if place.startswith("items."):
            for item in order["items"]:
                item[name] = deepcopy(draw(st.sampled_from(DEFECTS[place])))
        elif isinstance(holder, dict):
            holder[name] = deepcopy(draw(st.sampled_from(DEFECTS[place])))


def _broken(draw: st.DrawFn, number: int, order: dict[str, Any]) -> WireRow:
    """Break an order in one to three places."""
    pieces: dict[str, bytes] = {}
    for turn in range(draw(st.integers(1, 3))):
        holder, name = draw(st.sampled_from([place for place in _places(order) if place[1] != MARK]))
        if draw(st.integers(0, 4)) == 0:
            if isinstance(holder, dict):
                holder.pop(name, None)
            continue
        token = f"@piece {number} {turn}@"
        pieces[token] = draw(st.sampled_from([*(text.encode() for text in FRAGMENTS), *BAD_BYTES]))
        holder[name] = token
    raw = _written(draw, order)
    for token, piece in pieces.items():
        raw = raw.replace(json.dumps(token).encode(), piece)
    if draw(st.integers(0, 5)) == 0:  # a name that comes twice: the later one counts
        raw = b'{"id":"first","status":7,' + raw[1:] if "id" in order and "status" in order else raw
    id_ = order.get("id")
    return WireRow(number, raw, _id_in(pieces[id_]) if id_ in pieces else usable_id(id_), None)


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    children = value.items() if isinstance(value, dict) else enumerate(value)
    for name, child in list(children):
        yield value, name
        if isinstance(child, (dict, list)):
            yield from _places(child)


def _id_in(piece: bytes) -> str | None:
    try:
        return usable_id(json.loads(piece.decode("utf-8", "replace"), strict=False))
    except (ValueError, RecursionError):
        return None


def usable_id(value: Any) -> str | None:
    """Return an id that can tell orders apart, None for another."""
    fits = isinstance(value, str) and value.strip() and value.isprintable() and len(value) <= 200
    return value if fits and "\ufffd" not in value else None


def _written(draw: st.DrawFn, order: dict[str, Any]) -> bytes:
    text = json.dumps(order, ensure_ascii=draw(st.booleans()))
    return (text.replace("/", r"\/") if draw(st.booleans()) else text).encode("utf-8", "surrogatepass")


def written_page(rows: list[bytes], token: bytes = b"null") -> bytes:
    """Return a page as it comes over the wire."""
    return (
        b'{"fulfillments":['
        + b",".join(rows)
        + b'],"meta":{"filters":{"sources":null}},"nextPageToken":'
        + token
        + b"}"
    )
