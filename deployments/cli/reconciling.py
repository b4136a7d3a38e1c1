"""`desk reconcile`."""

from __future__ import annotations

import asyncio
import csv
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from deployments.cli.integrations import Name
from deployments.cli.new_file import new_file
from deployments.cli.orders import ExportFormat
from deployments.cli.output import AsJson, json_text, print_json, progress, say, show, table
from deployments.cli.run_outcome import run_observed
from deployments.stack.environment import prepare_prefect
from models.errors import AppError
from tasks.text_cells import csv_cell, terminal_cell

if TYPE_CHECKING:
    from models.reconciling import Finding, ReconcileReport

COLUMNS = ("difference", "source_id", "order_id", "order_number", "detail", "reason")


class DifferencesLeftError(AppError):
    """Orders were missed, or tracking is not in podOS, and it was not mended."""


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("reconcile", epilog="Example: desk reconcile default --since 2026-11-01 --output found.csv")(
        reconcile
    )


def reconcile(
    name: Name = "default",
    *,
    since: Annotated[
        str | None, typer.Option(help="First day, e.g. 2026-11-01; without it the First Import Date.")
    ] = None,
    fix: Annotated[
        bool,
        typer.Option(
            "--fix", help="Import what was missed, send tracking again, hold what podOS no longer lists."
        ),
    ] = False,
    output: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write every difference to this file.")
    ] = None,
    format_: Annotated[
        ExportFormat | None,
        typer.Option("--format", help="Of the file; by its name: .csv is CSV, all else JSON lines."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Read podOS again and list every difference between it and the desk, with the reason.

    With --fix, orders that were missed are imported and tracking that podOS does not show is sent again;
    nothing is deleted, and what is here is not overwritten. Exit code 1: orders were missed, or tracking did
    not arrive, and it is not mended.
    """
    prepare_prefect(quiet=True, needs_server=True)
    from deployments.cli.connecting import checked_name

    checked_name(name)
    day = _day(since)
    if format_ and not output:
        raise typer.BadParameter("--format is that of a file: give --output FILE", param_hint="--format")
    with _written_to(output, format_) as write:
        report = run_and_watch(name, day, fix=fix, on_findings=write)
    if as_json:
        print_json(report.as_dict())
    else:
        _print(report)
    if output:
        count = sum(report.counts.values())
        say(f"{count} {'difference' if count == 1 else 'differences'} written to {output}")
    if report.not_resent and fix:
        say(report.not_resent)
    if report.alarming:
        raise DifferencesLeftError(_alarm(report))


def _day(text: str | None) -> date | None:
    try:
        return date.fromisoformat(text) if text else None
    except ValueError:
        raise typer.BadParameter(f"{text!r} is no day; write 2026-11-01", param_hint="--since") from None


def run_and_watch(
    name: str, since: date | None, *, fix: bool, on_findings: Callable[[Sequence[Finding]], None] | None
) -> ReconcileReport:
    """Run the flow in this process, show its progress on a terminal and return its report.

    Raises:
        Exception: the error that ended the run, as it was.
        RunFailedError: Prefect ended it for a reason of its own.
    """
    from flows.reconcile_orders import reconcile_orders
    from flows.runs import Observer
    from models.forms import Reconcile

    request = Reconcile(integration=name, since=since, fix=fix)
    with progress(f"comparing orders of {name}") as shown:
        observing = Observer(lambda report: shown(report.read, report.one_line()), on_findings)
        run = run_observed(lambda: reconcile_orders(request, return_state=True), name, observing)
        report: ReconcileReport = asyncio.run(run)
    if observing.error:
        raise observing.error
    return report


@contextmanager
def _written_to(
    path: Path | None, format_: ExportFormat | None
) -> Iterator[Callable[[Sequence[Finding]], None] | None]:
    """Give a function that writes findings to a file, which is there only when all is written."""
    if path is None:
        yield None
        return
    is_csv = path.suffix.lower() == ".csv" if format_ is None else format_ is ExportFormat.CSV
    with new_file(path) as file:
        writer = csv.writer(file)
        if is_csv:
            writer.writerow(COLUMNS)

        def write(findings: Sequence[Finding]) -> None:
            for finding in findings:
                values = finding.as_dict()
                if is_csv:
                    writer.writerow([csv_cell(values[name]) for name in COLUMNS])
                else:
                    file.write(json_text(values) + "\n")

        yield write


def _print(report: ReconcileReport) -> None:
    from models.reconciling import ALARMING, Difference, title_of

    columns = [f"Reconciliation of {report.integration}", "Orders"]
    rows: list[tuple[object, ...]] = [("In podOS", report.read), ("of these, here", report.here)]
    for difference in Difference:
        if report.counts[difference] or difference in ALARMING:
            rows.append((title_of(difference), report.counts[difference]))
            if report.fix and difference in ALARMING:
                rows.append(("  of these, mended", report.fixed[difference]))
    table(columns, rows)
    for difference in ALARMING:
        for finding in report.examples.get(difference, []):
            number = f" ({terminal_cell(finding.order_number)})" if finding.order_number else ""
            detail = f": {terminal_cell(finding.detail)}" if finding.detail else ""
            show(f"{difference.value.replace('_', ' ')}: {terminal_cell(finding.source_id)}{number}{detail}")


def _alarm(report: ReconcileReport) -> str:
    from models.reconciling import ALARMING, Difference

    left = {difference: report.counts[difference] - report.fixed[difference] for difference in ALARMING}
    missed = left[Difference.MISSED]
    tracking = sum(left.values()) - missed
    parts = [f"{missed} missed here"] if missed else []
    parts += [f"{tracking} without their tracking in podOS"] if tracking else []
    what = f"orders: {', '.join(parts)}"
    if report.fix:
        return f"{what}; see: desk shipments"
    return f"{what}; mend it with: desk reconcile {report.integration} --fix"
