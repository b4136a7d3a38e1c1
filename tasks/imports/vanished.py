"""Hold orders that podOS no longer lists: given away or merged, they may be printed elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Connection, update

from models.filters import ImportSettings
from models.tables.orders import NEEDS_ATTENTION
from models.upstream import (
    HELD_GONE,
    ChangeKind,
    ChangePlan,
    ChangeState,
    LocalOrder,
    NewChange,
    Noted,
)
from tasks.desk.tables import ORDERS
from tasks.imports.changes import warning
from tasks.imports.remote_changes import carry_out, hold_still, local_orders

NOT_LISTED = "not listed"


def plan_vanished(here: LocalOrder) -> ChangePlan:
    """Return what follows from an order's no longer being listed; nothing where that is known. Pure."""
    done = ChangePlan(here.id, here.source_id, here.hold_reason, here.address_digest, here.artwork_digest)
    statuses = [change for change in here.changes if change.kind == ChangeKind.STATUS]
    if statuses and statuses[-1].after.get("status") == NOT_LISTED:
        return done  # whoever released it since then had a reason
    if here.is_shipped:
        done.noted.append(Noted.AFTER_SHIPPING)
        return done
    done.hold_reason = here.hold_reason or HELD_GONE
    if here.folder.casefold() != NEEDS_ATTENTION.casefold():
        done.move_to, done.why = NEEDS_ATTENTION, HELD_GONE
    done.close = {
        change.id: ChangeState.SUPERSEDED for change in statuses if change.state == ChangeState.OPEN
    }
    before = {"status": here.podos_status, "folder": here.folder}
    after = {"status": NOT_LISTED, "folder": NEEDS_ATTENTION}
    done.changes.append(NewChange(ChangeKind.STATUS, ChangeState.OPEN, before, after))
    done.history.append(f"no longer listed: it is held{warning(here)}")
    done.noted.append(Noted.GONE)
    return done


def plan_all_vanished(
    connection: Connection, source_ids: Sequence[str], settings: ImportSettings
) -> list[ChangePlan]:
    """Return what follows for orders that podOS does not list; nothing is written."""
    return [plan_vanished(here) for here in local_orders(connection, source_ids, settings)]


def note_vanished(
    connection: Connection,
    source_ids: Sequence[str],
    settings: ImportSettings,
    *,
    run_id: int,
    now: datetime,
) -> list[ChangePlan]:
    """Hold and flag orders that podOS does not list, once, and move them to Needs Attention.

    Args:
        connection: in a writing transaction.
        source_ids: what podOS was asked for, and did not list.
        settings: the integration's.
        run_id: the run that asked.
        now: aware.

    Safe to repeat: what is known is not noted again.
    """
    if not source_ids:
        return []
    ids = [here.id for here in local_orders(connection, source_ids, settings)]
    hold_still(connection, ids, NEEDS_ATTENTION)
    done = plan_all_vanished(connection, source_ids, settings)
    news = [plan for plan in done if Noted.GONE in plan.noted]
    for plan in news:
        mine = update(ORDERS).where(ORDERS.c.id == plan.order_id)
        connection.execute(mine.values(hold_reason=plan.hold_reason))
    carry_out(connection, news, run_id=run_id, now=now)
    return done
