"""Why an order of podOS is not here, and how one that is here differs: pure."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

from models.podos import Fulfillment
from models.reconciling import DeskOrder, DeskShipment, Difference, Finding, ReconcileReport
from models.reports import Outcome
from tasks.imports.changes import ADDRESS
from tasks.imports.transform import to_orders
from tasks.reconciliation.differences import compare, to_resend, why_not_here
from tasks.reconciliation.report import reconcile_page
from tests.unit.imports.test_transform import SETTINGS

MARK = datetime(2026, 11, 23, 12, tzinfo=UTC)
ITEM = {
    "quantity": 1,
    "applications": [{"design": "https://cdn.example.test/1.png", "placement": "front"}],
}


def wire(**changes: Any) -> Fulfillment:
    fields = {
        "id": "source-1",
        "status": "paid",
        "createdAt": "2026-11-20T10:00:00Z",
        "updatedAt": "2026-11-20T10:00:00Z",
        "shippingAddress": {"contactName": "Jane Sample", "city": "Leeds", "country": "GB"},
        "items": [ITEM],
    }
    return msgspec.convert(fields | changes, Fulfillment, strict=False)


def here(*shipments: DeskShipment, **changes: Any) -> DeskOrder:
    (order,) = to_orders([wire()], SETTINGS)
    values: dict[str, Any] = {
        "id": 7,
        "source_id": "source-1",
        "order_number": "A-1",
        "podos_status": "paid",
        "podos_updated_at": order.podos_updated_at,
        "folder": "New",
        "is_held": False,
        "address": {name: getattr(order, name) for name in ADDRESS},
        "prints": [item.metadata for item in order.items],
        "shipments": shipments,
    }
    return DeskOrder(**values | changes)


def differences(row: Fulfillment, order: DeskOrder) -> dict[str, str | None]:
    (theirs,) = to_orders([row], SETTINGS)
    found = compare(row, order, theirs, canceled_folder="Canceled")
    return {finding.difference.value: finding.detail for finding in found}


@pytest.mark.parametrize("outcome", [Outcome.STATUS, Outcome.COUNTRY, Outcome.FROZEN])
def test_an_order_that_an_import_skips_is_not_here_for_that_reason(outcome: Outcome) -> None:
    why, _ = why_not_here(outcome, None, MARK, was_rejected=False)
    assert why.value == outcome.value


@pytest.mark.parametrize(
    ("updated_at", "mark", "expected"),
    [
        (MARK - timedelta(seconds=1), MARK, Difference.MISSED),
        (None, MARK, Difference.MISSED),
        (MARK, MARK, Difference.NOT_CHECKED_YET),
        (MARK + timedelta(days=1), MARK, Difference.NOT_CHECKED_YET),
        (MARK - timedelta(days=9), None, Difference.NOT_CHECKED_YET),
    ],
)
def test_only_what_a_check_had_read_past_was_missed(
    updated_at: datetime | None, mark: datetime | None, expected: Difference
) -> None:
    assert why_not_here(None, updated_at, mark, was_rejected=False)[0] is expected
    assert why_not_here(None, updated_at, mark, was_rejected=True)[0] is Difference.REJECTED


def test_an_order_that_is_the_same_has_no_differences() -> None:
    assert differences(wire(), here()) == {}
    sent = here(DeskShipment(3, "RM 1gb", "sent"))
    assert differences(wire(status="complete", tracking={"code": " rm1GB"}), sent) == {}
    assert differences(wire(status="complete"), here(podos_status="complete")) == {}


@pytest.mark.parametrize(
    ("changes", "order", "expected"),
    [
        ({"status": "refunded"}, {}, {"refunded_there"}),
        ({"status": "refunded"}, {"folder": "canceled"}, set()),
        ({"status": "refunded"}, {"podos_status": "refunded"}, set()),
        ({"frozen": True}, {}, {"frozen_there"}),
        ({"frozen": True}, {"is_held": True}, set()),
        ({"status": "complete"}, {}, {"complete_there_only"}),
        ({"items": []}, {}, {"artwork_differs"}),
        ({"shippingAddress": {"city": "York"}}, {"address": None}, set()),
    ],
)
def test_what_changed_there_is_found_unless_the_desk_knows(
    changes: dict[str, Any], order: dict[str, Any], expected: set[str]
) -> None:
    assert set(differences(wire(**changes), here(**order))) == expected


def test_changed_fields_are_named_and_no_value_of_them() -> None:
    address = {"contactName": "Joan Sample", "city": "Leeds", "country": "GB"}
    print_ = {"design": "https://cdn.example.test/2.png", "placement": "front"}
    row = wire(
        shippingAddress=address,
        items=[ITEM | {"applications": [print_]}],
        updatedAt="2026-11-21T10:00:00Z",
    )
    assert differences(row, here()) == {
        "address_differs": "ship_name; changed in podOS since its import",
        "artwork_differs": "item 1 print_url_1; changed in podOS since its import",
    }
    edited = differences(wire(shippingAddress=address), here())
    assert edited == {"address_differs": "ship_name; not changed in podOS since its import"}


A, B = DeskShipment(3, "A1", "sent"), DeskShipment(4, "B2", "failed")


@pytest.mark.parametrize(
    ("shipments", "changes", "expected", "resent"),
    [
        ([A], {}, "tracking_lost", [3]),
        ([A], {"status": "complete"}, "tracking_lost", [3]),
        ([A._replace(state="already_there")], {}, "tracking_lost", [3]),
        ([B], {}, "tracking_failed", [4]),
        ([A, B], {}, "tracking_lost", [3]),
        ([A._replace(state="waiting"), B], {}, "tracking_waiting", []),
        ([A], {"tracking": {"code": "C3"}}, "other_tracking_there", []),
        ([A], {"status": "complete", "tracking": {"code": "C3"}}, "other_tracking_there", []),
        ([A._replace(state="voided")], {"status": "complete"}, "complete_there_only", []),
        ([A._replace(state="voided")], {}, None, []),
        ([B], {"status": "refunded"}, "refunded_there", []),
        ([B], {"status": "complete", "tracking": {"code": "b2"}}, None, []),
    ],
)
def test_tracking_that_podos_misses_is_sent_again_only_where_there_is_room(
    shipments: list[DeskShipment], changes: dict[str, Any], expected: str | None, resent: list[int]
) -> None:
    row, order = wire(**changes), here(*shipments)
    assert set(differences(row, order)) == ({expected} if expected else set())
    assert to_resend(row, order) == resent


def test_the_report_lists_a_bounded_number_and_counts_all() -> None:
    report = ReconcileReport("default")
    report.add([Finding(Difference.MISSED, f"id|{number}") for number in range(50)])
    report.add([Finding(Difference.STATUS, "other")])
    assert (report.counts[Difference.MISSED], report.alarming) == (50, 50)
    assert len(report.as_dict()["examples"]["missed"]) == 20
    text = str(reconcile_page(report))
    assert text.index("## Should be here") < text.index("## Not here: status")
    assert "... and 30 more" in text
    assert "| Not here: frozen in podOS | 0 |" in text
    assert "id\\|0" in text
