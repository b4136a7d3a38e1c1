"""From what podOS sent to what the desk keeps: filter the orders, number their prints, name what is wrong.

Pure: no network, no database, no clock. The rules are design's; docs/mapping.md is the table of them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from prefect import task
from prefect.cache_policies import NO_CACHE

from models.countries import country_code
from models.filters import CountryMode, ImportSettings
from models.orders import NewItem, NewOrder
from models.podos import Fulfillment, FulfillmentItem, MendedFulfillment
from models.reports import MAX_EXAMPLES, Outcome
from models.tables.orders import MAX_ORDER_NUMBER_LENGTH
from models.upstream import RemoteOrder
from tasks.imports.prints import attention_reason, print_metadata, sku_of
from tasks.imports.values import amount_of, clean, country_of, fold, identifier, names_no_country
from tasks.podos.parsing import Unreadable
from tasks.podos.scan import Batch
from tasks.prefect_api.foreign_errors import in_own_words


class Prepared:
    """A batch ready for the desk. A plain object, so that the engine does not walk through its orders."""

    __slots__ = (
        "again",
        "came_quickly",
        "known",
        "labels",
        "number",
        "orders",
        "read_to",
        "skipped",
        "unreadable",
    )

    def __init__(
        self,
        batch: Batch,
        orders: list[NewOrder],
        skipped: dict[str, Outcome],
        unreadable: list[Unreadable],
        again: Sequence[RemoteOrder] = (),
        labels: Mapping[str, str] | None = None,
    ) -> None:
        self.number = batch.number
        self.came_quickly = batch.came_quickly
        self.known = batch.known
        self.read_to = batch.read_to
        self.orders = orders
        self.skipped = skipped
        self.unreadable = unreadable
        self.again = again
        self.labels = labels or {}

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
    labels = labels_of_skipped(rows, reasons, settings)
    unreadable = list({row.key: row for row in batch.unreadable}.values())
    again = remote_orders_of(batch, settings) if batch.again else []
    return Prepared(batch, to_orders(kept, settings), skipped, unreadable, again, labels)


def labels_of_skipped(
    rows: Sequence[Fulfillment], reasons: Sequence[Outcome | None], settings: ImportSettings
) -> dict[str, str]:
    """Return what people call the first orders that were skipped for each reason, by podOS id."""
    labels: dict[str, str] = {}
    seen: Counter[Outcome] = Counter()
    for row, reason in zip(rows, reasons, strict=True):
        if reason is not None and seen[reason] < MAX_EXAMPLES:
            seen[reason] += 1
            labels[row.id or ""] = f"{_number_of(row, settings)} ({clean(row.status) or 'no status'})"
    return labels


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
    statuses = {fold(status) for status in settings.statuses}
    countries = {fold(country) for country in settings.countries}
    is_wanted = settings.country_mode is CountryMode.STANDARD

    def reason(row: Fulfillment) -> Outcome | None:
        if first is not None and row.created_at is not None and row.created_at < first:
            return Outcome.BEFORE_FIRST_IMPORT_DATE
        if fold(row.status) not in statuses:
            return Outcome.STATUS
        is_outside = bool(countries) and (fold(country_of(row)) in countries) is not is_wanted
        if is_outside and not names_no_country(row):
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


def _to_item(item: FulfillmentItem, position: int, prints: dict[str, str]) -> NewItem:
    value = item.declared_value
    return NewItem(
        position=position,
        source_item_id=clean(item.id),
        sku=sku_of(item),
        name=clean(item.metadata.product_title) if item.metadata else None,
        quantity=int(item.quantity or 0),
        variant_ref=clean(item.variant_ref),
        notes=clean(item.notes),
        declared_value=amount_of(value),
        currency=clean(value.currency_code) if value else None,
        metadata=prints,
    )


def _to_order(row: Fulfillment, items: list[NewItem], settings: ImportSettings) -> NewOrder:
    address, contact, method = row.shipping_address, row.contact_information, row.shipping_method
    state = address.state if address else None
    fulfiller_reference, merchant_reference = (
        identifier(row.fulfiller_reference),
        identifier(row.merchant_reference),
    )
    source_id = row.id or ""
    if row.created_at is None:
        raise ValueError("a row without createdAt is unreadable and never comes here")
    return NewOrder(
        source_id=source_id,
        order_number=_number_of(row, settings),
        podos_status=clean(row.status) or "",
        podos_created_at=row.created_at,
        podos_updated_at=row.updated_at,
        fulfiller_reference=fulfiller_reference,
        merchant_reference=merchant_reference,
        email=clean(contact.email) if contact else None,
        phone=clean(contact.phone) if contact else None,
        ship_name=clean(address.contact_name) if address else None,
        ship_company=clean(address.company) if address else None,
        ship_address1=clean(address.line1) if address else None,
        ship_address2=clean(address.line2) if address else None,
        ship_city=clean(address.city) if address else None,
        ship_postal_code=clean(address.postal_code) if address else None,
        ship_country=country_of(row),
        ship_state=(clean(state.code) or clean(state.name)) if state else None,
        shipping_code=clean(method.code) if method else None,
        shipping_name=clean(method.name) if method else None,
        priority=clean(row.priority_level),
        declared_value=amount_of(row.declared_value),
        currency=clean(row.declared_value.currency_code) if row.declared_value else None,
        package_weight_g=row.package_weight,
        deadline=clean(row.deadline),
        service_level_hours=row.service_level,
        source_platform=clean(row.source_platform.name) if row.source_platform else None,
        extras=_extras(row),
        items=items,
        attention=_attention(row),
        remarks=_remarks(row),
    )


def _attention(row: Fulfillment) -> str | None:
    """Return why a person must look at an order, in words that may go into Prefect; None if all is well."""
    reasons = list(row.remarks.attention) if isinstance(row, MendedFulfillment) and row.remarks else []
    if names_no_country(row):
        reasons.append("the country is none that is known")
    if reason := attention_reason(row):
        reasons.append(reason)
    return "; ".join(reasons) or None


def _remarks(row: Fulfillment) -> tuple[str, ...]:
    """Return what the history says of an order that the desk does not keep as podOS sent it."""
    remarks = tuple(row.remarks.history) if isinstance(row, MendedFulfillment) and row.remarks else ()
    sent = clean(row.shipping_address.country) if row.shipping_address else None
    if sent and (kept := country_code(sent)) and kept != sent.upper():
        return (*remarks, f"shippingAddress, country is {sent!r}: it is taken as {kept}")
    return remarks


def _number_of(row: Fulfillment, settings: ImportSettings) -> str:
    """Return what people call the order; the whole reference is kept beside it, however long it is."""
    references = identifier(row.fulfiller_reference), identifier(row.merchant_reference)
    reference = next(filter(None, references), None) or (row.id or "")[:8]
    return (settings.order_prefix + reference)[:MAX_ORDER_NUMBER_LENGTH]


def _extras(row: Fulfillment) -> dict[str, list[dict[str, str]]] | None:
    """Return what is carried along without being asked for often: packing notes and further files."""
    notes = [
        _without_none(type=clean(note.type), text=clean(note.text), image=clean(note.image))
        for note in row.packing_notes or ()
    ]
    files = [_without_none(name=clean(file.name), src=clean(file.src)) for file in row.additional_files or ()]
    extras = {"packing_notes": notes, "additional_files": files}
    return {name: values for name, values in extras.items() if values} or None


def _without_none(**values: str | None) -> dict[str, str]:
    return {name: value for name, value in values.items() if value is not None}


@task(name="transform", task_run_name="transform {batch.number}", cache_policy=NO_CACHE)
@in_own_words
async def transform_orders(
    batch: Batch, settings: ImportSettings, *, from_first_import_date: bool = True
) -> Prepared:
    """Prepare one batch for the desk (see ``prepare``)."""
    return prepare(batch, settings, from_first_import_date=from_first_import_date)
