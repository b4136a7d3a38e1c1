"""Values on their way into SQLite past the column types."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from sqlalchemy import Column, MetaData, Table, create_engine, text

from models.types import UtcDateTime, utc_text


@pytest.mark.parametrize(
    "instant",
    [
        datetime(2026, 11, 23, 10, 15, tzinfo=UTC),
        datetime(2026, 11, 23, 10, 15, 7, 45, tzinfo=UTC),
        datetime(2000, 1, 2, 3, 4, 5, 678901, tzinfo=timezone(timedelta(hours=5, minutes=30))),
        datetime(2999, 12, 31, 23, 59, 59, 999999, tzinfo=timezone(timedelta(hours=-8))),
    ],
)
def test_an_instant_is_written_as_the_column_type_writes_it(instant: datetime) -> None:
    table = Table("moments", MetaData(), Column("at", UtcDateTime))
    with create_engine("sqlite://").connect() as connection:
        table.create(connection)
        connection.execute(table.insert().values(at=instant))
        by_the_type = connection.execute(text("SELECT at FROM moments")).scalar_one()
    assert utc_text(instant) == by_the_type
