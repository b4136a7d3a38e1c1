"""What PHP, JavaScript and people write for null, numbers and dates is read; the rest is named."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.podos import Fulfillment, MendedFulfillment
from tasks.podos.lenient import amount_of, is_no_date
from tasks.podos.parsing import Unreadable, parse_page, parse_row

SECRET = "Jane Sample"


def order(**changes: Any) -> dict[str, Any]:
    wire = {
        "id": "id-1",
        "status": "paid",
        "createdAt": "2026-11-23T10:15:00Z",
        "shippingAddress": {"contactName": SECRET, "line1": "1 High Street", "country": "GB"},
        "declaredValue": {"amount": "20.00", "currencyCode": "GBP"},
        "items": [line(), line()],
    }
    return wire | changes


def line(**changes: Any) -> dict[str, Any]:
    print_ = {"design": "https://x.example.test/a.png", "placement": "front", "technology": "dtg"}
    return {"quantity": 1, "metadata": {"variantSku": "V-1"}, "applications": [print_]} | changes


def with_print(**changes: Any) -> dict[str, Any]:
    first = line()
    first["applications"][0] |= changes
    return order(items=[first])


def read(wire: dict[str, Any]) -> Fulfillment:
    row = parse_row(json.dumps(wire).encode())
    assert isinstance(row, Fulfillment), row
    return row


def remarks(row: Fulfillment) -> tuple[list[str], list[str]]:
    if not isinstance(row, MendedFulfillment) or row.remarks is None:
        return [], []
    return row.remarks.history, row.remarks.attention


@pytest.mark.parametrize("empty", [[], {}, "", None, False, 0, "null", "undefined", "None", "NULL"])
@pytest.mark.parametrize(
    "field", ["tracking", "shippingMethod", "contactInformation", "declaredValue", "packingNotes"]
)
def test_what_stands_for_null_is_null(field: str, empty: Any) -> None:
    row = read(order(**{field: empty}))
    name = "".join(f"_{char.lower()}" if char.isupper() else char for char in field)
    assert not getattr(row, name) or empty == {}
    assert remarks(row) == ([], [])


def test_php_writes_an_empty_object_as_a_list_at_any_depth() -> None:
    first = line(metadata=[], declaredValue=[])
    first["applications"][0]["dimensions"] = []
    row = read(order(items=[first], shippingAddress={"state": [], "city": "Leeds"}))
    assert row.items
    assert row.items[0].metadata is None
    assert row.items[0].applications
    assert row.items[0].applications[0].dimensions is None
    assert remarks(row) == ([], [])


def test_a_list_with_a_gap_is_an_object_with_numbers_in_php() -> None:
    row = read(order(items={"0": line(), "2": line(quantity=3)}))
    assert [item.quantity for item in row.items or ()] == [1, 3]
    assert remarks(row) == ([], [])


@pytest.mark.parametrize(
    ("sent", "kept"),
    [("250", 250), (" 250.5 ", 250.5), (".5", 0.5), ("1e2", 100), (250, 250), ("", None), ("null", None)],
)
def test_numbers_as_text(sent: Any, kept: float | None) -> None:
    row = read(order(packageWeight=sent, serviceLevel=sent))
    assert (row.package_weight, row.service_level) == (kept, kept)
    assert remarks(row) == ([], [])


def test_a_quantity_as_text_is_a_quantity() -> None:
    assert [item.quantity for item in read(order(items=[line(quantity="2")])).items or ()] == [2]


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        (0, False),
        (1, True),
        ("0", False),
        ("1", True),
        ("false", False),
        ("TRUE", True),
        ("no", False),
        ("", None),
        ([], None),
    ],
)
def test_switches_as_people_write_them(sent: Any, kept: bool | None) -> None:
    row = read(order(frozen=sent))
    assert row.frozen is kept
    assert remarks(row) == ([], [])


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        *(
            (20.0, "20.0"),
            (20, "20"),
            ("20.10", "20.10"),
            (".50", "0.50"),
            ("20.", "20"),
            ("+5", "5"),
            ("-.5", "-0.5"),
        ),
        *((" 1.50 ", "1.50"), ("", None)),
    ],
)
def test_prices_that_people_write(sent: Any, kept: str | None) -> None:
    row = read(order(declaredValue={"amount": sent}, items=[line(declaredValue={"amount": sent})]))
    assert row.declared_value
    assert row.items
    assert row.items[0].declared_value
    for price in (row.declared_value, row.items[0].declared_value):
        assert amount_of(price.amount or "") == kept


def test_money_never_passes_through_a_float() -> None:
    raw = json.dumps(order()).replace('"20.00"', "90071992547409.93").encode()
    row = parse_row(raw)
    assert isinstance(row, Fulfillment)
    assert row.declared_value
    assert row.declared_value.amount == "90071992547409.93"


@pytest.mark.parametrize(
    "amount", ["abc", "1e5", "NaN", "Infinity", "1,50", "GBP 20", "1.2.3", "9" * 40, True, {"a": 1}, 1e300]
)
def test_an_amount_that_is_none_is_left_out_and_said(amount: Any) -> None:
    row = read(order(declaredValue={"amount": amount, "currencyCode": "GBP"}))
    assert row.declared_value
    assert (row.declared_value.amount, row.declared_value.currency_code) == (None, "GBP")
    history, attention = remarks(row)
    assert [text.startswith("declaredValue, amount is ") for text in history] == [True]
    assert history[0].endswith("not a decimal number: it is left out")
    assert attention == []


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"packageWeight": "heavy"}, "packageWeight is text, not a number: it is left out"),
        ({"packageWeight": [1]}, "packageWeight is a list, not a number: it is left out"),
        ({"priorityLevel": {"a": 1}}, "priorityLevel is a group of fields, not text: it is left out"),
        ({"packingNotes": "none yet"}, "packingNotes is text, not a list: it is left out"),
        (
            {"packingNotes": [7, {"type": "gift"}]},
            "packingNotes 1 is a number, not a group of fields: it is left out",
        ),
        ({"tracking": "sent"}, "tracking is text, not a group of fields: it is left out"),
        ({"frozenReasons": [{"a": 1}]}, "frozenReasons 1 is a group of fields, not text: it is left out"),
    ],
)
def test_a_field_of_little_weight_is_left_out_and_said(changes: dict[str, Any], said: str) -> None:
    row = read(order(**changes))
    assert remarks(row) == ([said], [])
    assert row.items
    assert len(row.items) == 2


@pytest.mark.parametrize(
    ("wire", "said"),
    [
        (order(frozen="maybe"), "frozen is text, not yes or no: it is left out"),
        (order(shippingAddress=SECRET), "shippingAddress is text, not a group of fields: it is left out"),
        (
            order(shippingAddress={"line1": [SECRET]}),
            "shippingAddress, line1 is a list, not text: it is left out",
        ),
        (order(items=[line(), SECRET]), "item 2 is text, not a group of fields: it is left out"),
        (order(items=[line(), None]), "item 2 is empty, not a group of fields: it is left out"),
        (
            order(items=[line(applications="front")]),
            "item 1, applications is text, not a list: it is left out",
        ),
        (
            order(items=[line(applications=[7, *line()["applications"]])]),
            "item 1, print 1 is a number, not a group of fields: it is left out",
        ),
        (with_print(design=[SECRET]), "item 1, print 1, design is a list, not text: it is left out"),
        (
            with_print(dimensions={"width": "A4"}),
            "item 1, print 1, dimensions, width is text, not a number: it is left out",
        ),
    ],
)
def test_without_these_a_person_looks_at_the_order(wire: dict[str, Any], said: str) -> None:
    assert remarks(read(wire)) == ([said], [said])


def test_half_an_emoji_is_replaced_and_said() -> None:
    row = read(order(shippingAddress={"line1": "1 High Street \ud83d", "country": "GB"}))
    assert row.shipping_address
    assert row.shipping_address.line1 == "1 High Street \ufffd"
    assert remarks(row) == (["shippingAddress, line1 holds a broken character: it is replaced"], [])


@pytest.mark.parametrize(
    "sent", ["0000-00-00 00:00:00", "0000-00-00", "0000-00-00T00:00:00Z", "null", "", "false", False, 0, []]
)
def test_a_print_that_was_not_withdrawn_is_printed(sent: Any) -> None:
    from tasks.imports.prints import print_metadata

    (keys,) = print_metadata(read(with_print(deletedAt=sent)).items or ())
    assert keys["print_url_1"] == "https://x.example.test/a.png"


@pytest.mark.parametrize("sent", ["2026-11-24T09:00:00Z", "yesterday", True, 1767225600, {"at": 1}])
def test_a_print_that_was_withdrawn_in_whatever_words_is_not(sent: Any) -> None:
    from tasks.imports.prints import print_metadata

    assert print_metadata(read(with_print(deletedAt=sent)).items or ()) == [{}]


def test_a_zero_date_is_no_date() -> None:
    assert read(order(updatedAt="0000-00-00 00:00:00")).updated_at is None
    rejected = parse_row(json.dumps(order(createdAt="0000-00-00 00:00:00")).encode())
    assert isinstance(rejected, Unreadable)


def test_a_line_of_quantity_0_is_left_out_and_said() -> None:
    row = read(order(items=[line(quantity=0), line(quantity=2)]))
    assert [item.quantity for item in row.items or ()] == [2]
    assert remarks(row) == (["item 1 has quantity 0: it is left out"], [])


def test_an_order_of_nothing_but_such_lines_is_looked_at() -> None:
    row = read(order(items=[line(quantity=0), line(quantity="0")]))
    assert row.items == []
    assert remarks(row)[1] == ["every item has quantity 0"]


def test_a_row_with_defects_does_not_touch_its_neighbours() -> None:
    rows = [order(id="a"), order(id="b", packageWeight="heavy"), order(id="c", items="none"), order(id="d")]
    page = parse_page(json.dumps({"fulfillments": rows}).encode())
    assert [type(row).__name__ for row in page.rows] == [
        "Fulfillment",
        "MendedFulfillment",
        "Unreadable",
        "Fulfillment",
    ]


@pytest.mark.parametrize("key", ["remarks", "history", "attention"])
def test_nobody_can_send_remarks(key: str) -> None:
    row = read(order(**{key: [["sent"], ["sent"]]}, packageWeight="heavy"))
    assert remarks(row)[0] == ["packageWeight is text, not a number: it is left out"]


@pytest.mark.parametrize("field", ["id", "status", "createdAt", "items"])
@pytest.mark.parametrize("value", [7, [SECRET], {"a": SECRET}, True])
def test_identity_status_dates_and_items_are_never_guessed(field: str, value: Any) -> None:
    row = parse_row(json.dumps(order(**{field: value})).encode())
    assert isinstance(row, Unreadable)
    assert SECRET not in row.reason


@given(
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=9),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
        max_leaves=6,
    ),
    st.sampled_from(
        [
            "tracking",
            "shippingAddress",
            "packageWeight",
            "frozen",
            "merchantReference",
            "declaredValue",
            "packingNotes",
            "deadline",
        ]
    ),
)
def test_no_field_of_little_weight_loses_an_order(value: Any, field: str) -> None:
    row = read(order(**{field: value}))
    assert row.id == "id-1"
    assert row.items
    assert len(row.items) == 2


@given(st.text(max_size=12))
def test_an_amount_is_a_decimal_number_or_none(text: str) -> None:
    from decimal import Decimal

    amount = amount_of(text)
    assert amount is None or Decimal(amount).is_finite()
    assert isinstance(is_no_date(text), bool)


def test_no_long_text_in_place_of_money_is_remembered() -> None:
    from tasks.podos import lenient, parsing

    remembered = lenient._amount_of.cache_info().currsize, parsing._is_decimal.cache_info().currsize
    read(order(declaredValue={"amount": "7" * 100_000}))
    assert (lenient._amount_of.cache_info().currsize, parsing._is_decimal.cache_info().currsize) == remembered


@pytest.mark.parametrize(
    "number", ["1e999999", "1e-999999", "-1E+99999999", "1e-99999999", "9" * 5000, "0." + "1" * 5000]
)
@pytest.mark.parametrize(
    "field", ["merchantReference", "packageWeight", "deadline", "frozen", "declaredValue"]
)
def test_a_number_that_would_unfold_to_megabytes_is_left_out(number: str, field: str) -> None:
    raw = json.dumps(order()).encode()[:-1] + f', "{field}": {number}}}'.encode()
    priced = raw.replace(b'"20.00"', number.encode())
    for body in (raw, priced):
        row = parse_row(body)
        assert isinstance(row, Fulfillment), row
        assert len(str(row)) < 12_000
        assert row.items
        assert len(row.items) == 2


@pytest.mark.parametrize("byte", [b"\xff", b"\xc3", b"\xed\xa0\x80"])
def test_a_broken_byte_is_replaced_and_said(byte: bytes) -> None:
    raw = json.dumps(order()).encode().replace(b"1 High Street", b"1 High " + byte + b"Street")
    page = b'{"fulfillments":[' + raw + b"]}"
    for row in (parse_row(raw), *parse_page(page).rows):
        assert isinstance(row, Fulfillment)
        assert row.shipping_address
        assert str(row.shipping_address.line1).replace("\ufffd", "") == "1 High Street"
        assert remarks(row) == (["shippingAddress, line1 holds a broken character: it is replaced"], [])


@pytest.mark.parametrize("byte", [b"\xff", b"\xc3"])
def test_a_broken_byte_in_an_id_is_no_id(byte: bytes) -> None:
    raw = json.dumps(order()).encode().replace(b"id-1", b"id-" + byte)
    (row,) = parse_page(b'{"fulfillments":[' + raw + b"]}").rows
    assert isinstance(row, Unreadable)
    assert row.id is None
