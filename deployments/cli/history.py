"""`desk runs` and `desk rejected`."""

from __future__ import annotations

from typing import Annotated

import typer

from deployments.cli.desk_access import open_the_desk
from deployments.cli.output import AsJson, print_json, say, table, when

rejected_app = typer.Typer()
"""The group `desk rejected`; `replay` is added to it where runs are started."""

OfIntegration = Annotated[
    str | None, typer.Option("--integration", metavar="NAME", help="Only those of this integration.")
]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command("runs", epilog="Example: desk runs --limit 5")(runs)
    app.add_typer(rejected_app, name="rejected")


def runs(
    *,
    integration: OfIntegration = None,
    limit: Annotated[int, typer.Option(min=1, metavar="N", help="At most N runs.")] = 20,
    as_json: AsJson = False,
) -> None:
    """List the checks, imports and syncs, the newest first: when, what came of them, and why one failed."""
    from models.reports import SKIPPED, Outcome
    from models.tables.outbox import OutboxState
    from tasks.desk.run_history import list_runs

    with open_the_desk() as engine:
        found = list_runs(engine, integration=integration, limit=limit)
    if as_json:
        print_json([run.as_dict() for run in found])
        return
    table(
        [
            *("Run", "Integration", "Kind", "State", "Started (UTC)", "Finished (UTC)"),
            *("Imported", "Sent", "Already there", "Skipped", "Rejected", "Attention", "Error"),
        ],
        [
            (
                *(run.id, run.integration, run.kind, run.state),
                *(when(run.started_at), when(run.finished_at)),
                run.counts.get(Outcome.IMPORTED, 0),
                run.counts.get(OutboxState.SENT, 0),
                run.counts.get(Outcome.ALREADY_IMPORTED, 0) + run.counts.get(OutboxState.ALREADY_THERE, 0),
                sum(run.counts.get(reason, 0) for reason in SKIPPED),
                run.counts.get(Outcome.REJECTED, 0),
                run.needs_attention,
                run.error,
            )
            for run in found
        ],
        optional=(
            *("Attention", "Rejected", "Already there", "Skipped", "Finished (UTC)", "Integration", "Sent"),
            "Kind",
        ),
    )


@rejected_app.callback(invoke_without_command=True, epilog="Example: desk rejected --json")
def list_the_rejected(
    context: typer.Context, *, integration: OfIntegration = None, as_json: AsJson = False
) -> None:
    """List the rejected orders: those that could not be read, with the reason."""
    if context.invoked_subcommand:
        if integration or as_json:
            raise typer.BadParameter(
                f"put options behind the command: desk rejected {context.invoked_subcommand} ..."
            )
        return
    from tasks.imports.rejected_list import list_rejected

    with open_the_desk() as engine:
        found = list_rejected(engine, integration=integration)
    if as_json:
        print_json([order.as_dict() for order in found])
        return
    table(
        ["Id", "Integration", "podOS id", "Reason", "First seen (UTC)", "Last seen (UTC)", "Tries", "Run"],
        [
            (
                *(order.id, order.integration, order.source_id, order.reason),
                *(when(order.first_seen_at), when(order.last_seen_at), order.attempts, order.run_id),
            )
            for order in found
        ],
        optional=("Run", "Tries", "First seen (UTC)", "Integration", "Last seen (UTC)"),
    )
    if found:
        say("desk rejected replay tries them again.")
