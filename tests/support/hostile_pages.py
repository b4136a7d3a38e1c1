"""Every page that a run leaves in Prefect, with one text wherever a stranger's can stand."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from models.deliveries import DeliveryNote
from models.handovers import SendReport
from models.reconciling import Difference, Finding, ReconcileReport
from models.reports import Attention, ImportReport, Outcome, RuleCounts
from models.shipments import SyncReport
from models.tables.outbox import OutboxState
from tasks.fulfilment.report import send_page
from tasks.imports.report import report_page
from tasks.prefect_api.artifacts import Page
from tasks.reconciliation.report import reconcile_page
from tasks.tracking.report import sync_page

NOW = datetime(2026, 11, 24, 9, tzinfo=UTC)


def imported(text: str) -> Page:
    report = ImportReport(text, "check", dry_run=True, since=NOW, needs_attention=3, rules=RuleCounts(1, 1))
    report.attention = [Attention(text, text, text)]
    report.examples = {outcome: [text, text] for outcome in Outcome}
    report.counts = dict.fromkeys(Outcome, 5)
    report.changed = dict.fromkeys(report.changed, 1)
    return report_page(report)


def sent(text: str) -> Page:
    report = SendReport(text, paused=text, counts=dict.fromkeys(SendReport("x").counts, 2))
    report.notes = {state: [DeliveryNote(1, text, text)] for state in OutboxState}
    return send_page(report)


def synced(text: str) -> Page:
    report = SyncReport(text, counts=dict.fromkeys(SyncReport("x").counts, 2))
    report.notes = {state: [DeliveryNote(1, text, text)] for state in OutboxState}
    return sync_page(report)


def reconciled(text: str) -> Page:
    report = ReconcileReport(text, fix=True, since=NOW, not_resent=text)
    report.add([Finding(difference, text, 1, text, text) for difference in Difference])
    return reconcile_page(report)


PAGES: dict[Callable[[Any], Page], Callable[[str], Page]] = {
    report_page: imported,
    send_page: sent,
    sync_page: synced,
    reconcile_page: reconciled,
}
"""The functions that make them, and how each is made with a text."""
