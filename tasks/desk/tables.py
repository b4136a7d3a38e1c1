"""The tables of the desk, as SQLAlchemy's expressions name them."""

from __future__ import annotations

from sqlalchemy import Table
from sqlmodel import SQLModel

from models.change_tables import OrderChange
from models.desk import (
    Backfill,
    BackfillWindow,
    Folder,
    ImportRun,
    Lease,
    Order,
    OrderHistory,
    OrderItem,
    RejectedOrder,
    ScanMark,
)
from models.outbox import Handover, RequestPace, Shipment
from models.rule_tables import FulfillerMap, Rule, RuleEventRow
from models.watching import WatchRow


def _table(model: type[SQLModel]) -> Table:
    table: Table = model.__table__  # type: ignore[attr-defined]
    return table


BACKFILLS = _table(Backfill)
CHANGES = _table(OrderChange)
EVENTS = _table(RuleEventRow)
FOLDERS = _table(Folder)
HANDOVERS = _table(Handover)
HISTORY = _table(OrderHistory)
ITEMS = _table(OrderItem)
LEASES = _table(Lease)
MAPS = _table(FulfillerMap)
MARKS = _table(ScanMark)
ORDERS = _table(Order)
PACES = _table(RequestPace)
REJECTED = _table(RejectedOrder)
RULES = _table(Rule)
RUNS = _table(ImportRun)
SHIPMENTS = _table(Shipment)
WATCHES = _table(WatchRow)
WINDOWS = _table(BackfillWindow)
