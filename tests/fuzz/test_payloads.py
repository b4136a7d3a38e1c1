"""Whatever podOS sends: never a crash, never a lost order, and rejected orders can be replayed.

Pages go the real way, from the bytes of an answer into the desk.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from itertools import count
from typing import Any

import pytest
from hypothesis import strategies as st
from sqlalchemy import Engine, text

from models.filters import CountryMode, ImportSettings
from models.reports import ImportReport, Outcome
from tasks.desk.runs import begin_run
from tasks.imports.load import ImportRunContext, load
from tasks.imports.rejected import waiting_rows
from tasks.imports.transform import prepare
from tasks.podos.lenient import is_no_date
from tasks.podos.parsing import NotAPageError, Unreadable, parse_page, parse_row
from tasks.podos.scan import Batch
from tests.fuzz.looking import Looking
from tests.fuzz.payloads import CANARY, MARK, WireRow, pages, written_page

NOW = datetime(2026, 11, 23, 10, 15, tzinfo=UTC)
SETTINGS = ImportSettings(
    integration="default",
    project="",
    base_url="http://127.0.0.1:1",
    folder="Incoming",
    statuses=("paid", "Processing", "new"),
    order_prefix="A-",
    country_mode=CountryMode.STANDARD,
    countries=(),
    first_import_date=None,
    time_zone="UTC",
    sync_tracking=True,
)
_NUMBERS = count(1)
BLANK = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180d\u180f\u2800\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef]"
)


class Floor:
    """A desk with a project that no example had before."""

    def __init__(self, desk: Engine) -> None:
        self.desk = desk
        self.settings = replace(SETTINGS, project=f"fuzz-{next(_NUMBERS)}")

    def take(self, body: bytes) -> ImportRunContext:
        """Take a page as a run does."""
        report = ImportReport("default", "check", dry_run=False)
        report.run_id = begin_run(
            self.desk,
            self.settings,
            report,
            lease_name="check:default",
            mark_before=None,
            flow_run_id=None,
            now=NOW,
        )
        run = ImportRunContext(self.desk, self.settings, report, outcomes={})
        load(prepare(Batch(1, parse_page(body).rows, None), self.settings), run, now=NOW)
        return run

    def rows(self, query: str) -> list[dict[str, Any]]:
        """Return rows of this project."""
        with self.desk.connect() as connection:
            found = connection.execute(text(query), {"project": self.settings.project}).mappings()
            return [dict(row) for row in found]

    def orders(self) -> list[dict[str, Any]]:
        """Return its orders."""
        return self.rows("SELECT * FROM orders WHERE project = :project ORDER BY id")

    def items(self) -> list[dict[str, Any]]:
        """Return the lines of its orders."""
        return self.rows(
            "SELECT order_items.*, source_id FROM order_items JOIN orders ON orders.id = order_id"
            " WHERE project = :project ORDER BY order_items.order_id, position"
        )

    def rejected(self) -> list[dict[str, Any]]:
        """Return what it rejected."""
        return self.rows(
            "SELECT key, source_id, reason, payload FROM rejected_orders WHERE project = :project ORDER BY id"
        )


def test_every_row_of_every_page_has_one_place(desk: Engine, looking: Looking) -> None:
    def check(page: list[WireRow]) -> None:
        looking.counts["rows"] += len(page)
        floor, body = Floor(desk), written_page([row.raw for row in page])
        run = floor.take(body)
        looking.counts["rejected"] += run.report.counts[Outcome.REJECTED]
        _check_places(page, floor, run)
        _check_whole_orders(page, floor, run)
        _check_defects(page, run)
        before = (floor.orders(), floor.items(), floor.rejected())
        again = floor.take(body)
        assert (floor.orders(), floor.items(), floor.rejected()) == before
        assert again.report.counts[Outcome.IMPORTED] == 0
        _check_replay(floor)

    looking.run(pages(), check)


def _check_places(page: Sequence[WireRow], floor: Floor, run: ImportRunContext) -> None:
    outcomes = run.outcomes or {}
    ids = {row.id for row in page if row.id}
    nameless = [row for row in page if not row.id]
    assert run.report.fetched == len(outcomes) == len(ids) + len(nameless)
    assert {key for key in outcomes if not key.startswith("sha256:")} == ids
    rejected = floor.rejected()
    aside = {row["source_id"] for row in rejected if row["source_id"]}
    imported = {order["source_id"] for order in floor.orders()}
    assert imported == {key for key, outcome in outcomes.items() if outcome is Outcome.IMPORTED}
    assert {row["key"] for row in rejected} == {
        key for key, outcome in outcomes.items() if outcome is Outcome.REJECTED
    }
    assert not aside & imported
    payloads = [row["payload"] for row in rejected]
    for row in nameless:
        kept = re.compile(rf'"{MARK}"\s*:\s*{row.number}\b|^[\["]*{row.number}[\]"]*$')
        assert any(kept.search(payload) for payload in payloads)
    assert not any(CANARY in row["reason"] for row in rejected)


def _check_whole_orders(page: Sequence[WireRow], floor: Floor, run: ImportRunContext) -> None:
    """What is whole comes in, whatever stands beside it, and exactly."""
    outcomes, orders = run.outcomes or {}, {order["source_id"]: order for order in floor.orders()}
    items = floor.items()
    for row in page:
        if row.order is None or row.id is None or sum(other.id == row.id for other in page) > 1:
            continue
        assert outcomes[row.id] is _expected(row.order)
        if row.id in orders:
            _check_exact(row.order, orders[row.id])
            _check_items(row.order, [item for item in items if item["source_id"] == row.id])


def _check_defects(page: Sequence[WireRow], run: ImportRunContext) -> None:
    """No order is rejected for a small defect."""
    for row in page:
        if row.has_defect and row.id and sum(other.id == row.id for other in page) == 1:
            assert (run.outcomes or {})[row.id] in {Outcome.IMPORTED, Outcome.STATUS, Outcome.FROZEN}


def _expected(order: dict[str, Any]) -> Outcome:
    if order["status"] not in {"paid", "processing", "new"}:
        return Outcome.STATUS
    return Outcome.FROZEN if order.get("frozen") else Outcome.IMPORTED


def _check_exact(sent: dict[str, Any], kept: dict[str, Any]) -> None:
    address = sent["shippingAddress"]
    expected = {
        "ship_name": _plain(address["contactName"]),
        "ship_address1": _plain(address["line1"]),
        "ship_postal_code": _plain(address.get("postalCode")),
        "fulfiller_reference": _seen(sent.get("fulfillerReference")),
        "merchant_reference": _seen(sent.get("merchantReference")),
        "email": _plain(sent["contactInformation"]["email"]),
        "phone": _plain(sent["contactInformation"].get("phone")),
        "package_weight_g": float(sent["packageWeight"]),
    }
    assert {name: kept[name] for name in expected} == expected
    assert _money(kept["declared_value"]) == _money(sent["declaredValue"]["amount"])


def _check_items(sent: dict[str, Any], kept: Sequence[dict[str, Any]]) -> None:
    assert [item["quantity"] for item in kept] == [item["quantity"] for item in sent["items"]]
    for item, line in zip(sent["items"], kept, strict=True):
        assert _money(line["declared_value"]) == _money(item["declaredValue"]["amount"])
        assert line["variant_ref"] == _plain(item.get("variantRef"))
        printed = [
            print_ for print_ in item.get("applications", ()) if is_no_date(print_.get("deletedAt") or "")
        ]
        designs = {f"print_url_{n}": _plain(print_.get("design")) for n, print_ in enumerate(printed, 1)}
        metadata = line["metadata"] if isinstance(line["metadata"], dict) else json.loads(line["metadata"])
        for key, design in designs.items():
            assert metadata.get(key) == design


def _plain(value: str | None) -> str | None:
    return (value or "").replace("\x00", "").strip() or None


def _seen(value: str | None) -> str | None:
    """Return a reference without what shows nothing."""
    seen = "".join(" " if unicodedata.category(char) == "Zs" else char for char in value or "")
    return "".join(char for char in seen if char.isprintable() and not BLANK.match(char)).strip() or None


def _money(value: object) -> Decimal | None:
    written = str(value).strip() if value is not None else ""
    return Decimal(written) if written else None


def _check_replay(floor: Floor) -> None:
    """Each rejected order comes in once podOS has it whole; the others stay what they are."""
    names, nameless = waiting_rows(floor.desk, floor.settings.project)
    for key, payload in nameless:
        row = parse_row(payload.encode())
        assert isinstance(row, Unreadable) or row.id
        looking_again = floor.take(written_page([payload.encode()]))
        assert looking_again.report.fetched == 1, key
    whole = [{"id": id_, "status": "paid", "createdAt": NOW.isoformat(), "items": []} for id_ in names]
    run = floor.take(written_page([json.dumps(order).encode() for order in whole]))
    assert run.report.counts[Outcome.IMPORTED] == len(names)
    assert not {row["source_id"] for row in floor.rejected()} - {None}


def test_bytes_that_are_no_page_have_a_name(looking: Looking) -> None:
    def check(example: tuple[list[WireRow], bytes, int, bytes]) -> None:
        page, token, place, noise = example
        whole = written_page([row.raw for row in page], token)
        sound = written_page([row.raw for row in page])
        cut = sound[: place % len(sound)]
        with pytest.raises(NotAPageError) as caught:
            parse_page(cut)
        assert not caught.value.is_json
        at = place % len(whole)
        for body in (whole, noise, whole[:at] + noise + whole[at:], whole[:at] + whole[at + 1 :]):
            try:
                assert all(isinstance(row.id, str | None) for row in parse_page(body).rows)
            except NotAPageError as error:
                assert CANARY not in str(error)

    tokens = st.sampled_from((b"null", b"2", b"-1", b"1e999", b"NaN", b'"2"', b"[]", b"9" * 5000, b"0.5"))
    examples = st.tuples(pages(), tokens, st.integers(0, 100_000), st.binary(max_size=20))
    looking.run(examples, check)
