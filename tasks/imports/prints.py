"""Artwork: number the prints of an item as metadata, and name those without a design. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from models.podos import Application, Fulfillment, FulfillmentItem
from tasks.imports.values import clean, identifier
from tasks.podos.lenient import is_no_date

PRINT_KEYS = (
    "print_url",
    "print_location",
    "print_technology",
    "print_preview",
    "print_width_mm",
    "print_height_mm",
)


def print_metadata(items: Sequence[FulfillmentItem]) -> list[dict[str, str]]:
    """Return each item's print keys: one numbered group per print that is not withdrawn, in podOS's order.

    ``n`` means the same print in every key; a value that podOS did not give has no key; an item without
    prints has none at all.
    """
    prints = [
        (index, application)
        for index, item in enumerate(items)
        for application in item.applications or ()
        if not is_withdrawn(application)
    ]
    metadata: list[dict[str, str]] = [{} for _ in items]
    numbers = numbered_within([index for index, _ in prints])
    for (index, application), number in zip(prints, numbers, strict=True):
        _number_print(metadata[index], application, number)
        if number == 1 and (sku := sku_of(items[index])):
            metadata[index]["print_sku"] = sku
    return metadata


def is_withdrawn(application: Application) -> bool:
    """Return whether a print was taken back; a zero date, as PHP and MySQL write none, does not say so."""
    return application.deleted_at is not None and not is_no_date(application.deleted_at)


def numbered_within(owners: Sequence[int]) -> list[int]:
    """Return the place of each row among those of the same owner, from 1."""
    if not owners:
        return []
    import pandas as pd  # a check with nothing new has no prints to number and does not wait for it

    column = pd.Series(owners)
    numbers: list[int] = (column.groupby(column, sort=False).cumcount() + 1).tolist()
    return numbers


@lru_cache(maxsize=1024)
def _print_keys(number: int) -> tuple[str, ...]:
    return tuple(f"{key}_{number}" for key in PRINT_KEYS)


def _number_print(keys: dict[str, str], application: Application, number: int) -> None:
    """Add one print's keys, all with its number."""
    url, location, technology, preview, width, height = _print_keys(number)
    if value := clean(application.design):
        keys[url] = value
    if value := clean(application.placement):
        keys[location] = value
    if value := clean(application.technology):
        keys[technology] = value
    if value := clean(application.mockup):
        keys[preview] = value
    if (size := application.dimensions) is None:
        return
    if value := _millimetres(size.width):
        keys[width] = value
    if value := _millimetres(size.height):
        keys[height] = value


@lru_cache(maxsize=4096)
def _millimetres(value: float | None) -> str | None:
    if value is None:
        return None
    return str(int(value)) if value == int(value) else repr(value)


def sku_of(item: FulfillmentItem) -> str | None:
    """Return the stock keeping unit of an item: the variant's, else the product's."""
    if item.metadata is None:
        return None
    return identifier(item.metadata.variant_sku) or identifier(item.metadata.product_sku)


def _lacks_a_design(row: Fulfillment) -> bool:
    """Return whether any print lacks a design URL. Cheap pre-check: most orders have all of them."""
    for item in row.items or ():
        for print_ in item.applications or ():
            if not clean(print_.design):
                return True
    return False


def attention_reason(row: Fulfillment) -> str | None:
    """Return why a person must look at an order: its prints without a design address; None if all is well.

    The prints are named by their numbers alone, as in the items' metadata: the reason goes into Prefect.
    """
    if not _lacks_a_design(row):
        return None
    missing = []
    for position, item in enumerate(row.items or (), 1):
        active = [print_ for print_ in item.applications or () if not is_withdrawn(print_)]
        for number, print_ in enumerate(active, 1):
            if clean(print_.design) is None:
                missing.append(f"item {position}, print {number}")
    return f"no design address: {'; '.join(missing)}" if missing else None
