"""From podOS's rows to the desk's orders: who is left out and why, prints onto items, exact values."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import msgspec
import pytest

from deployments.sandbox.generator import GeneratorOptions, generate_orders
from deployments.sandbox.wire import render
from models.filters import CountryMode, ImportSettings
from models.orders import NewItem, NewOrder
from models.podos import Fulfillment, FulfillmentItem
from models.reports import MAX_EXAMPLES, Outcome
from tasks.imports.prints import attention_reason, print_metadata
from tasks.imports.transform import labels_of_skipped, prepare, skip_reasons, to_orders
from tasks.podos.parsing import Row, Unreadable, parse_row
from tasks.podos.scan import Batch

CREATED = "2026-11-23T10:15:00+00:00"
SETTINGS = ImportSettings(
    integration="default",
    project="acme",
    base_url="https://api.podos.io",
    folder="New",
    statuses=("paid",),
    order_prefix="",
    country_mode=CountryMode.STANDARD,
    countries=(),
    first_import_date=None,
    time_zone="UTC",
    sync_tracking=True,
)
KINDS = {type(None), str, int, float, bool, datetime, Decimal}


def row(**changes: Any) -> Fulfillment:
    wire = {
        "id": "11112222-3333-4444-8555-666677778888",
        "status": "paid",
        "createdAt": CREATED,
        "shippingAddress": {"contactName": "Jane Sample", "country": "GB"},
    }
    return msgspec.convert(wire | changes, Fulfillment, strict=False)


def to(country: str | None) -> dict[str, Any]:
    return {"shippingAddress": {"contactName": "Jane Sample", "country": country}}


def item(*prints: dict[str, Any], **changes: Any) -> FulfillmentItem:
    wire = {
        "quantity": 1,
        "metadata": {"productSku": "P-1", "variantSku": "V-1"},
        "applications": list(prints),
    }
    return msgspec.convert(wire | changes, FulfillmentItem, strict=False)


def one_order(settings: ImportSettings = SETTINGS, **changes: Any) -> NewOrder:
    return to_orders([row(**changes)], settings)[0]


def one_item(**changes: Any) -> NewItem:
    return one_order(items=[{"quantity": 1} | changes]).items[0]


def reason(settings: ImportSettings = SETTINGS, *, manual: bool = False, **changes: Any) -> Outcome | None:
    (found,) = skip_reasons([row(**changes)], settings, from_first_import_date=not manual)
    return found


@pytest.mark.parametrize("status", ["paid", "PAID", " Paid "])
@pytest.mark.parametrize("wanted", [("paid",), ("new", "PAID")])
def test_status_is_compared_without_case(status: str, wanted: tuple[str, ...]) -> None:
    assert reason(replace(SETTINGS, statuses=wanted), status=status) is None


@pytest.mark.parametrize("status", ["new", "complete", "paid_later", "quality_check"])
def test_other_statuses_stay_out(status: str) -> None:
    assert reason(status=status) is Outcome.STATUS


@pytest.mark.parametrize(
    ("mode", "countries", "country", "is_in"),
    [
        (CountryMode.STANDARD, ("GB", "DE"), "GB", True),
        (CountryMode.STANDARD, ("GB", "DE"), "de", True),
        (CountryMode.STANDARD, ("gb",), " GB ", True),
        (CountryMode.STANDARD, ("GB", "DE"), "US", False),
        (CountryMode.STANDARD, ("GB",), None, False),
        (CountryMode.STANDARD, ("GB",), "", False),
        (CountryMode.INVERTED, ("GB", "DE"), "GB", False),
        (CountryMode.INVERTED, ("GB", "DE"), "dE", False),
        (CountryMode.INVERTED, ("GB", "DE"), "US", True),
        (CountryMode.INVERTED, ("GB",), None, True),
        (CountryMode.STANDARD, (), "US", True),
        (CountryMode.STANDARD, (), None, True),
        (CountryMode.INVERTED, (), "US", True),
        (CountryMode.INVERTED, (), None, True),
    ],
)
def test_the_country_filter(
    mode: CountryMode, countries: tuple[str, ...], country: str | None, is_in: bool
) -> None:
    settings = replace(SETTINGS, country_mode=mode, countries=countries)
    assert reason(settings, **to(country)) is (None if is_in else Outcome.COUNTRY)


@pytest.mark.parametrize("mode", list(CountryMode))
@pytest.mark.parametrize("country", ["Atlantis", "ZZ", "G B"])
def test_a_country_that_is_none_is_never_outside_a_filter_and_is_told(
    mode: CountryMode, country: str
) -> None:
    settings = replace(SETTINGS, country_mode=mode, countries=("GB",))
    assert reason(settings, **to(country)) is None
    order = one_order(settings, **to(country))
    assert (order.ship_country, order.attention) == (country.upper(), "the country is none that is known")


@pytest.mark.parametrize(
    ("sent", "kept"), [("UK", "GB"), ("United Kingdom", "GB"), ("EL", "GR"), ("Kosovo", "XK")]
)
def test_a_country_by_another_name_is_the_same_for_filter_and_desk(sent: str, kept: str) -> None:
    settings = replace(SETTINGS, countries=(kept,))
    assert reason(settings, **to(sent)) is None
    assert reason(replace(settings, country_mode=CountryMode.INVERTED), **to(sent)) is Outcome.COUNTRY
    order = one_order(settings, **to(sent))
    assert (order.ship_country, order.attention) == (kept, None)
    assert order.remarks == (f"shippingAddress, country is {sent!r}: it is taken as {kept}",)


def test_a_code_in_other_case_is_no_remark() -> None:
    assert one_order(**to("gb")).remarks == ()


def test_what_was_left_out_is_for_the_history_and_what_matters_for_a_person() -> None:
    wire = {"id": "s-1", "status": "paid", "createdAt": CREATED, "frozen": "maybe", "packageWeight": "heavy"}
    parsed = parse_row(json.dumps(wire).encode())
    assert isinstance(parsed, Fulfillment)
    (order,) = to_orders([parsed], SETTINGS)
    frozen = "frozen is text, not yes or no: it is left out"
    assert order.remarks == (frozen, "packageWeight is text, not a number: it is left out")
    assert order.attention == frozen


def test_an_order_without_address_has_no_country() -> None:
    assert reason(shippingAddress=None) is None
    assert reason(replace(SETTINGS, countries=("GB",)), shippingAddress=None) is Outcome.COUNTRY


@pytest.mark.parametrize(("frozen", "expected"), [(True, Outcome.FROZEN), (False, None), (None, None)])
def test_frozen_orders_are_held(frozen: bool | None, expected: Outcome | None) -> None:
    assert reason(frozen=frozen) is expected


@pytest.mark.parametrize(
    ("zone", "day", "first"),
    [
        ("UTC", date(2026, 11, 23), "2026-11-23T00:00:00+00:00"),
        ("Europe/London", date(2026, 7, 1), "2026-06-30T23:00:00+00:00"),
        ("Europe/London", date(2026, 12, 1), "2026-12-01T00:00:00+00:00"),
        ("America/New_York", date(2026, 11, 2), "2026-11-02T05:00:00+00:00"),
        ("Pacific/Auckland", date(2026, 9, 28), "2026-09-27T11:00:00+00:00"),
        ("Africa/Cairo", date(2026, 4, 24), "2026-04-23T22:00:00+00:00"),
    ],
)
def test_first_import_date_begins_at_midnight_of_the_zone(zone: str, day: date, first: str) -> None:
    settings = replace(SETTINGS, first_import_date=day, time_zone=zone)
    moment = datetime.fromisoformat(first)
    assert reason(settings, createdAt=first) is None
    assert reason(settings, createdAt=(moment + timedelta(days=30)).isoformat()) is None
    before = (moment - timedelta(seconds=1)).isoformat()
    assert reason(settings, createdAt=before) is Outcome.BEFORE_FIRST_IMPORT_DATE
    assert reason(settings, manual=True, createdAt=before) is None


def test_a_first_import_date_before_all_time_leaves_nothing_out() -> None:
    settings = replace(SETTINGS, first_import_date=date.min, time_zone="Pacific/Kiritimati")
    assert reason(settings) is None


def test_of_several_reasons_the_first_counts() -> None:
    settings = replace(SETTINGS, countries=("GB",), first_import_date=date(2026, 11, 24))
    all_wrong = {"status": "new", "frozen": True, **to("US")}
    assert reason(settings, **all_wrong) is Outcome.BEFORE_FIRST_IMPORT_DATE
    assert reason(settings, manual=True, **all_wrong) is Outcome.STATUS
    assert reason(settings, manual=True, **all_wrong | {"status": "paid"}) is Outcome.COUNTRY
    assert reason(settings, manual=True, **all_wrong | {"status": "paid"} | to("GB")) is Outcome.FROZEN


def test_every_row_has_its_own_reason_and_no_rows_have_none() -> None:
    rows = [row(), row(status="new"), row(frozen=True), row()]
    found = skip_reasons(rows, SETTINGS)
    assert found == [None, Outcome.STATUS, Outcome.FROZEN, None]
    assert {type(kind) for kind in found} == {type(None), Outcome}
    full = replace(SETTINGS, countries=("GB",), first_import_date=date(2026, 1, 1))
    assert skip_reasons([], SETTINGS) == skip_reasons([], full) == []
    assert to_orders([], SETTINGS) == []


def test_prints_are_numbered_and_withdrawn_ones_are_not_counted() -> None:
    (metadata,) = print_metadata(
        [
            item(
                {"design": "https://x.test/1.png", "placement": "front", "technology": "dtg"},
                {"design": "https://x.test/2.png", "placement": "back", "deletedAt": CREATED},
                {"design": "https://x.test/3.png", "placement": "sleeve", "mockup": "https://x.test/m3.png"},
            )
        ]
    )
    assert metadata == {
        "print_sku": "V-1",
        "print_url_1": "https://x.test/1.png",
        "print_location_1": "front",
        "print_technology_1": "dtg",
        "print_url_2": "https://x.test/3.png",
        "print_location_2": "sleeve",
        "print_preview_2": "https://x.test/m3.png",
    }


def test_n_means_the_same_print_in_every_key_though_values_are_missing() -> None:
    (metadata,) = print_metadata(
        [
            item(
                {"design": None, "placement": "front", "dimensions": {"width": 300, "height": None}},
                {"design": "", "placement": " ", "technology": None, "mockup": "\n"},
                {"design": " https://x.test/3.png ", "dimensions": {"width": 297.5, "height": 420.0}},
            )
        ]
    )
    assert metadata == {
        "print_sku": "V-1",
        "print_location_1": "front",
        "print_width_mm_1": "300",
        "print_url_3": "https://x.test/3.png",
        "print_width_mm_3": "297.5",
        "print_height_mm_3": "420",
    }


def test_every_item_is_numbered_from_one() -> None:
    found = print_metadata(
        [
            item({"placement": "a"}, {"placement": "b"}),
            item(),
            item({"placement": "c"}),
            item({"placement": "d"}),
        ]
    )
    assert [metadata.get("print_location_1") for metadata in found] == ["a", None, "c", "d"]
    assert found[0]["print_location_2"] == "b"


@pytest.mark.parametrize(
    "applications", [None, [], [{"design": "https://x.test/1.png", "deletedAt": CREATED}]]
)
def test_an_item_without_prints_is_plain(applications: list[dict[str, Any]] | None) -> None:
    assert print_metadata([item(applications=applications)]) == [{}]


@pytest.mark.parametrize("deleted_at", [None, "", " "])
def test_a_print_is_withdrawn_only_by_a_date(deleted_at: str | None) -> None:
    assert print_metadata([item({"placement": "front", "deletedAt": deleted_at})])[0]["print_location_1"]


@pytest.mark.parametrize(
    ("metadata", "sku"),
    [
        ({"productSku": "P-1", "variantSku": "V-1"}, "V-1"),
        ({"productSku": "P-1", "variantSku": None}, "P-1"),
        ({"productSku": " P-1", "variantSku": " "}, "P-1"),
        ({}, None),
        (None, None),
    ],
)
def test_the_sku_is_the_variants_else_the_products(metadata: dict[str, Any] | None, sku: str | None) -> None:
    made = one_item(metadata=metadata, applications=[{"placement": "front"}])
    assert made.sku == sku
    assert made.metadata.get("print_sku") == sku
    assert None not in made.metadata.values()


def test_a_sku_is_what_one_sees() -> None:
    made = one_item(metadata={"variantSku": "\u200b", "productSku": "\ufeffTEE\u00a0M\u200e"})
    assert made.sku == "TEE M"


def test_unknown_placements_technologies_and_statuses_are_carried() -> None:
    settings = replace(SETTINGS, statuses=("quality_check",))
    order = one_order(
        settings,
        status="quality_check",
        items=[{"quantity": 1, "applications": [{"placement": "left_chest", "technology": "uv_transfer"}]}],
    )
    assert order.podos_status == "quality_check"
    assert order.items[0].metadata == {"print_location_1": "left_chest", "print_technology_1": "uv_transfer"}


@pytest.mark.parametrize("code", ["01067", "00501", "0000", "SW1A 1AA", "1e5", "NaN", "Inf"])
def test_postal_codes_stay_as_they_are(code: str) -> None:
    order = one_order(shippingAddress={"postalCode": code, "country": "de"})
    assert (order.ship_postal_code, order.ship_country) == (code, "DE")


@pytest.mark.parametrize("amount", ["19.90", "0.10", "1000000.00", "0", "12345678901234.0123456789", "-5.00"])
def test_amounts_are_exact(amount: str) -> None:
    order = one_order(
        declaredValue={"amount": amount, "currencyCode": "EUR"},
        items=[{"quantity": 1, "declaredValue": {"amount": f" {amount}", "currencyCode": "GBP"}}],
    )
    assert type(order.declared_value) is Decimal
    assert str(order.declared_value) == str(order.items[0].declared_value) == amount
    assert (order.currency, order.items[0].currency) == ("EUR", "GBP")


@pytest.mark.parametrize("value", [None, {}, {"amount": None}, {"amount": ""}, {"amount": "  "}])
def test_an_absent_amount_is_none(value: dict[str, Any] | None) -> None:
    assert one_order(declaredValue=value).declared_value is None


def test_white_space_around_and_nul_inside_are_dropped() -> None:
    order = one_order(
        shippingAddress={
            "contactName": "  Jane Sample\n", "line1": "\t1 High  St", "line2": "   ", "city": "Lon\x00don",
            "company": "\x00", "state": {"code": " ", "name": " Saxony"},
        },
        contactInformation={"email": " jane@example.test", "phone": ""},
    )  # fmt: skip
    assert (order.ship_name, order.ship_address1, order.ship_city) == ("Jane Sample", "1 High  St", "London")
    assert (order.ship_address2, order.ship_company, order.phone) == (None, None, None)
    assert (order.email, order.ship_state) == ("jane@example.test", "Saxony")


@pytest.mark.parametrize(
    ("references", "number"),
    [
        ({"fulfillerReference": "F-7", "merchantReference": "M-8"}, "F-7"),
        ({"fulfillerReference": None, "merchantReference": "M-8"}, "M-8"),
        ({"fulfillerReference": "  ", "merchantReference": " M-8"}, "M-8"),
        ({"fulfillerReference": None, "merchantReference": None}, "11112222"),
        ({"fulfillerReference": "", "merchantReference": ""}, "11112222"),
        ({"fulfillerReference": "\ufeffF\u200b7\u00a08\x07 "}, "F7 8"),
        ({"fulfillerReference": "\u200b\u00a0", "merchantReference": "M-8\u00ad"}, "M-8"),
    ],
)
def test_the_order_number(references: dict[str, Any], number: str) -> None:
    assert one_order(**references).order_number == number
    assert one_order(replace(SETTINGS, order_prefix="ACME-"), **references).order_number == f"ACME-{number}"


def test_references_are_kept_as_they_are_seen() -> None:
    order = one_order(fulfillerReference=" F\u200b7", merchantReference="M\u00a08\n")
    assert (order.fulfiller_reference, order.merchant_reference) == ("F7", "M 8")


def test_every_field_of_an_order_arrives() -> None:
    order = one_order(
        updatedAt="2026-11-23T11:00:00Z",
        fulfillerReference="F", merchantReference="M",
        contactInformation={"email": "e@example.test", "phone": "+44"},
        shippingAddress={
            "contactName": "n", "company": "c", "line1": "1", "line2": "2", "city": "t", "postalCode": "p",
            "country": "gb", "state": {"code": "s", "name": "Some"},
        },
        shippingMethod={"code": "tracked", "name": "Tracked 48"},
        priorityLevel="priority", packageWeight=210, deadline="2026-12-01", serviceLevel=48,
        declaredValue={"amount": "1.50", "currencyCode": "GBP"},
        sourcePlatform={"name": "shop"},
        packingNotes=[{"type": "gift", "text": " hi ", "image": None}, {}],
        additionalFiles=[{"name": "slip", "src": "https://x.test/slip.pdf"}],
        items=[
            {
                "id": "i-1", "quantity": 3.0, "variantRef": "v", "notes": "n",
                "metadata": {"productTitle": "Tee"},
            },
        ],
    )  # fmt: skip
    assert order == NewOrder(
        source_id="11112222-3333-4444-8555-666677778888", order_number="F", podos_status="paid",
        podos_created_at=datetime(2026, 11, 23, 10, 15, tzinfo=UTC),
        podos_updated_at=datetime(2026, 11, 23, 11, tzinfo=UTC),
        fulfiller_reference="F", merchant_reference="M", email="e@example.test", phone="+44",
        ship_name="n", ship_company="c", ship_address1="1", ship_address2="2", ship_city="t",
        ship_postal_code="p", ship_country="GB", ship_state="s", shipping_code="tracked",
        shipping_name="Tracked 48", priority="priority", declared_value=Decimal("1.50"), currency="GBP",
        package_weight_g=210.0, deadline="2026-12-01", service_level_hours=48.0, source_platform="shop",
        extras={
            "packing_notes": [{"type": "gift", "text": "hi"}, {}],
            "additional_files": [{"name": "slip", "src": "https://x.test/slip.pdf"}],
        },
        items=[NewItem(1, "i-1", None, "Tee", 3, "v", "n", None, None, {})],
        attention=None,
    )  # fmt: skip


def test_an_order_of_which_podos_says_next_to_nothing_is_an_order() -> None:
    order = one_order(shippingAddress=None, items=None)
    assert (order.items, order.attention, order.extras, order.ship_country) == ([], None, None, None)


def test_items_keep_their_order_and_their_own_prints() -> None:
    rows = [
        row(id="a", items=[{"id": "a1", "quantity": 1, "applications": [{"placement": "front"}]}]),
        row(id="b", items=[]),
        row(
            id="c",
            items=[
                {"id": "c1", "quantity": 1},
                {"id": "c2", "quantity": 2, "applications": [{"placement": "back"}]},
            ],
        ),
    ]
    orders = to_orders(rows, SETTINGS)
    lines = [(item.source_item_id, item.position, item.metadata) for order in orders for item in order.items]
    assert [order.source_id for order in orders] == ["a", "b", "c"]
    assert lines == [
        ("a1", 1, {"print_location_1": "front"}),
        ("c1", 1, {}),
        ("c2", 2, {"print_location_1": "back"}),
    ]


def test_a_print_without_design_needs_attention_and_says_which_one() -> None:
    fine = {"design": "https://x.test/1.png", "placement": "front"}
    found = row(
        items=[
            {"quantity": 1, "applications": [fine]},
            {
                "quantity": 1,
                "applications": [
                    {"design": None, "deletedAt": CREATED, "placement": "gone"},
                    fine,
                    {"design": " ", "placement": "back"},
                    {"design": None},
                ],
            },
        ]
    )
    expected = "no design address: item 2, print 2; item 2, print 3"
    assert attention_reason(found) == expected
    assert to_orders([found], SETTINGS)[0].attention == expected


@pytest.mark.parametrize(
    "items", [None, [], [{"quantity": 1}], [{"quantity": 1, "applications": [{"deletedAt": CREATED}]}]]
)
def test_orders_without_open_prints_need_no_attention(items: list[dict[str, Any]] | None) -> None:
    assert attention_reason(row(items=items)) is None


def test_of_an_order_that_came_twice_in_a_batch_the_later_one_counts() -> None:
    rows: list[Row] = [row(id="a", status="new"), row(id="b"), row(id="a", fulfillerReference="later")]
    prepared = prepare(Batch(3, rows, None), SETTINGS)
    assert sorted(order.order_number for order in prepared.orders) == ["b", "later"]
    assert prepared.skipped == {}
    other_way = prepare(Batch(3, rows[::-1], None), SETTINGS)
    assert [order.source_id for order in other_way.orders] == ["b"]
    assert other_way.skipped == {"a": Outcome.STATUS}


def test_a_batch_is_divided_without_remainder() -> None:
    def broken(payload: str) -> Unreadable:
        return Unreadable(payload, "it has no id", None, None, None)

    rows: list[Row] = [row(id="a"), row(id="b", frozen=True), broken("1"), broken("2"), broken("1")]
    prepared = prepare(Batch(7, rows, datetime(2026, 1, 1, tzinfo=UTC)), SETTINGS)
    assert [order.source_id for order in prepared.orders] == ["a"]
    assert prepared.skipped == {"b": Outcome.FROZEN}
    assert [row.payload for row in prepared.unreadable] == ["1", "2"]
    assert (prepared.number, prepared.read_to) == (7, datetime(2026, 1, 1, tzinfo=UTC))
    assert repr(prepared) == "batch 7: 1 to import, 1 skipped"


def test_a_manual_import_may_go_before_the_first_import_date() -> None:
    settings = replace(SETTINGS, first_import_date=date(2026, 12, 1))
    batch = Batch(1, [row(id="a")], None)
    assert prepare(batch, settings).skipped == {"a": Outcome.BEFORE_FIRST_IMPORT_DATE}
    assert len(prepare(batch, settings, from_first_import_date=False).orders) == 1


def test_the_same_batch_gives_the_same_result() -> None:
    batch = Batch(1, [row(id="a", items=[{"quantity": 1, "applications": [{"placement": "x"}]}])], None)
    assert prepare(batch, SETTINGS).orders == prepare(batch, SETTINGS).orders


def values_of(value: object) -> Iterator[object]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from values_of(key)
            yield from values_of(inner)
    elif isinstance(value, (NewOrder, NewItem)):
        yield from values_of(msgspec.structs.astuple(value))
    elif isinstance(value, (list, tuple)):
        for value_ in value:
            yield from values_of(value_)
    else:
        yield value


def test_nothing_of_pandas_leaks_into_orders() -> None:
    """A NaN, a numpy number or a Timestamp would be written to the database as something else."""
    wires = generate_orders(GeneratorOptions(now=datetime(2026, 11, 23, tzinfo=UTC), orders=400, seed=3))
    rows = [parse_row(render(wire)) for wire in wires]
    readable = [row for row in rows if isinstance(row, Fulfillment)]
    orders = to_orders(readable, SETTINGS)
    assert len(orders) == 400
    assert any(item.metadata for order in orders for item in order.items)
    assert any(order.attention for order in orders)
    values = list(values_of(orders))
    assert {type(value) for value in values} <= KINDS
    assert not any(isinstance(value, float) and math.isnan(value) for value in values)
    texts = [text for order in orders for item in order.items for text in values_of(item.metadata)]
    assert {type(text) for text in texts} == {str}
    assert "" not in values
    assert {type(item.quantity) for order in orders for item in order.items} == {int}
    assert {type(item.position) for order in orders for item in order.items} == {int}
    assert not {"nan", "None", "NaT"} & {text for text in texts if isinstance(text, str)}


def test_a_report_names_skipped_orders_as_people_do() -> None:
    """Not by podOS's ids; the first ones of each reason."""
    paid = [row(id=f"id-{n}", status="refunded", fulfillerReference=f"F{n}") for n in range(25)]
    other = row(id="abcdefgh-1", status="paid", frozen=True)
    rows = [*paid, other]
    settings = replace(SETTINGS, order_prefix="ACME-")
    labels = labels_of_skipped(rows, skip_reasons(rows, settings), settings)
    assert len(labels) == MAX_EXAMPLES + 1
    assert labels["id-0"] == "ACME-F0 (refunded)"
    assert labels["abcdefgh-1"] == "ACME-abcdefgh (paid)"
