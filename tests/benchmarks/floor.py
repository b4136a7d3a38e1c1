"""The floor: fetch, msgspec, executemany (COPY on PostgreSQL), with no checks, no history, no retry."""

from __future__ import annotations

import argparse
import json
import sqlite3
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection
from threading import local
from typing import Any
from urllib.parse import urlsplit

import msgspec
import psycopg

from models.podos import Fulfillment, Page

ORDER_COLUMNS = (
    "id, project, source_id, number, status, created, updated, email, phone, name, company, line1, line2, "
    "city, postal_code, country, state"
)
ITEM_COLUMNS = "order_id, position, sku, name, quantity, variant, metadata"
BATCH = 1000
PAGE = 100
_DECODER = msgspec.json.Decoder(Page)
_THREAD = local()


def order_row(number: int, row: Fulfillment, project: str) -> tuple[Any, ...]:
    """Return the order's columns."""
    address, contact = row.shipping_address, row.contact_information
    assert address
    assert contact
    assert row.created_at
    assert row.updated_at
    return (
        *(number, project, row.id, row.fulfiller_reference, row.status),
        *(row.created_at.isoformat(), row.updated_at.isoformat(), contact.email, contact.phone),
        *(address.contact_name, address.company, address.line1, address.line2, address.city),
        *(address.postal_code, address.country, address.state.code if address.state else None),
    )


def item_rows(number: int, row: Fulfillment) -> Iterator[tuple[Any, ...]]:
    """Return the items' columns, prints as JSON."""
    for position, item in enumerate(row.items or (), 1):
        prints: dict[str, str | None] = {}
        for index, print_ in enumerate(item.applications or (), 1):
            prints[f"print_url_{index}"] = print_.design
            prints[f"print_location_{index}"] = print_.placement
            prints[f"print_technology_{index}"] = print_.technology
            prints[f"print_preview_{index}"] = print_.mockup
        meta = item.metadata
        sku, name = (meta.variant_sku, meta.product_title) if meta else (None, None)
        text = msgspec.json.encode(prints).decode()
        yield number, position, sku, name, int(item.quantity or 0), item.variant_ref, text


def fetch(options: argparse.Namespace, page: int) -> Page:
    """Fetch one page on this thread's connection."""
    if not hasattr(_THREAD, "connection"):
        _THREAD.connection = HTTPConnection(urlsplit(options.url).netloc)
    path = f"/v1/fulfillments?project={options.project}&pageToken={page}&pageSize={PAGE}&sortBy[]=createdAt"
    _THREAD.connection.request("GET", path, headers={"Authorization": options.token})
    return _DECODER.decode(_THREAD.connection.getresponse().read())


def pages(options: argparse.Namespace) -> Iterator[Page]:
    """Yield all pages: one by one, or by threads where the number of orders is known."""
    if options.connections > 1:
        with ThreadPoolExecutor(options.connections) as pool:
            yield from pool.map(lambda page: fetch(options, page), range(1, -(-options.orders // PAGE) + 1))
        return
    page: int | None = 1
    while page:
        answer = fetch(options, page)
        yield answer
        page = int(answer.next_page_token) if answer.next_page_token else None


class Sqlite:
    """The fewest statements that store rows in SQLite safely."""

    def __init__(self, url: str) -> None:
        self._db = sqlite3.connect(url.removeprefix("sqlite:///"), isolation_level=None)
        for pragma in ("journal_mode=WAL", "cache_size=-65536", "wal_autocheckpoint=16000"):
            self._db.execute(f"PRAGMA {pragma}")
        self._db.execute(f"CREATE TABLE orders({ORDER_COLUMNS}, PRIMARY KEY(id), UNIQUE(project, source_id))")
        self._db.execute(
            f"CREATE TABLE order_items({ITEM_COLUMNS}, PRIMARY KEY(order_id, position)) WITHOUT ROWID"
        )

    def write(self, orders: list[Any], items: list[Any]) -> None:
        """Write a batch in one transaction."""
        self._db.execute("BEGIN IMMEDIATE")
        marks = ",".join("?" * len(ORDER_COLUMNS.split(",")))
        self._db.executemany(f"INSERT INTO orders VALUES({marks}) ON CONFLICT DO NOTHING", orders)
        self._db.executemany("INSERT INTO order_items VALUES(?,?,?,?,?,?,?)", items)
        self._db.execute("COMMIT")


class Postgres:
    """The same by COPY."""

    def __init__(self, url: str) -> None:
        self._db = psycopg.connect(url.replace("+psycopg", ""))
        texts = ", ".join(f"{name} text" for name in ORDER_COLUMNS.split(", ")[1:])
        self._db.execute(f"CREATE TABLE orders(id bigint PRIMARY KEY, {texts}, UNIQUE(project, source_id))")
        texts = ", ".join(f"{name} text" for name in ("sku", "name", "quantity", "variant", "metadata"))
        self._db.execute(
            f"CREATE TABLE order_items(order_id int8, position int, {texts}, PRIMARY KEY(order_id, position))"
        )
        self._db.commit()

    def write(self, orders: list[Any], items: list[Any]) -> None:
        """Write a batch in one transaction."""
        with self._db.cursor() as cursor:
            for table, rows in (("orders", orders), ("order_items", items)):
                with cursor.copy(f"COPY {table} FROM STDIN") as copy:
                    for row in rows:
                        copy.write_row(row)
        self._db.commit()


def main() -> None:
    """Run once and print what it took."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("--url", "--project", "--token", "--database"):
        parser.add_argument(name, required=True)
    parser.add_argument("--connections", type=int, default=1)
    parser.add_argument("--orders", type=int, default=0)
    options = parser.parse_args()
    started, cpu = time.perf_counter(), time.process_time()
    store = Sqlite(options.database) if options.database.startswith("sqlite") else Postgres(options.database)
    orders: list[Any] = []
    items: list[Any] = []
    count = 0
    for page in pages(options):
        for row in page.fulfillments:
            count += 1
            orders.append(order_row(count, row, options.project))
            items.extend(item_rows(count, row))
        if len(orders) >= BATCH:
            store.write(orders, items)
            orders.clear()
            items.clear()
    store.write(orders, items)
    facts = {"seconds": time.perf_counter() - started, "cpu_seconds": time.process_time() - cpu}
    print(json.dumps({**facts, "fetched": count}))


if __name__ == "__main__":
    main()
