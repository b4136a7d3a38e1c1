"""Load a batch into the desk: rows, counts and watermark in one transaction. Idempotent."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Engine

from models.filters import ImportSettings
from models.orders import NewOrder
from models.reports import MAX_EXAMPLES, SKIPPED, Attention, ImportReport, Outcome
from models.rules import RuleEvent
from models.tables.orders import NEEDS_ATTENTION
from models.upstream import ChangePlan, Noted
from tasks.concurrency import run_in_thread
from tasks.desk.engine import reading, writing
from tasks.desk.errors import UnusableRuleError
from tasks.desk.events import note_event
from tasks.desk.folders import folder_id
from tasks.desk.history import add_history
from tasks.desk.leases import HeldLease
from tasks.desk.runs import move_watermark, record_counts
from tasks.imports import rejected
from tasks.imports.remote_changes import note_changes, plan_changes
from tasks.imports.store import existing_source_ids, insert_orders, last_looks
from tasks.imports.transform import Prepared
from tasks.imports.windows import cap_watermark
from tasks.podos.clock import PodosClock
from tasks.podos.scan import Batch
from tasks.prefect_api.step import step

MAX_ATTENTION = 200
EXPLAINED = (*SKIPPED, Outcome.REJECTED)
SECOND_IS_OVER = timedelta(minutes=5)
"""So long after a date no other change can carry it, if podOS's clock is behind ours by less than that."""
ORDER_CHANGED = "podos-order-desk.order-changed"


class ImportRunContext:
    """What every batch of one run shares. A plain object: the engine must not walk through it.

    Attributes:
        engine: the desk.
        settings: the integration's, without its secret.
        report: the counts of what the desk really has; replaced after each batch.
        lease: None in a dry run, which writes nothing.
        clock: podOS's, which bounds the mark; None where the run moves none.
        outcomes: by source id, where an order can come twice in one run (a scan by ``updatedAt``), else None.
        began_at: aware; podOS was not asked before it.
        to_announce: events of changes in podOS that the desk has noted and nobody was told of yet.
        rules_problem: why the rules could not look at what came in, None if they could.
    """

    __slots__ = (
        "began_at",
        "clock",
        "engine",
        "lease",
        "outcomes",
        "report",
        "rules_problem",
        "settings",
        "to_announce",
    )

    def __init__(
        self,
        engine: Engine,
        settings: ImportSettings,
        report: ImportReport,
        *,
        lease: HeldLease | None = None,
        outcomes: dict[str, Outcome] | None = None,
    ) -> None:
        self.engine = engine
        self.settings = settings
        self.report = report
        self.lease = lease
        self.outcomes = outcomes
        self.clock: PodosClock | None = None
        self.to_announce: list[dict[str, Any]] = []
        self.rules_problem: UnusableRuleError | None = None
        self.began_at = datetime.now(UTC)

    def raise_rules_problem(self) -> None:
        """Raise the problem of the rules, if there is one: by the end all orders are in the desk."""
        if self.rules_problem:
            raise self.rules_problem

    @property
    def podos_now(self) -> datetime | None:
        """PodOS's clock as this run saw it, at its earliest."""
        return self.clock.earliest if self.clock else None

    @property
    def run_id(self) -> int:
        """The id of the run's row in the desk."""
        if self.report.run_id is None:
            raise ValueError("a dry run has no row in the desk")
        return self.report.run_id


class BatchResult:
    """What became of each order of a batch, by source id (or key, where it has none), and what changed."""

    __slots__ = ("attention", "changes", "outcomes")

    def __init__(
        self, outcomes: dict[str, Outcome], attention: list[Attention], changes: Sequence[ChangePlan] = ()
    ) -> None:
        self.outcomes = outcomes
        self.attention = attention
        self.changes = changes


def load(prepared: Prepared, run: ImportRunContext, *, now: datetime) -> None:
    """Write a batch into the desk; the run's report is only replaced when the desk has it.

    Args:
        prepared: the batch.
        run: the run it belongs to.
        now: aware; the moment that new orders carry as imported.

    Raises:
        RetriableDeskError: the database was busy; nothing of the batch was written, load it again.
        LeaseLostError: another run took over.

    Safe to repeat.
    """
    if run.report.dry_run:
        with reading(run.engine) as connection:
            ids = [order.source_id for order in prepared.orders]
            there = existing_source_ids(connection, run.settings.project, ids)
            result = _judge(connection, prepared, run.settings.project, there)
            result.changes = plan_changes(connection, prepared.again, run.settings, began_at=run.began_at)
        report = tally(run.report, result, run.outcomes, prepared.labels)
    else:
        if run.lease:
            run.lease.check()
        with writing(run.engine) as connection:
            result = _write(connection, prepared, run, now)
            report = tally(run.report, result, run.outcomes, prepared.labels)
            record_counts(connection, report.run_id, report.counts, needs_attention=report.needs_attention)
            if prepared.read_to:
                mark_at = cap_watermark(prepared.read_to, now, run.podos_now)
                move_watermark(connection, run.settings, mark_at, run.run_id)
        run.to_announce += events_of(result.changes, run.settings)
    run.report = report
    if run.outcomes is not None:
        run.outcomes.update(result.outcomes)


async def load_while_reading(prepared: Prepared, run: ImportRunContext, *, now: datetime) -> None:
    """Load (see ``load``), and let podOS be read on meanwhile where it is waited for.

    Where it answers at once a thread gains nothing, and what it allocates beside the other costs memory.
    """
    if prepared.came_quickly:
        load(prepared, run, now=now)
    else:
        await run_in_thread(load, prepared, run, now=now)


def find_known(batch: Batch, run: ImportRunContext) -> None:
    """Note which rows of a batch the desk has by now: they are compared, not imported. Safe to repeat.

    One whose date is the same is not compared again, once the desk saw it well after that date.
    """
    rows = {row.id: row.updated_at for row in batch.fulfillments if row.id}
    with reading(run.engine) as connection:
        looks = last_looks(connection, run.settings.project, list(rows))
    batch.known = frozenset(looks)
    batch.again = frozenset(id_ for id_, look in looks.items() if _is_open(rows[id_], *look))


def _is_open(date_now: datetime | None, date: datetime | None, seen_at: datetime) -> bool:
    """Return whether podOS may have changed an order: dates are whole seconds, two changes can share one."""
    return date is None or date_now != date or seen_at - date < SECOND_IS_OVER


def events_of(changes: Sequence[ChangePlan], settings: ImportSettings) -> list[dict[str, Any]]:
    """Return the events of what podOS changed; what came after shipping is none."""
    known = {"project": settings.project, "integration": settings.integration}
    return [
        {
            "event": ORDER_CHANGED,
            "id": change.order_id,
            "source_id": change.source_id,
            "change": noted.value,
            **known,
        }
        for change in changes
        for noted in change.noted
        if noted is not Noted.AFTER_SHIPPING
    ]


def _judge(connection: Connection, prepared: Prepared, project: str, there: set[str]) -> BatchResult:
    """Say what a batch becomes, without writing; ``there``: those of its orders that the desk had before."""
    keys = [row.key for row in prepared.unreadable]
    ids = [order.source_id for order in prepared.orders]
    # A row can come twice, once whole and once broken: what was just inserted is not there from before.
    there |= existing_source_ids(connection, project, [*prepared.skipped, *keys]) - set(ids)
    outcomes = dict.fromkeys(keys, Outcome.REJECTED) | prepared.skipped | dict.fromkeys(ids, Outcome.IMPORTED)
    outcomes |= dict.fromkeys((*prepared.known, *there), Outcome.ALREADY_IMPORTED)
    attention = [
        Attention(order.source_id, order.order_number, order.attention)
        for order in prepared.orders
        if order.attention and order.source_id not in there
    ]
    return BatchResult(outcomes, attention)


def _write(connection: Connection, prepared: Prepared, run: ImportRunContext, now: datetime) -> BatchResult:
    settings = run.settings
    inserted = insert_orders(
        connection,
        prepared.orders,
        integration=settings.integration,
        project=settings.project,
        run_id=run.run_id,
        folder_ids=_folders_of(connection, prepared.orders, settings.folder),
        imported_at=now,
    )
    # Those that the desk has are mostly known by now: the insert itself tells the rest.
    there = {order.source_id for order in prepared.orders} - inserted.keys()
    result = _judge(connection, prepared, settings.project, there)
    note_event(connection, inserted.values(), RuleEvent.IMPORTED, now=now)
    notes = [(inserted[problem.source_id], "needs attention", problem.reason) for problem in result.attention]
    remarks = [
        (inserted[order.source_id], "left out or replaced", line)
        for order in prepared.orders
        if order.remarks and order.source_id in inserted
        for line in order.remarks
    ]
    add_history(connection, [*remarks, *notes], at=now)
    _write_rejected(connection, prepared, result, run, now)
    if prepared.again:
        result.changes = note_changes(
            connection, prepared.again, settings, run_id=run.run_id, began_at=run.began_at, now=now
        )
    return result


def _folders_of(connection: Connection, orders: list[NewOrder], folder: str) -> list[int]:
    """Return where each order goes; folders are made when first needed."""
    if not orders:
        return []
    usual = folder_id(connection, folder, create=True)
    if not any(order.attention for order in orders):
        return [usual] * len(orders)
    attention = folder_id(connection, NEEDS_ATTENTION, create=True)
    return [attention if order.attention else usual for order in orders]


def _write_rejected(
    connection: Connection, prepared: Prepared, result: BatchResult, run: ImportRunContext, now: datetime
) -> None:
    rows = [
        rejected.Rejection(row.key, row.id, row.reason, row.payload)
        for row in prepared.unreadable
        if result.outcomes[row.key] is Outcome.REJECTED
    ]
    settings = run.settings
    rejected.write_rejected(
        connection,
        rows,
        integration=settings.integration,
        project=settings.project,
        run_id=run.run_id,
        now=now,
    )
    readable = [id_ for id_, outcome in result.outcomes.items() if outcome is not Outcome.REJECTED]
    rejected.take_back(connection, settings.project, readable)


def tally(
    report: ImportReport,
    result: BatchResult,
    outcomes: dict[str, Outcome] | None,
    labels: Mapping[str, str] | None = None,
) -> ImportReport:
    """Return the report with a batch counted in; the one given stays as it is.

    Args:
        report: the counts so far.
        result: what became of the batch.
        outcomes: what this run saw before, by source id; an order that comes again counts once, as its
            latest outcome (imported stays imported).
        labels: what people call skipped orders, by source id; others are shown by that id.
    """
    counts, examples = dict(report.counts), {key: list(ids) for key, ids in report.examples.items()}
    for source_id, outcome in result.outcomes.items():
        before = outcomes.get(source_id) if outcomes is not None else None
        if before is Outcome.IMPORTED:
            result.outcomes[source_id] = before
            continue
        if before is not None:
            counts[before] -= 1
        counts[outcome] += 1
        known = examples.setdefault(outcome, [])
        if outcome in EXPLAINED and len(known) < MAX_EXAMPLES:
            known.append((labels or {}).get(source_id, source_id))
    changed = Counter(noted for change in result.changes for noted in change.noted)
    return replace(
        report,
        counts=counts,
        changed={kind: count + changed[kind] for kind, count in report.changed.items()},
        examples=examples,
        needs_attention=report.needs_attention + len(result.attention),
        attention=(report.attention + result.attention)[:MAX_ATTENTION],
    )


@step("load", run_name="load {prepared.number}")
async def load_orders(prepared: Prepared, run: ImportRunContext) -> None:
    """Write one batch into the desk (see ``load``)."""
    await load_while_reading(prepared, run, now=datetime.now(UTC))
