"""The tables of the desk, as SQLAlchemy's expressions name them."""

from __future__ import annotations

from sqlalchemy import Table
from sqlmodel import SQLModel

from models.tables.changes import OrderChange
from models.tables.edits import OrderEdit
from models.tables.orders import Folder, Order, OrderHistory, OrderItem, RejectedOrder
from models.tables.outbox import Handover, ProductionState, Shipment
from models.tables.people import ApiToken, ShipmentRequest
from models.tables.rules import FulfillerMap, Rule, RuleEventRow
from models.tables.runs import Backfill, BackfillWindow, ImportRun, Lease, RequestPace, ScanMark
from models.tables.watches import WatchRow


def _table(model: type[SQLModel]) -> Table:
    table: Table = model.__table__  # type: ignore[attr-defined]
    return table


BACKFILLS = _table(Backfill)
CHANGES = _table(OrderChange)
EDITS = _table(OrderEdit)
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
PRODUCTION = _table(ProductionState)
REJECTED = _table(RejectedOrder)
RULES = _table(Rule)
RUNS = _table(ImportRun)
SHIPMENTS = _table(Shipment)
SHIPMENT_REQUESTS = _table(ShipmentRequest)
TOKENS = _table(ApiToken)
WATCHES = _table(WatchRow)
WINDOWS = _table(BackfillWindow)
