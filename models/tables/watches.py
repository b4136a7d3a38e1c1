"""Recurring work that is watched, and what is wrong with it."""

from datetime import datetime
from typing import ClassVar

from sqlalchemy import Column
from sqlmodel import Field, SQLModel

from models.types import PlainText, UtcDateTime


class WatchRow(SQLModel, table=True):
    """One cause for an alert: when it was last well, and since when it is in trouble.

    ``told_at`` is when a Prefect server took the alert; null while ``trouble_at`` is set: still to be told.
    """

    __tablename__: ClassVar[str] = "watches"

    cause: str = Field(sa_column=Column(PlainText, primary_key=True))
    well_at: datetime | None = Field(default=None, sa_column=Column(UtcDateTime))
    trouble_at: datetime | None = Field(default=None, sa_column=Column(UtcDateTime))
    told_at: datetime | None = Field(default=None, sa_column=Column(UtcDateTime))
    reason: str | None = Field(default=None, sa_column=Column(PlainText))
