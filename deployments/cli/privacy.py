"""`desk privacy erase`."""

from __future__ import annotations

import os
import pwd
import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from deployments.cli.desk_access import open_the_desk
from deployments.cli.order_arguments import ORDER_HELP, tell_desk_ids, the_orders
from deployments.cli.output import AsJson, print_json, say, table
from models.errors import ExitCode

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from models.privacy import ErasureReport
    from tasks.upkeep.erase import Selection

privacy_app = typer.Typer(no_args_is_help=True, help="Erase personal data from the desk.")


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.add_typer(privacy_app, name="privacy")


@privacy_app.command("erase", epilog="Example: desk privacy erase --older-than 180d --dry-run")
def erase(
    orders: Annotated[
        list[str] | None,
        typer.Argument(metavar="ORDER", help=ORDER_HELP),
    ] = None,
    *,
    older_than: Annotated[
        str | None,
        typer.Option(
            "--older-than", metavar="180d", help="All finished orders imported more than so many days ago."
        ),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only count.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    force: Annotated[
        bool,
        typer.Option("--force", help="Erase an ORDER that is not finished; it can't be sent any more."),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Blank the personal data of orders, for good: e-mail, phone, name, address, tracking codes, free texts.

    Order, items, metadata and counts stay, and so does the country. An erased order is not imported again.
    An order is finished when it is shipped, canceled or closed and nothing of it waits or has failed.
    """
    _check_options(orders, older_than, dry_run=dry_run, yes=yes, force=force, as_json=as_json)
    from tasks.upkeep.erase import count_erasable
    from tasks.upkeep.erase import erase as erase_selected

    now = datetime.now(UTC)
    with open_the_desk() as engine:
        named = the_orders(engine, orders or [], as_json=as_json)
        references = [order.reference for order in named]
        selection = _selected(engine, references, older_than, force=force, now=now)
        tell_desk_ids(named)
        report = count_erasable(engine, selection)
        if not dry_run:
            if not yes:
                _show(report)
                if not typer.confirm("Erase this for good?", err=True):
                    say("nothing was erased")
                    raise typer.Exit(ExitCode.FAILED)
            report.dry_run = False
            report.orders, report.rejected = erase_selected(engine, selection, by=_who(), now=now)
            _clean(engine, report)
    if as_json:
        print_json(report.as_dict())
    elif dry_run or yes:
        _show(report)
    if not dry_run:
        say(f"erased: {report.orders} orders, {report.rejected} rejected orders")
        _say_what_is_left(report)


def _check_options(
    orders: list[str] | None, older_than: str | None, *, dry_run: bool, yes: bool, force: bool, as_json: bool
) -> None:
    if bool(orders) == bool(older_than):
        raise typer.BadParameter("name orders, or say --older-than 180d")
    if force and older_than:
        raise typer.BadParameter("--force goes with single orders only")
    if not (dry_run or yes) and (as_json or not sys.stdin.isatty()):
        raise typer.BadParameter("nobody can be asked here: add --yes to erase, or --dry-run to count")


def _selected(
    engine: Engine, orders: list[str], older_than: str | None, *, force: bool, now: datetime
) -> Selection:
    from models.privacy import age
    from tasks.upkeep import erase as erasing
    from tasks.upkeep.finished import find_orders, refuse_unfinished

    if older_than:
        try:
            return erasing.older_than(now - age(older_than))
        except ValueError as error:
            raise typer.BadParameter(f"--older-than: {error}") from None
    order_ids, rejected_ids = find_orders(engine, orders)
    if not force:
        refuse_unfinished(engine, order_ids)
    return erasing.only(order_ids, rejected_ids)


def _clean(engine: Engine, report: ErasureReport) -> None:
    from tasks.desk.errors import DeskError, RetriableDeskError
    from tasks.upkeep.vacuum import clean_file

    try:
        report.file_cleaned = clean_file(engine)
    except DeskError as error:
        raise RetriableDeskError(
            f"{report.orders} orders and {report.rejected} rejected orders were erased, but the file of the "
            f"database could not be rewritten, so that old bytes may still lie in it: {error}. "
            "Run the same command again when nothing else uses it"
        ) from None


def _show(report: ErasureReport) -> None:
    rows: list[tuple[str, int]] = [
        ("Orders to erase" if report.dry_run else "Orders", report.orders),
        ("Rejected orders", report.rejected),
        ("Not finished: kept", report.not_finished),
        ("Tracking that waits for podOS: kept", report.tracking_kept),
        *((f"Also with fulfiller {name}", count) for name, count in report.handed_over.items()),
    ]
    table(["Personal data", "Number"], rows)


def _say_what_is_left(report: ErasureReport) -> None:
    if report.file_cleaned is None:
        say("PostgreSQL keeps old row versions until VACUUM FULL: see docs/runbook.md")
    if report.handed_over:
        say("fulfillers have copies of their own: ask them to erase theirs")
    say("backups, exports and the drop folder's done/ still hold what was in them: see docs/runbook.md")


def _who() -> str:
    user = os.getuid()
    try:
        return pwd.getpwuid(user).pw_name
    except KeyError:  # a container's user has no name
        return f"user {user}"
