"""Reading a page: what is readable is read, and a broken row takes no other with it."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from models.podos import Fulfillment
from tasks.podos import raw_json as pieces
from tasks.podos.parsing import NotAPageError, ParsedPage, Row, Unreadable, parse_page, parse_row

DATE = "2026-11-23T10:15:00+00:00"
MOMENT = datetime(2026, 11, 23, 10, 15, tzinfo=UTC)
SECRET = "Jane-Private-4711"


def order(**changes: Any) -> dict[str, Any]:
    return {"id": "id-1", "status": "paid", "createdAt": DATE, "updatedAt": DATE} | changes


def item(**changes: Any) -> dict[str, Any]:
    return {"quantity": 1} | changes


def page(*rows: object, token: object = None) -> bytes:
    return json.dumps({"fulfillments": list(rows), "nextPageToken": token}).encode()


def raw_page(*rows: bytes, token: bytes = b"null") -> bytes:
    return b'{"fulfillments":[' + b",".join(rows) + b'],"nextPageToken":' + token + b"}"


GOOD = json.dumps(order(id="good")).encode()
LAST = json.dumps(order(id="last")).encode()


def row_between(raw: bytes) -> Row:
    """Read a row between two good ones, which must come through."""
    rows = parse_page(raw_page(GOOD, raw, LAST)).rows
    assert [rows[0].id, rows[-1].id, len(rows)] == ["good", "last", 3]
    assert isinstance(rows[0], Fulfillment)
    assert isinstance(rows[2], Fulfillment)
    return rows[1]


def unreadable(raw: bytes | dict[str, Any]) -> Unreadable:
    row = row_between(raw if isinstance(raw, bytes) else json.dumps(raw).encode())
    assert isinstance(row, Unreadable)
    assert SECRET not in row.reason
    assert row.reason
    return row


def readable(raw: bytes | dict[str, Any]) -> Fulfillment:
    row = row_between(raw if isinstance(raw, bytes) else json.dumps(raw).encode())
    assert isinstance(row, Fulfillment)
    return row


def test_a_good_page_is_read_whole() -> None:
    wire = order(
        fulfillerReference="F-1",
        frozen=False,
        shippingAddress={
            "contactName": "Jane",
            "postalCode": "01067",
            "country": "DE",
            "state": {"code": "SN"},
        },
        declaredValue={"amount": "19.90", "currencyCode": "EUR"},
        items=[item(applications=[{"placement": "front", "dimensions": {"width": 300, "height": 297.5}}])],
        somethingNew={"a": [1]},
    )
    result = parse_page(page(wire, token=2))
    (row,) = result.rows
    assert isinstance(row, Fulfillment)
    assert (row.id, row.status, row.created_at, row.updated_at) == ("id-1", "paid", MOMENT, MOMENT)
    assert row.shipping_address is not None
    assert row.shipping_address.postal_code == "01067"
    assert row.declared_value is not None
    assert row.declared_value.amount == "19.90"
    assert row.items is not None
    assert row.items[0].applications is not None
    assert row.items[0].applications[0].placement == "front"
    assert result.next_page_token == 2


@pytest.mark.parametrize(
    "name", ["contactInformation", "shippingAddress", "items", "tracking", "frozen", "deadline"]
)
def test_null_and_absent_fields_are_the_same(name: str) -> None:
    assert readable(order(**{name: None})) == readable(order())


def test_escaped_slashes_and_white_space_are_plain_json() -> None:
    assert readable(b'{ "id":"a\\/b",\n"status":"paid","createdAt":"2026-11-23T10:15:00Z" }').id == "a/b"


@pytest.mark.parametrize(
    ("token", "expected"),
    [(b"2", 2), (b"2.0", 2), (b"null", None), (b"1e2", 100), (b"99999999999", 99999999999)],
)
def test_the_next_page_is_a_number_however_it_is_written(token: bytes, expected: int | None) -> None:
    for row in (GOOD, b'{"id":7}'):
        assert parse_page(raw_page(row, token=token)).next_page_token == expected


@pytest.mark.parametrize("token", [b"NaN", b"Infinity", b'"2"', b"[]", b"1e999"])
@pytest.mark.parametrize("row", [GOOD, b'{"id":"\\ud800"}'])
def test_a_next_page_that_is_no_number_is_no_page(row: bytes, token: bytes) -> None:
    with pytest.raises(NotAPageError) as caught:
        parse_page(raw_page(row, token=token))
    assert caught.value.is_json


def test_an_absent_next_page_is_the_last_page() -> None:
    assert parse_page(b'{"fulfillments":[]}') == ParsedPage([], None)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"id": None}, "it has no id"),
        ({"id": ""}, "it has no id"),
        ({"id": "  "}, "it has no id"),
        ({"id": "a\x00b"}, "its id holds characters that no id has, or is too long"),
        ({"id": "a\nb"}, "its id holds characters that no id has, or is too long"),
        ({"id": "a\ufffdb"}, "its id holds characters that no id has, or is too long"),
        ({"id": "a" * 201}, "its id holds characters that no id has, or is too long"),
        ({"status": None}, "it has no status"),
        ({"status": " "}, "it has no status"),
        ({"createdAt": None}, "it has no createdAt"),
        *[
            (
                {"items": [item(), item(quantity=quantity)]},
                "the quantity of item 2 is not a whole number above 0",
            )
            for quantity in (-1, 2.5, None)
        ],
        (
            {"items": [item(), item(quantity=2_147_483_648)]},
            "the quantity of item 2 is above the limit of 1,000,000",
        ),
    ],
)
def test_what_an_order_can_not_do_without_is_named(changes: dict[str, Any], reason: str) -> None:
    assert unreadable(order(**changes)).reason == reason


@pytest.mark.parametrize(
    ("changes", "place"),
    [
        ({"items": 7}, "items"),
        ({"items": [item(quantity=SECRET)]}, "quantity"),
        ({"items": [None]}, "items[0]"),
        ({"id": 7}, "id"),
        ({"createdAt": 1767225600}, "createdAt"),
        ({"createdAt": SECRET}, "createdAt"),
    ],
)
def test_a_broken_shape_names_the_place_and_no_value(changes: dict[str, Any], place: str) -> None:
    row = unreadable(order(contactInformation={"email": SECRET}, **changes))
    assert place in row.reason
    assert SECRET in row.payload, "the payload is kept, to be replayed"


@pytest.mark.parametrize("raw", [b"null", b"7", b'"text"', b"[]", b"true"])
def test_a_row_that_is_no_object_is_unreadable(raw: bytes) -> None:
    row = unreadable(raw)
    assert (row.id, row.created_at, row.payload) == (None, None, raw.decode())


def test_an_unreadable_row_keeps_what_places_it() -> None:
    row = unreadable(order(id=" id-9 ", items=7, updatedAt="2026-11-23T12:15:00+0100"))
    assert (row.id, row.key, row.created_at) == (" id-9 ", " id-9 ", MOMENT)
    assert row.updated_at == datetime(2026, 11, 23, 11, 15, tzinfo=UTC)
    assert json.loads(row.payload)["items"] == 7


@pytest.mark.parametrize(
    "text",
    [
        "2026-11-23T10:15:00Z",
        "2026-11-23T10:15:00+00:00",
        "2026-11-23T10:15:00+0000",
        "2026-11-23T11:15:00+01",
        "2026-11-23T05:15:00-0500",
        "2026-11-23T10:15:00",
        "2026-11-23 10:15:00",
        "2026-11-23T10:15:00.000Z",
        " 2026-11-23T10:15:00Z ",
    ],
)
def test_dates_of_every_iso_form_are_the_same_instant(text: str) -> None:
    row = readable(order(createdAt=text, updatedAt=text))
    assert (row.created_at, row.updated_at) == (MOMENT, MOMENT)
    assert row.created_at is not None
    assert row.created_at.utcoffset() is not None


@pytest.mark.parametrize("field", ["createdAt", "updatedAt"])
@pytest.mark.parametrize(
    "text",
    [
        "0001-01-01T00:00:00Z",
        "0001-01-01T00:00:00+23:59",
        "1970-01-01T00:00:00Z",
        "1999-12-31",
        "9999-12-31T23:59:59-05:00",
    ],
)
def test_dates_of_another_age_are_no_dates(field: str, text: str) -> None:
    row = unreadable(order(**{field: text}))
    assert (row.created_at if field == "createdAt" else row.updated_at) is None


@pytest.mark.parametrize(
    "raw",
    [
        b'{"id":"id-1","status":"paid","createdAt":"2026-11-23","merchantReference":"\\ud800"}',
        b'{"id":"id-1","status":"paid","createdAt":"2026-11-23T10:15:00Z","merchantReference":"\\ud800"}',
        b'{"id":"id-1","status":"paid","createdAt":"2026-11-23T10:15:00Z","merchantReference":"\xff"}',
        b'{"id":"id-1","status":"paid","createdAt":"2026-11-23T10:15:00Z","merchantReference":"a\x00b"}',
        b'{"id":"id-1","status":"paid","createdAt":"2026-11-23T10:15:00Z","packageWeight":NaN}',
        b'{"id":"id-1","status":"paid","createdAt":"2026-11-23","packageWeight":NaN}',
        b'{"id":"id-1","status":"paid","createdAt":"2026-11-23","packageWeight":-Infinity}',
        b'{"id":"id-1","status":"paid","createdAt":"2026-11-23T10:15:00Z","packageWeight":1'
        + b"0" * 400
        + b"}",
        b'{"id":"id-1","status":"paid","createdAt":"2026-11-23T10:15:00Z","packageWeight":1e999}',
        b'{"id":"id-1\\ud800","status":"paid","createdAt":"2026-11-23T10:15:00Z"}',
        b'{"id":"id-1\\u0000","status":"paid","createdAt":"2026-11-23T10:15:00Z"}',
    ],
)
def test_text_and_numbers_that_no_database_takes_end_where_they_are(raw: bytes) -> None:
    """Either the row is rejected, or it comes without what can't be stored."""
    row = row_between(raw)
    assert row.id == (None if b'"id-1\\' in raw else "id-1"), "a mended id could be another order's"
    assert row.created_at is not None
    if isinstance(row, Fulfillment):
        assert row.merchant_reference in {None, "a\x00b", "�"}, (
            "transform drops NUL; nothing drops the others"
        )
        assert row.package_weight is None
    else:
        row.payload.encode()


DEEP = b"[" * 2000 + b"]" * 2000


def test_a_row_nested_thousands_deep_takes_no_other_with_it() -> None:
    row = unreadable(
        b'{"id":"id-1","createdAt":"2026-11-23T10:15:00Z","extra":' + DEEP + b',"status":"paid"}'
    )
    assert (row.id, row.created_at) == ("id-1", MOMENT)
    assert "nested too deep" in row.reason
    assert row.payload.encode().endswith(DEEP + b',"status":"paid"}')
    assert unreadable(DEEP).id is None


def test_an_answer_nested_without_an_end_is_no_page(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pieces, "MAX_DEPTH", 5000)
    with pytest.raises(NotAPageError, match="the answer is nested over 5000 deep") as caught:
        parse_page(b'{"fulfillments":' + b"[" * 6000)
    assert caught.value.is_json  # asking again would change nothing


def test_a_row_that_lacks_what_is_too_deep_is_no_order() -> None:
    """Its date is read a second way; that must not leave out what could not be read."""
    raw = b'{"id":"id-1","status":"paid","createdAt":"2026-11-23T10:15:00+0000","items":' + DEEP + b"}"
    assert unreadable(raw).id == "id-1"


def test_a_huge_number_beside_text_that_is_none_stops_nothing() -> None:
    row = b'{"id":"a","status":"paid","createdAt":"2026-11-23T10:15:00Z","x":'
    rows = parse_page(raw_page(GOOD, row + b"9" * 5000 + b"}", row + b'"\x00"}', row + DEEP + b"}")).rows
    assert [isinstance(row, Fulfillment) for row in rows] == [True, True, True, False]


def test_two_ids_that_only_strange_characters_tell_apart_stay_two() -> None:
    strange = unreadable(order(id="good\u200b"))
    assert (strange.id, strange.key[:7]) == (None, "sha256:")


@pytest.mark.parametrize("token", [b"9" * 5000, b"NaN", b"1e999", b'"2"', b"[2]", DEEP])
def test_a_next_page_that_is_no_number_is_never_the_end(token: bytes) -> None:
    with pytest.raises(NotAPageError) as caught:
        parse_page(raw_page(GOOD, b'{"id":"x","a":"\x00"}', token=token))
    assert caught.value.is_json


@pytest.mark.parametrize(
    "raw",
    [
        raw_page(GOOD, DEEP)[:-1],
        raw_page(GOOD, DEEP) + b"}",
        raw_page(GOOD, DEEP, b""),
        raw_page(GOOD, DEEP, b"{]"),
        raw_page(GOOD + b" " + LAST, DEEP),
        raw_page(DEEP).replace(b'"fulfillments"', b"fulfillments"),
        raw_page(DEEP).replace(b'"fulfillments":', b'"fulfillments"'),
        raw_page(DEEP, token=b"nul"),
    ],
)
def test_half_an_answer_stays_half_where_a_row_is_too_deep(raw: bytes) -> None:
    with pytest.raises(NotAPageError) as caught:
        parse_page(raw)
    assert not caught.value.is_json


def test_an_unknown_huge_number_is_passed_over() -> None:
    assert readable(
        b'{"id":"a","status":"paid","createdAt":"2026-11-23T10:15:00Z","x":1' + b"0" * 5000 + b"}"
    )


def test_the_key_of_a_row_without_id_is_the_same_on_every_page() -> None:
    """The neighbours decide how a page is read; the key must not depend on them."""
    raw = '{"status":"paid", "merchantReference":"Ünï","n":1.50}'.encode()
    alone = parse_page(raw_page(raw)).rows[0]
    among = unreadable(raw)
    beside_odd_text = parse_page(raw_page(raw, b'{"id":"x","merchantReference":"\\ud800"}')).rows[0]
    keys = {row.key for row in (alone, among, beside_odd_text) if isinstance(row, Unreadable)}
    assert len(keys) == 1
    assert keys.pop().startswith("sha256:")


def test_keys_of_different_rows_without_id_differ() -> None:
    first, second = parse_page(page({"status": "paid", "n": 1}, {"status": "paid", "n": 2})).rows
    assert isinstance(first, Unreadable)
    assert isinstance(second, Unreadable)
    assert first.key != second.key


@pytest.mark.parametrize(
    "body", [b"", b"<!doctype html><html></html>", page(order())[:-9], b"{", b"\xff\xfe", b"nul"]
)
def test_what_is_no_complete_json_is_half_an_answer(body: bytes) -> None:
    with pytest.raises(NotAPageError) as caught:
        parse_page(body)
    assert not caught.value.is_json


@pytest.mark.parametrize(
    "body",
    [
        b"{}",
        b"[]",
        b"7",
        b"null",
        b'{"fulfillments":null}',
        b'{"fulfillments":{}}',
        b'{"code":"x","message":"\\ud800"}',
    ],
)
def test_json_that_is_no_page_is_a_wrong_answer(body: bytes) -> None:
    with pytest.raises(NotAPageError) as caught:
        parse_page(body)
    assert caught.value.is_json


@pytest.mark.parametrize("amount", ["19.90", "0", "-5.00", " 19.90 ", "", None, "12345678901234.0123456789"])
def test_amounts_that_are_decimal_or_absent_are_taken(amount: str | None) -> None:
    row = readable(order(declaredValue={"amount": amount}))
    assert row.declared_value is not None
    assert row.declared_value.amount == amount


@pytest.mark.parametrize("quantity", [1, 2.0, 1_000_000])
def test_whole_quantities_are_taken(quantity: float) -> None:
    assert readable(order(items=[item(quantity=quantity)])).items


def test_new_values_of_podos_are_data() -> None:
    applications = [{"placement": "left_chest", "technology": "uv_transfer"}]
    row = readable(order(status="quality_check", items=[item(applications=applications)]))
    assert row.status == "quality_check"


def test_a_single_row_reads_like_one_of_a_page() -> None:
    raw = json.dumps(order(createdAt="2026-11-23T10:15:00+0000")).encode()
    assert parse_row(raw) == readable(raw)
    broken = json.dumps(order(items=7)).encode()
    assert parse_row(broken) == unreadable(broken)


def test_of_a_name_that_comes_twice_the_later_counts_even_where_it_can_not_be_read() -> None:
    deep = b"[" * 2000 + b"]" * 2000
    row = parse_row(b'{"id":"first","status":"paid","createdAt":"2026-11-23T10:15:00Z","id":' + deep + b"}")
    assert isinstance(row, Unreadable)
    assert row.id is None
