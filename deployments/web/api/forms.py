"""What requests of the HTTP API hold. Identifiers are text: a number would lose zeros and digits."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, time
from typing import Annotated

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints

from models.shipments import MAX_CODE_LENGTH, MAX_COURIER_LENGTH, MAX_URL_LENGTH
from tasks.tracking.values import clean_code, clean_courier, clean_url, shipped_moment

PAGE_SIZE = 50
MAX_PAGE_SIZE = 200
MAX_MOVED = 500
MAX_KEY_LENGTH = 200
_MAX_TEXT = 200
_DAY = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$"


def _printable(text: str) -> str:
    if not text.isprintable():
        raise ValueError("it has characters that can't be printed on one line")
    return text


def _from_words(value: object) -> object:
    return {"true": True, "false": False}.get(value, value) if isinstance(value, str) else value


def _from_digits(value: object) -> object:
    return int(value) if isinstance(value, str) and re.fullmatch(r"[1-9][0-9]{0,9}", value) else value


def _day(text: str) -> str:
    date.fromisoformat(text)
    return text


def _shipped_at(text: str) -> str:
    shipped_moment(text)
    return text


def _courier(text: str) -> str:
    clean_courier(text)
    return text


def _code(text: str) -> str:
    clean_code(text)
    return text


def _url(text: str) -> str:
    clean_url(text)
    return text


Text = Annotated[str, StringConstraints(min_length=1, max_length=_MAX_TEXT), AfterValidator(_printable)]
Reference = Annotated[
    str,
    StringConstraints(min_length=1, max_length=_MAX_TEXT),
    AfterValidator(_printable),
    Field(description="Number, reference, podOS id, or desk id (4, or for certain desk:4)."),
]


class Form(BaseModel):
    """A request: nothing but its fields, and no value of it in an error."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True, strict=True)


class NoQuery(Form):
    """An address without a query."""


class OrdersQuery(Form):
    """Which orders are listed."""

    folder: Text | None = Field(None, description="Only the orders of this folder; case does not count.")
    changed: Annotated[bool | None, BeforeValidator(_from_words)] = Field(
        None, description="true: only orders that podOS changed and nobody has settled."
    )
    search: Text | None = Field(
        None,
        description="In a number, reference, buyer, postal code, e-mail, SKU or tracking code; "
        "several words must all be found.",
    )
    country: Text | None = Field(None, description="Only orders to this country: a code or an English name.")
    status: Text | None = Field(None, description="Only orders of this podOS status.")
    since: Annotated[str, StringConstraints(pattern=_DAY), AfterValidator(_day)] | None = Field(
        None,
        description="Created in podOS on this day (UTC) or later.",
        json_schema_extra={"format": "date"},
        examples=["2026-11-01"],
    )
    limit: Annotated[int, BeforeValidator(_from_digits)] = Field(
        PAGE_SIZE, ge=1, le=MAX_PAGE_SIZE, description="How many orders a page has."
    )
    page: Text | None = Field(None, description="The next page: what `next` of the page before says.")

    def since_moment(self) -> datetime | None:
        """Return the beginning of the first day."""
        return datetime.combine(date.fromisoformat(self.since), time.min, tzinfo=UTC) if self.since else None

    def list_key(self) -> str:
        """Return what is the same for all pages of one list."""
        return repr(sorted(self.model_dump(exclude={"limit", "page"}).items()))


class ShipmentForm(Form):
    """A parcel that left."""

    order: Reference
    courier: Annotated[
        str, StringConstraints(min_length=1, max_length=MAX_COURIER_LENGTH), AfterValidator(_courier)
    ] = Field(description="Who carries the parcel.", examples=["Royal Mail"])
    code: Annotated[
        str, StringConstraints(min_length=1, max_length=MAX_CODE_LENGTH), AfterValidator(_code)
    ] = Field(description="The tracking code.", examples=["AB123456789GB"])
    url: Annotated[str, StringConstraints(max_length=MAX_URL_LENGTH), AfterValidator(_url)] | None = Field(
        None, description="Where to follow it; known for common couriers."
    )
    shipped_at: Annotated[str, StringConstraints(max_length=40), AfterValidator(_shipped_at)] | None = Field(
        None, description="When it left, in ISO 8601; without a zone UTC.", examples=["2026-11-23T09:30Z"]
    )
    force: bool = Field(default=False, description="Replace another tracking that podOS already shows.")


class PrintedForm(Form):
    """Orders that are printed."""

    orders: list[Reference] = Field(min_length=1, max_length=MAX_MOVED)


class MoveForm(Form):
    """Orders and the folder that they go to."""

    orders: list[Reference] = Field(min_length=1, max_length=MAX_MOVED)
    to: Text = Field(description="The folder, which must exist; case does not count.")
