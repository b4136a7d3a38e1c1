"""The run forms of the Prefect UI: what a person is asked, with title and help for each field."""

from __future__ import annotations

from datetime import date

from pydantic import BaseModel, ConfigDict, Field

TIME_OF_DAY = r"^$|^([01]\d|2[0-3]):[0-5]\d(:[0-5]\d)?$"


class ManualImport(BaseModel):
    """What to import."""

    model_config = ConfigDict(title="Manual import", hide_input_in_errors=True, extra="forbid")

    integration: str = Field(
        default="default",
        title="Integration",
        description="The name of the connected integration (its block's name).",
        min_length=1,
    )
    since: date = Field(
        title="Import from",
        description="Orders created on this day or later, in the integration's time zone. "
        "It may lie before the First Import Date.",
    )
    until: date | None = Field(
        default=None,
        title="Until",
        description="The last day, counted whole. Empty: up to now.",
    )
    dry_run: bool = Field(
        default=False,
        title="Dry run",
        description="Write nothing; only say what would be imported.",
    )
    since_time: str = Field(
        default="",
        title="From time of day",
        description="HH:MM on the first day. Empty: from its beginning.",
        pattern=TIME_OF_DAY,
    )
    until_time: str = Field(
        default="",
        title="Until time of day",
        description="HH:MM on the last day, exclusive. Empty: to its end.",
        pattern=TIME_OF_DAY,
    )


class Backfill(BaseModel):
    """What to import, in windows that the workers share."""

    model_config = ConfigDict(title="Backfill", hide_input_in_errors=True, extra="forbid")

    integration: str = Field(
        default="default",
        title="Integration",
        description="The name of the connected integration (its block's name).",
        min_length=1,
    )
    since: date = Field(
        title="Import from",
        description="Orders created on this day or later, in the integration's time zone. "
        "It may lie before the First Import Date.",
    )
    until: date | None = Field(
        default=None,
        title="Until",
        description="The last day, counted whole. Empty: up to now.",
    )
    windows: int = Field(
        default=8,
        title="Windows",
        description="Into how many parts the orders are split; each is a run of its own on a worker. "
        "A few times the number of workers; each should be minutes of work.",
        ge=1,
        le=1000,
    )


class Reconcile(BaseModel):
    """What to compare with podOS."""

    model_config = ConfigDict(title="Reconciliation", hide_input_in_errors=True, extra="forbid")

    integration: str = Field(
        default="",
        title="Integration",
        description="The name of the connected integration (its block's name). Empty: all, one by one.",
    )
    since: date | None = Field(
        default=None,
        title="Compare from",
        description="Orders created on this day or later, in the integration's time zone. "
        "Empty: from the First Import Date.",
    )
    fix: bool = Field(
        default=False,
        title="Fix",
        description="Import what was missed and send tracking again that podOS does not show. "
        "Nothing is deleted or overwritten.",
    )
