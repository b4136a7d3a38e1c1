"""Runs and what they share: watermarks, leases, the pace of requests, backfills and their windows."""

from datetime import datetime
from enum import StrEnum
from typing import Any, ClassVar

from sqlalchemy import (
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
)
from sqlmodel import Field, SQLModel

from models.types import (
    BigId,
    Counts,
    JsonObject,
    PlainText,
    RowRef,
    UtcDateTime,
    Whole,
)


class RunState(StrEnum):
    """Where a run of an import stands."""

    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"
    CRASHED = "crashed"


class ImportRun(SQLModel, table=True):
    """One check or manual import: the history that outlives Prefect's."""

    __tablename__: ClassVar[str] = "import_runs"
    __table_args__ = (Index("ix_import_runs_integration_kind_state", "integration", "kind", "state"),)

    id: int | None = Field(default=None, sa_column=Column(BigId, primary_key=True))
    integration: str = Field(sa_column=Column(PlainText, nullable=False))
    project: str = Field(sa_column=Column(PlainText, nullable=False))
    kind: str = Field(sa_column=Column(PlainText, nullable=False))
    state: str = Field(sa_column=Column(PlainText, nullable=False))
    lease_name: str = Field(sa_column=Column(PlainText, nullable=False))
    started_at: datetime = Field(sa_column=Column(UtcDateTime, nullable=False))
    finished_at: datetime | None = Field(default=None, sa_column=Column(UtcDateTime))
    since: datetime | None = Field(default=None, sa_column=Column(UtcDateTime))
    until: datetime | None = Field(default=None, sa_column=Column(UtcDateTime))
    counts: dict[str, int] = Field(sa_column=Column(Counts(required=True), nullable=False))
    needs_attention: int = Field(default=0, sa_column=Column(Whole, nullable=False))
    mark_before: datetime | None = Field(default=None, sa_column=Column(UtcDateTime))
    mark_after: datetime | None = Field(default=None, sa_column=Column(UtcDateTime))
    settings: dict[str, Any] = Field(sa_column=Column(JsonObject(required=True), nullable=False))
    flow_run_id: str | None = Field(default=None, sa_column=Column(PlainText))
    error: str | None = Field(default=None, sa_column=Column(PlainText))


class ScanMark(SQLModel, table=True):
    """Up to where an integration's orders were read, and for which filter that holds."""

    __tablename__: ClassVar[str] = "scan_marks"

    integration: str = Field(sa_column=Column(PlainText, primary_key=True))
    fingerprint: str = Field(sa_column=Column(PlainText, nullable=False))
    mark_at: datetime = Field(sa_column=Column(UtcDateTime, nullable=False))
    run_id: int = Field(sa_column=Column(RowRef, ForeignKey("import_runs.id"), nullable=False))


class Lease(SQLModel, table=True):
    """Who works on something right now; free again when ``expires_at`` has passed."""

    __tablename__: ClassVar[str] = "leases"

    name: str = Field(sa_column=Column(PlainText, primary_key=True))
    holder: str = Field(sa_column=Column(PlainText, nullable=False))
    acquired_at: datetime = Field(sa_column=Column(UtcDateTime, nullable=False))
    expires_at: datetime = Field(sa_column=Column(UtcDateTime, nullable=False))


class RequestPace(SQLModel, table=True):
    """From when on an integration's next request may be made; all its processes take their turns here.

    The rate that podOS last refused, when, and the one kept to since then are empty where it refuses none.
    """

    __tablename__: ClassVar[str] = "request_paces"

    integration: str = Field(sa_column=Column(PlainText, primary_key=True))
    free_at: datetime = Field(sa_column=Column(UtcDateTime, nullable=False))
    throttled_per_second: float | None = Field(default=None, sa_column=Column(Float))
    refused_per_second: float | None = Field(default=None, sa_column=Column(Float))
    refused_at: datetime | None = Field(default=None, sa_column=Column(UtcDateTime))


class WindowState(StrEnum):
    """Where a window of a backfill stands."""

    WAITING = "waiting"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"


class Backfill(SQLModel, table=True):
    """A manual import that was split into windows; ``until`` None is open."""

    __tablename__: ClassVar[str] = "backfills"

    id: int | None = Field(default=None, sa_column=Column(BigId, primary_key=True))
    integration: str = Field(sa_column=Column(PlainText, nullable=False))
    fingerprint: str = Field(sa_column=Column(PlainText, nullable=False))
    since: datetime = Field(sa_column=Column(UtcDateTime, nullable=False))
    until: datetime | None = Field(default=None, sa_column=Column(UtcDateTime))
    created_at: datetime = Field(sa_column=Column(UtcDateTime, nullable=False))


class BackfillWindow(SQLModel, table=True):
    """One part of a backfill: a half-open span of ``createdAt`` that one flow run imports."""

    __tablename__: ClassVar[str] = "backfill_windows"

    backfill_id: int = Field(sa_column=Column(BigId, ForeignKey("backfills.id"), primary_key=True))
    number: int = Field(sa_column=Column(Integer, primary_key=True, autoincrement=False))
    since: datetime = Field(sa_column=Column(UtcDateTime, nullable=False))
    until: datetime | None = Field(default=None, sa_column=Column(UtcDateTime))
    state: str = Field(sa_column=Column(PlainText, nullable=False))
    attempts: int = Field(default=0, sa_column=Column(Whole, nullable=False))
    flow_run_id: str | None = Field(default=None, sa_column=Column(PlainText))
    counts: dict[str, int] = Field(sa_column=Column(Counts(required=True), nullable=False))
    needs_attention: int = Field(default=0, sa_column=Column(Whole, nullable=False))
    error: str | None = Field(default=None, sa_column=Column(PlainText))
