"""The desk's tables, a file a family. They are built by ``models.migrations`` and by nothing else."""

from sqlalchemy import MetaData
from sqlmodel import SQLModel

from models.tables.changes import OrderChange
from models.tables.edits import OrderEdit
from models.tables.orders import Folder, Order, OrderHistory, OrderItem, RejectedOrder
from models.tables.outbox import Handover, Shipment
from models.tables.people import ApiToken, ShipmentRequest
from models.tables.rules import FulfillerMap, Rule, RuleEventRow
from models.tables.runs import Backfill, BackfillWindow, ImportRun, Lease, RequestPace, ScanMark
from models.tables.watches import WatchRow

metadata: MetaData = SQLModel.metadata

__all__ = [
    "ApiToken",
    "Backfill",
    "BackfillWindow",
    "Folder",
    "FulfillerMap",
    "Handover",
    "ImportRun",
    "Lease",
    "Order",
    "OrderChange",
    "OrderEdit",
    "OrderHistory",
    "OrderItem",
    "RejectedOrder",
    "RequestPace",
    "Rule",
    "RuleEventRow",
    "ScanMark",
    "Shipment",
    "ShipmentRequest",
    "WatchRow",
    "metadata",
]
