"""Compare a batch of podOS's orders with the desk and list the differences of each."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from sqlalchemy import Engine

from models.filters import ImportSettings
from models.podos import Fulfillment
from models.reconciling import DeskOrder, Difference, Finding, ReconcileReport
from tasks.concurrency import run_in_thread
from tasks.desk.engine import reading
from tasks.desk.runs import read_watermark
from tasks.imports.transform import Prepared, prepare, to_orders
from tasks.podos.client import PodosClient
from tasks.podos.parsing import Row
from tasks.podos.scan import Batch
from tasks.prefect_api.step import step
from tasks.reconciliation.differences import compare, compare_tracking, to_resend, why_not_here
from tasks.reconciliation.store import highest_order_id, orders_here, pages_of_orders, rejected_among

GROUP = 1000
"""How many orders that the scan did not show are asked for at once."""


class Reconciliation:
    """What every batch of one reconciliation shares. A plain object: the engine must not walk through it.

    ``seen`` has one byte for each order of the desk, at its id: 1 if podOS showed it. It is all that grows
    with the desk: 200 KB for 200,000 orders.
    """

    __slots__ = ("engine", "mark", "on_findings", "report", "seen", "settings")

    def __init__(
        self,
        engine: Engine,
        settings: ImportSettings,
        report: ReconcileReport,
        on_findings: Callable[[Sequence[Finding]], None] | None = None,
    ) -> None:
        self.engine = engine
        self.settings = settings
        self.report = report
        self.mark = read_watermark(engine, settings)
        self.seen = bytearray(highest_order_id(engine) + 1)
        self.on_findings = on_findings

    def see(self, order: DeskOrder) -> None:
        """Note that podOS has an order of the desk; one imported since the beginning needs no note."""
        if order.id < len(self.seen):
            self.seen[order.id] = 1

    def tell(self, findings: Sequence[Finding]) -> None:
        """Count findings and hand them on."""
        self.report.add(findings)
        if findings and self.on_findings:
            self.on_findings(findings)

    def unseen(self) -> Iterator[dict[str, tuple[int, str]]]:
        """Give the desk's orders that podOS did not show: (id, order number) by source id, in groups."""
        group: dict[str, tuple[int, str]] = {}
        since, last = self.report.since, len(self.seen) - 1
        for page in pages_of_orders(self.engine, self.settings.project, since, up_to_id=last):
            group |= {source_id: (id_, number) for id_, source_id, number in page if not self.seen[id_]}
            while len(group) >= GROUP:
                first = dict(list(group.items())[:GROUP])
                yield first
                group = {source_id: order for source_id, order in group.items() if source_id not in first}
        if group:
            yield group


@dataclass
class Compared:
    """What came of one batch; ``prepared`` is what an import would make of the orders that are not here.

    ``lost`` are orders whose tracking podOS seems not to have; ``resend`` shipments that can be sent again.
    """

    prepared: Prepared
    read: int
    here: dict[str, DeskOrder]
    findings: list[Finding] = field(default_factory=list)
    lost: dict[str, DeskOrder] = field(default_factory=dict)
    resend: dict[Difference, list[int]] = field(default_factory=dict)

    @property
    def missed(self) -> int:
        """The number of orders that should be here and are not."""
        return sum(finding.difference is Difference.MISSED for finding in self.findings)


def compare_batch(batch: Batch, look: Reconciliation) -> Compared:
    """Compare a batch with the desk; writes nothing. Safe to repeat."""
    project = look.settings.project
    rows: list[Row] = [*batch.fulfillments, *batch.unreadable]
    ids = [row.id for row in rows if row.id]
    with reading(look.engine) as connection:
        here = orders_here(connection, project, ids)
        batch.known = frozenset(here)
        prepared = prepare(batch, look.settings)
        rejected = rejected_among(connection, project, [order.source_id for order in prepared.orders])
    done = Compared(prepared, len(batch), here)
    done.findings += _not_here(batch, prepared, rejected, look)
    for row in batch.unreadable:
        if order := here.get(row.id or ""):
            why = (Difference.UNREADABLE_THERE, order.source_id, order.id, order.order_number, row.reason)
            done.findings.append(Finding(*why))
        else:
            done.findings.append(Finding(Difference.REJECTED, row.key, detail=row.reason))
    _compare_known({row.id: row for row in batch.fulfillments if row.id in here}.values(), done, look)
    return done


def _not_here(
    batch: Batch, prepared: Prepared, rejected: set[str], look: Reconciliation
) -> Iterator[Finding]:
    changed = {row.id: row.updated_at for row in batch.fulfillments}
    numbers = {order.source_id: order.order_number for order in prepared.orders}
    for source_id, outcome in (prepared.skipped | dict.fromkeys(numbers)).items():
        was = source_id in rejected
        why, detail = why_not_here(outcome, changed[source_id], look.mark, was_rejected=was)
        yield Finding(why, source_id, None, numbers.get(source_id), detail)


def _compare_known(rows: Iterable[Fulfillment], done: Compared, look: Reconciliation) -> None:
    known = list(rows)
    for row, theirs in zip(known, to_orders(known, look.settings), strict=True):
        order = done.here[row.id or ""]
        done.findings += compare(row, order, theirs, canceled_folder=look.settings.canceled_folder)
        if shipments := to_resend(row, order):
            difference, _ = compare_tracking(row, order) or (Difference.TRACKING_FAILED, None)
            done.resend.setdefault(difference, []).extend(shipments)
            if difference is Difference.TRACKING_LOST:
                done.lost[order.source_id] = order


def confirm(done: Compared, rows: Sequence[Row]) -> None:
    """Drop what a sync sent after podOS was read: ``rows`` were read after the desk. Safe to repeat."""
    for row in rows:
        order = done.lost.get(row.id or "")
        if order is None or not isinstance(row, Fulfillment) or to_resend(row, order):
            continue
        lost = (Difference.TRACKING_LOST, order.id)
        done.findings = [
            finding for finding in done.findings if (finding.difference, finding.order_id) != lost
        ]
        mine = {shipment.id for shipment in order.shipments}
        ids = done.resend[Difference.TRACKING_LOST]
        done.resend[Difference.TRACKING_LOST] = [id_ for id_ in ids if id_ not in mine]


@step("compare", run_name="compare {batch.number}")
async def compare_orders(batch: Batch, client: PodosClient, look: Reconciliation) -> Compared:
    """Compare one batch with the desk and count its differences (see ``compare_batch``)."""
    done = await run_in_thread(compare_batch, batch, look)
    if done.lost:
        confirm(done, await client.get_by_ids(list(done.lost)))
    for order in done.here.values():
        look.see(order)
    look.report.read += done.read
    look.report.here += len(done.here)
    look.tell(done.findings)
    return done
