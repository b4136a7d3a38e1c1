"""From what podOS sent to what the desk keeps: filter the orders, number their prints, name what is wrong.

Pure: no network, no database, no clock. The rules are design's; docs/mapping.md is the table of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from functools import lru_cache

from prefect import task
from prefect.cache_policies import NO_CACHE

from models.desk import MAX_ORDER_NUMBER_LENGTH
from models.filters import CountryMode, ImportSettings
from models.orders import NewItem, NewOrder
from models.podos import Application, Fulfillment, FulfillmentItem, Price
from models.reports import Outcome
from models.upstream import RemoteOrder
from tasks.podos.parsing import Unreadable
from tasks.podos.scan import Batch
from tasks.prefect_api.foreign_errors import in_own_words
from tasks.visible_text import visible

PRINT_KEYS = (
    "print_url",
    "print_location",
    "print_technology",
    "print_preview",
    "print_width_mm",
    "print_height_mm",
)


class Prepared:
    """A batch ready for the desk. A plain object, so that the engine does not walk through its orders."""

    __slots__ = ("again", "came_quickly", "known", "number", "orders", "read_to", "skipped", "unreadable")

    def __init__(
        self,
        batch: Batch,
        orders: list[NewOrder],
        skipped: dict[str, Outcome],
        unreadable: list[Unreadable],
        again: Sequence[RemoteOrder] = (),
    ) -> None:
        self.number = batch.number
        self.came_quickly = batch.came_quickly
        self.known = batch.known
        self.read_to = batch.read_to
        self.orders = orders
        self.skipped = skipped
        self.unreadable = unreadable
        self.again = again

    def __repr__(self) -> str:
        """Name the batch without anything of what is in it."""
        return f"batch {self.number}: {len(self.orders)} to import, {len(self.skipped)} skipped"


def prepare(batch: Batch, settings: ImportSettings, *, from_first_import_date: bool = True) -> Prepared:
    """Return a batch's orders as the desk keeps them, and the reason for each that is not imported.

    Args:
        batch: rows as podOS sent them; of a row that came twice, the later one counts.
        settings: the integration's filters, prefix and folder.
        from_first_import_date: whether First Import Date holds; a manual import may go before it.

    Safe to repeat: the same input gives the same result.
    """
    rows = list({row.id or "": row for row in batch.fulfillments if row.id not in batch.known}.values())
    reasons = skip_reasons(rows, settings, from_first_import_date=from_first_import_date)
    kept = [row for row, reason in zip(rows, reasons, strict=True) if reason is None]
    skipped = {row.id or "": reason for row, reason in zip(rows, reasons, strict=True) if reason is not None}
    unreadable = list({row.key: row for row in batch.unreadable}.values())
    again = remote_orders_of(batch, settings) if batch.again else []
    return Prepared(batch, to_orders(kept, settings), skipped, unreadable, again)


def remote_orders_of(batch: Batch, settings: ImportSettings) -> list[RemoteOrder]:
    """Return the orders of a batch that the desk has and podOS may have changed, as podOS has them now."""
    rows = list({row.id or "": row for row in batch.fulfillments if row.id in batch.again}.values())
    return [
        RemoteOrder(order.source_id, bool(row.frozen), tuple(row.frozen_reasons or ()), order)
        for row, order in zip(rows, to_orders(rows, settings), strict=True)
    ]


def skip_reasons(
    rows: Sequence[Fulfillment], settings: ImportSettings, *, from_first_import_date: bool = True
) -> list[Outcome | None]:
    """Return for each row the one reason why it is not imported, None if it is.

    Where several hold, the first of: before First Import Date, status, country, frozen.
    """
    first = settings.first_import_at if from_first_import_date else None
    statuses = {_fold(status) for status in settings.statuses}
    countries = {_fold(country) for country in settings.countries}
    is_wanted = settings.country_mode is CountryMode.STANDARD

    def reason(row: Fulfillment) -> Outcome | None:
        if first is not None and row.created_at is not None and row.created_at < first:
            return Outcome.BEFORE_FIRST_IMPORT_DATE
        if _fold(row.status) not in statuses:
            return Outcome.STATUS
        if countries and (_fold(_country(row)) in countries) is not is_wanted:
            return Outcome.COUNTRY
        return Outcome.FROZEN if row.frozen else None

    return [reason(row) for row in rows]


def to_orders(rows: Sequence[Fulfillment], settings: ImportSettings) -> list[NewOrder]:
    """Return fulfillments as orders of the desk, artwork mapped onto the items."""
    items = [(index, item) for index, row in enumerate(rows) for item in row.items or ()]
    metadata = print_metadata([item for _, item in items])
    by_row: list[list[NewItem]] = [[] for _ in rows]
    for (index, item), prints in zip(items, metadata, strict=True):
        by_row[index].append(_to_item(item, len(by_row[index]) + 1, prints))
    return [_to_order(row, lines, settings) for row, lines in zip(rows, by_row, strict=True)]


def print_metadata(items: Sequence[FulfillmentItem]) -> list[dict[str, str]]:
    """Return each item's print keys: one numbered group per print that is not withdrawn, in podOS's order.

    ``n`` means the same print in every key; a value that podOS did not give has no key; an item without
    prints has none at all.
    """
    prints = [
        (index, application)
        for index, item in enumerate(items)
        for application in item.applications or ()
        if _clean(application.deleted_at) is None
    ]
    metadata: list[dict[str, str]] = [{} for _ in items]
    numbers = numbered_within([index for index, _ in prints])
    for (index, application), number in zip(prints, numbers, strict=True):
        _number_print(metadata[index], application, number)
        if number == 1 and (sku := sku_of(items[index])):
            metadata[index]["print_sku"] = sku
    return metadata


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
    if value := _clean(application.design):
        keys[url] = value
    if value := _clean(application.placement):
        keys[location] = value
    if value := _clean(application.technology):
        keys[technology] = value
    if value := _clean(application.mockup):
        keys[preview] = value
    if (size := application.dimensions) is None:
        return
    if value := _millimetres(size.width):
        keys[width] = value
    if value := _millimetres(size.height):
        keys[height] = value


def _to_item(item: FulfillmentItem, position: int, prints: dict[str, str]) -> NewItem:
    value = item.declared_value
    return NewItem(
        position=position,
        source_item_id=_clean(item.id),
        sku=sku_of(item),
        name=_clean(item.metadata.product_title) if item.metadata else None,
        quantity=int(item.quantity or 0),
        variant_ref=_clean(item.variant_ref),
        notes=_clean(item.notes),
        declared_value=_amount(value),
        currency=_clean(value.currency_code) if value else None,
        metadata=prints,
    )


def sku_of(item: FulfillmentItem) -> str | None:
    """Return the stock keeping unit of an item: the variant's, else the product's."""
    if item.metadata is None:
        return None
    return _identifier(item.metadata.variant_sku) or _identifier(item.metadata.product_sku)


def _lacks_a_design(row: Fulfillment) -> bool:
    """Return whether any print lacks a design URL. Cheap pre-check: most orders have all of them."""
    for item in row.items or ():
        for print_ in item.applications or ():
            if not _clean(print_.design):
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
        active = [print_ for print_ in item.applications or () if _clean(print_.deleted_at) is None]
        for number, print_ in enumerate(active, 1):
            if _clean(print_.design) is None:
                missing.append(f"item {position}, print {number}")
    return f"no design address: {'; '.join(missing)}" if missing else None


def _to_order(row: Fulfillment, items: list[NewItem], settings: ImportSettings) -> NewOrder:
    address, contact, method = row.shipping_address, row.contact_information, row.shipping_method
    state = address.state if address else None
    fulfiller_reference, merchant_reference = (
        _identifier(row.fulfiller_reference),
        _identifier(row.merchant_reference),
    )
    source_id = row.id or ""
    if row.created_at is None:
        raise ValueError("a row without createdAt is unreadable and never comes here")
    return NewOrder(
        source_id=source_id,
        order_number=_order_number(settings, fulfiller_reference or merchant_reference or source_id[:8]),
        podos_status=_clean(row.status) or "",
        podos_created_at=row.created_at,
        podos_updated_at=row.updated_at,
        fulfiller_reference=fulfiller_reference,
        merchant_reference=merchant_reference,
        email=_clean(contact.email) if contact else None,
        phone=_clean(contact.phone) if contact else None,
        ship_name=_clean(address.contact_name) if address else None,
        ship_company=_clean(address.company) if address else None,
        ship_address1=_clean(address.line1) if address else None,
        ship_address2=_clean(address.line2) if address else None,
        ship_city=_clean(address.city) if address else None,
        ship_postal_code=_clean(address.postal_code) if address else None,
        ship_country=_country(row),
        ship_state=(_clean(state.code) or _clean(state.name)) if state else None,
        shipping_code=_clean(method.code) if method else None,
        shipping_name=_clean(method.name) if method else None,
        priority=_clean(row.priority_level),
        declared_value=_amount(row.declared_value),
        currency=_clean(row.declared_value.currency_code) if row.declared_value else None,
        package_weight_g=row.package_weight,
        deadline=_clean(row.deadline),
        service_level_hours=row.service_level,
        source_platform=_clean(row.source_platform.name) if row.source_platform else None,
        extras=_extras(row),
        items=items,
        attention=attention_reason(row),
    )


def _order_number(settings: ImportSettings, reference: str) -> str:
    """Return what people call the order; the whole reference is kept beside it, however long it is."""
    return (settings.order_prefix + reference)[:MAX_ORDER_NUMBER_LENGTH]


def _extras(row: Fulfillment) -> dict[str, list[dict[str, str]]] | None:
    """Return what is carried along without being asked for often: packing notes and further files."""
    notes = [
        _without_none(type=_clean(note.type), text=_clean(note.text), image=_clean(note.image))
        for note in row.packing_notes or ()
    ]
    files = [
        _without_none(name=_clean(file.name), src=_clean(file.src)) for file in row.additional_files or ()
    ]
    extras = {"packing_notes": notes, "additional_files": files}
    return {name: values for name, values in extras.items() if values} or None


def _without_none(**values: str | None) -> dict[str, str]:
    return {name: value for name, value in values.items() if value is not None}


def _clean(text: str | None) -> str | None:
    """Return text without the white space around it, None for nothing; PostgreSQL takes no NUL."""
    if not text:
        return None
    if "\x00" in text:
        text = text.replace("\x00", "")
    return text.strip() or None


def _country(row: Fulfillment) -> str | None:
    """Return the country shipped to, as ISO 3166-1 writes it: in upper case."""
    country = _clean(row.shipping_address.country) if row.shipping_address else None
    return country.upper() if country else None


def _identifier(text: str | None) -> str | None:
    """Return a reference or SKU as people see it, so that two that look the same are the same."""
    shown = visible(_clean(text) or "")
    if not shown.isprintable():
        shown = "".join(char for char in shown if char.isprintable()).strip()
    return shown or None


def _fold(text: str | None) -> str:
    return (_clean(text) or "").casefold()


def _amount(price: Price | None) -> Decimal | None:
    return _decimal(price.amount) if price and price.amount else None


@lru_cache(maxsize=4096)
def _decimal(text: str) -> Decimal | None:
    amount = _clean(text)
    return Decimal(amount) if amount else None


@lru_cache(maxsize=4096)
def _millimetres(value: float | None) -> str | None:
    if value is None:
        return None
    return str(int(value)) if value == int(value) else repr(value)


@task(name="transform", task_run_name="transform {batch.number}", cache_policy=NO_CACHE)
@in_own_words
async def transform_orders(
    batch: Batch, settings: ImportSettings, *, from_first_import_date: bool = True
) -> Prepared:
    """Prepare one batch for the desk (see ``prepare``)."""
    return prepare(batch, settings, from_first_import_date=from_first_import_date)
