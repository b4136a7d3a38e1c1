"""The integration's settings: what is refused, what the form shows, and what the mark vouches for."""

from __future__ import annotations

import json
from dataclasses import fields, replace
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pycountry
import pytest
from pydantic import SecretStr, ValidationError

from models.blocks import OWN_FIELDS, TIME_ZONES, CountryFilter, Integration, Status, today
from models.countries import COUNTRIES
from models.filters import CountryMode, ImportSettings
from models.fulfillers import KINDS, WebhookFulfiller, own_fields
from models.settings import Environment
from models.shipments import DEFAULT_READING
from models.web_address import checked_base_url
from tasks.prefect_api.integrations import access_of, problems_of

TOKEN = "secret-token-4711"
SECRET = "a-secret-of-a-webhook-4711"
WEBHOOK = {"address": "https://printer.example.test/orders", "secret": SECRET}

TITLES = {
    "project": "Project Name",
    "api_token": "API Token",
    "folder": "Folder for New Orders",
    "statuses": "Order Status Filter",
    "sync_tracking": "Sync Tracking Numbers",
    "order_prefix": "Order Prefix",
    "country_filter": "Country Filter",
    "first_import_date": "First Import Date",
}


def integration(**changes: Any) -> Integration:
    return Integration(**{"project": "acme-441595", "api_token": TOKEN} | changes)


def refusal(**changes: Any) -> str:
    """Return what a person is told; neither it nor pydantic's own text may hold a token."""
    with pytest.raises(ValidationError) as caught:
        integration(**changes)
    said = problems_of(caught.value)
    for text in (said, str(caught.value), repr(caught.value)):
        assert TOKEN not in text
    assert caught.value.__cause__ is None
    return said


def test_the_defaults_are_those_of_the_settings_page() -> None:
    made = integration()
    assert (made.folder, made.statuses, made.sync_tracking, made.order_prefix) == (
        "New",
        [Status.PAID],
        True,
        "",
    )
    assert (made.country_filter.mode, made.country_filter.countries) == (CountryMode.STANDARD, [])
    assert (made.first_import_date, made.time_zone, made.authorization) == (None, "UTC", "raw")
    assert made.base_url == "https://api.podos.io"


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"statuses": ["cancelled"]}, "Order Status Filter"),
        ({"statuses": ["PAID"]}, "Order Status Filter"),
        ({"statuses": []}, "Order Status Filter"),
        ({"country_filter": {"countries": ["XX"]}}, "country 'XX' is not an ISO 3166-1 alpha-2 code"),
        ({"country_filter": {"countries": ["Atlantis"]}}, "country 'Atlantis'"),
        ({"country_filter": {"countries": [""]}}, "Country Filter"),
        ({"country_filter": {"mode": "Sideways"}}, "Country Filter"),
        ({"time_zone": "Mars/Base"}, "time zone 'Mars/Base' is not known"),
        ({"time_zone": "+01:00"}, "time zone"),
        ({"time_zone": ""}, "time zone"),
        ({"first_import_date": date.today() + timedelta(days=3)}, "is in the future"),  # noqa: DTZ011
        ({"first_import_date": "2026-02-30"}, "First Import Date"),
        ({"base_url": "http://podos.example.test"}, "must begin with https://"),
        ({"base_url": "http://10.0.0.7"}, "must begin with https://"),
        ({"base_url": "http://localhost.example.test"}, "must begin with https://"),
        ({"base_url": "ftp://api.podos.io"}, "not a web address"),
        ({"base_url": "api.podos.io"}, "not a web address"),
        ({"base_url": "https://"}, "not a web address"),
        ({"base_url": "https://user:pass@api.podos.io"}, "no user, password"),
        ({"base_url": f"https://api.podos.io/?token={TOKEN}"}, "query"),
        ({"base_url": f"https://api.podos.io/#{TOKEN}"}, "fragment"),
        ({"api_token": ""}, "the API token is empty"),
        ({"api_token": " \n"}, "the API token is empty"),
        ({"api_token": f"{TOKEN} {TOKEN}"}, "the API token has a space"),
        ({"api_token": f"{TOKEN}\n{TOKEN}"}, "the API token has a space"),
        ({"api_token": f"{TOKEN}ü"}, "the API token has a space or a character that no token has"),
        ({"api_token": [TOKEN]}, "API Token"),
        ({"project": ""}, "Project Name"),
        ({"project": "acme 441595"}, "Project Name"),
        ({"project": "acme/../x"}, "Project Name"),
        ({"project": "acme\n"}, "Project Name"),
        ({"folder": ""}, "Folder for New Orders"),
        ({"folder": "  "}, "the folder has no name"),
        ({"folder": "a\nb"}, "printable"),
        ({"folder": "x" * 101}, "Folder for New Orders"),
        ({"order_prefix": "a\tb"}, "printable"),
        ({"order_prefix": "x" * 21}, "Order Prefix"),
        ({"authorization": "basic"}, "Authorization"),
    ],
)
def test_invalid_settings_are_refused_by_their_title(changes: dict[str, Any], told: str) -> None:
    assert told in refusal(**changes)


def test_a_refusal_of_another_field_does_not_show_the_token_beside_it() -> None:
    assert "Order Status Filter" in refusal(statuses=["x"], folder="")
    with pytest.raises(ValidationError) as caught:
        Integration.model_validate({"api_token": TOKEN, "statuses": [TOKEN]})
    assert TOKEN not in str(caught.value) + problems_of(caught.value)


@pytest.mark.parametrize("address", ["http://localhost:8123", "http://127.0.0.1:8123", "http://[::1]:8123"])
def test_plain_http_is_for_this_machine(address: str) -> None:
    assert integration(base_url=address).base_url == address


def test_addresses_lose_their_trailing_slash() -> None:
    assert checked_base_url(" https://api.podos.io/ ") == "https://api.podos.io"
    assert checked_base_url("https://proxy.example.test/podos/") == "https://proxy.example.test/podos"


def test_what_is_typed_with_white_space_is_taken_without() -> None:
    made = integration(
        api_token=f" {TOKEN}\n", folder=" Incoming ", country_filter={"countries": ["gb", "De"]}
    )
    assert (made.api_token.get_secret_value(), made.folder) == (TOKEN, "Incoming")
    assert made.country_filter.countries == ["GB", "DE"]


def test_the_first_import_date_may_be_today_anywhere_on_earth() -> None:
    day = today("Pacific/Kiritimati")
    assert integration(first_import_date=day, time_zone="Pacific/Kiritimati").first_import_date == day


def test_today_is_a_matter_of_the_zone() -> None:
    moment = datetime(2026, 11, 23, 23, 30, tzinfo=UTC)
    assert today("UTC", moment) == date(2026, 11, 23)
    assert today("Asia/Tokyo", moment) == date(2026, 11, 24)
    assert today("America/New_York", moment) == date(2026, 11, 23)


def test_the_token_shows_nowhere() -> None:
    made = integration()
    shown = (
        f"{made} {made!r} {made.model_dump()} {made.model_dump_json()} {made.import_settings('x').snapshot()}"
    )
    assert TOKEN not in shown + repr(access_of(made)) + made.import_settings("x").filter_fingerprint()
    assert access_of(made).token == TOKEN


def schema() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(json.dumps(Integration.model_json_schema()))
    return found


def test_the_form_has_the_titles_of_the_settings_page() -> None:
    properties = schema()["properties"]
    assert {name: properties[name]["title"] for name in TITLES} == TITLES
    assert properties.keys() == OWN_FIELDS


def test_the_form_offers_every_status_country_and_zone() -> None:
    form = schema()
    definitions = form["definitions"]
    assert definitions["Status"]["enum"] == [
        "new", "paid", "processing", "printed", "consolidated",
        "complete", "refunded", "pre_order", "moderation",
    ]  # fmt: skip
    countries = definitions["CountryFilter"]["properties"]["countries"]["items"]["enum"]
    assert set(countries) == {country.alpha_2 for country in pycountry.countries} | {"XK"}
    assert len(countries) == len(set(countries)) == len(COUNTRIES) >= 249
    assert countries == sorted(countries)
    assert definitions["CountryMode"]["enum"] == ["Standard", "Inverted"]
    zones = form["properties"]["time_zone"]["enum"]
    assert tuple(zones) == TIME_ZONES
    assert {"UTC", "Europe/London", "America/New_York", "Asia/Kolkata"} <= set(zones)


def test_the_form_uses_the_right_controls() -> None:
    properties = schema()["properties"]
    assert properties["api_token"]["format"] == "password"
    assert properties["sync_tracking"]["type"] == "boolean"
    assert properties["statuses"]["type"] == "array"
    assert {"format": "date", "type": "string"} in properties["first_import_date"]["anyOf"]


def test_every_zone_on_the_form_can_be_used() -> None:
    for name in TIME_ZONES:
        assert ZoneInfo(name)


@pytest.mark.parametrize(
    ("name", "field"),
    [
        *[(name, field) for name, field in Integration.model_fields.items() if name in OWN_FIELDS],
        *CountryFilter.model_fields.items(),
        *[(name, kind.model_fields[name]) for kind in KINDS.values() for name in sorted(own_fields(kind))],
    ],
)
def test_every_field_is_explained(name: str, field: Any) -> None:
    assert field.title, name
    assert field.description, name
    assert field.description.endswith("."), name


def test_an_integration_can_be_validated_again_with_changes() -> None:
    made = integration(statuses=["new"], country_filter={"countries": ["DE"]})
    again = Integration.model_validate(made.model_dump(include=set(OWN_FIELDS)) | {"folder": "Other"})
    assert (again.folder, again.statuses, again.api_token) == ("Other", [Status.NEW], SecretStr(TOKEN))
    assert again.country_filter == made.country_filter


SETTINGS = ImportSettings(
    integration="default",
    project="acme",
    base_url="https://api.podos.io",
    folder="New",
    statuses=("paid", "new"),
    order_prefix="",
    country_mode=CountryMode.STANDARD,
    countries=("GB", "DE"),
    first_import_date=date(2026, 7, 1),
    time_zone="UTC",
    sync_tracking=True,
)


@pytest.mark.parametrize(
    "changes",
    [
        {"project": "other"},
        {"base_url": "https://api.teemill.com"},
        {"statuses": ("paid",)},
        {"statuses": ("paid", "new", "printed")},
        {"countries": ("GB",)},
        {"countries": ()},
        {"country_mode": CountryMode.INVERTED},
        {"first_import_date": date(2026, 6, 30)},
        {"first_import_date": None},
        {"time_zone": "Europe/London"},
    ],
)
def test_the_fingerprint_changes_with_what_decides_about_an_import(changes: dict[str, Any]) -> None:
    changed: ImportSettings = replace(SETTINGS, **changes)
    assert changed.filter_fingerprint() != SETTINGS.filter_fingerprint()


@pytest.mark.parametrize(
    "changes",
    [
        {"folder": "Other"},
        {"order_prefix": "ACME-"},
        {"sync_tracking": False},
        {"integration": "renamed"},
        {"statuses": ("NEW", "paid", "new")},
        {"countries": ("de", "GB", "DE")},
    ],
)
def test_the_fingerprint_stays_with_everything_else(changes: dict[str, Any]) -> None:
    changed: ImportSettings = replace(SETTINGS, **changes)
    assert changed.filter_fingerprint() == SETTINGS.filter_fingerprint()


def test_without_countries_the_mode_decides_nothing() -> None:
    everywhere = replace(SETTINGS, countries=())
    inverted = replace(everywhere, country_mode=CountryMode.INVERTED)
    assert everywhere.filter_fingerprint() == inverted.filter_fingerprint()


def test_without_a_first_import_date_the_zone_decides_nothing() -> None:
    always = replace(SETTINGS, first_import_date=None)
    assert always.filter_fingerprint() == replace(always, time_zone="Asia/Tokyo").filter_fingerprint()


def test_the_settings_of_a_run_are_those_of_the_block() -> None:
    made = integration(
        statuses=["paid", "pre_order"],
        country_filter={"mode": "Inverted", "countries": ["us"]},
        first_import_date=date(2026, 7, 1),
        time_zone="Europe/London",
        order_prefix="A-",
        folder="In",
        sync_tracking=False,
        base_url="https://api.teemill.com/",
    ).import_settings("acme")
    assert made == ImportSettings(
        integration="acme", project="acme-441595", base_url="https://api.teemill.com", folder="In",
        statuses=("paid", "pre_order"), order_prefix="A-",
        country_mode=CountryMode.INVERTED, countries=("US",),
        first_import_date=date(2026, 7, 1), time_zone="Europe/London", sync_tracking=False,
    )  # fmt: skip
    assert made.first_import_at == datetime(2026, 6, 30, 23, tzinfo=UTC)


def test_a_snapshot_is_plain_json_with_every_setting() -> None:
    snapshot = SETTINGS.snapshot()
    assert json.loads(json.dumps(snapshot)) == snapshot
    assert snapshot.keys() == {field.name for field in fields(ImportSettings)}
    assert snapshot["first_import_date"] == "2026-07-01"


@pytest.mark.parametrize(
    ("previous", "kept"),
    [(None, None), ("", None), ("  ", None), ("the secret before it ", "the secret before it")],
)
def test_a_previous_secret_may_be_left_empty(previous: str | None, kept: str | None) -> None:
    webhook = WebhookFulfiller.model_validate(WEBHOOK | {"previous_secret": previous})
    found = webhook.previous_secret
    assert (found.get_secret_value() if found else None) == kept


@pytest.mark.parametrize(
    ("previous", "problem"), [("short", "shorter than 16"), (f" {SECRET}", "is the same as the secret")]
)
def test_a_previous_secret_is_as_long_as_any_and_another_one(previous: str, problem: str) -> None:
    with pytest.raises(ValidationError, match=problem) as refused:
        WebhookFulfiller.model_validate(WEBHOOK | {"previous_secret": previous})
    assert problems_of(refused.value, WebhookFulfiller).startswith("Previous Secret: ")
    assert SECRET not in str(refused.value)


def test_headers_and_dates_of_shipment_files(monkeypatch: pytest.MonkeyPatch) -> None:
    assert Environment().shipment_reading() == DEFAULT_READING
    monkeypatch.setenv("DESK_SHIPMENT_COLUMNS", "order = Our Ref; code=Track;")
    monkeypatch.setenv("DESK_DATE_FORMAT", "%d/%m/%Y")
    reading = Environment().shipment_reading()
    assert (reading.columns, reading.date_format) == ({"order": "Our Ref", "code": "Track"}, "%d/%m/%Y")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DESK_SHIPMENT_COLUMNS", "order"),
        ("DESK_SHIPMENT_COLUMNS", "number=Ref"),
        ("DESK_SHIPMENT_COLUMNS", "order=A;order=B"),
        ("DESK_DATE_FORMAT", "%d/%m"),
        ("DESK_DATE_FORMAT", "DD/MM/YYYY"),
    ],
)
def test_headers_and_dates_that_mean_nothing_are_refused(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(ValidationError, match=r"write COLUMN=HEADER|day, month and year"):
        Environment()
