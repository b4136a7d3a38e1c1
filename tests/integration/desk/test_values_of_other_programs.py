"""SQLite refuses what is no text, time or number in the tables that other programs write into."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import Engine, make_url

from tasks.desk.engine import open_desk
from tests.support.builders import insert_order

TIME = "a UTC time such as 2026-11-23 10:15:00"


@pytest.fixture
def desk_on_sqlite(tmp_path: Path) -> Iterator[Engine]:
    engine = open_desk(f"sqlite:///{tmp_path / 'desk.db'}")
    insert_order(engine, source_id="s-1")
    yield engine
    engine.dispose()


def write(engine: Engine, statement: str) -> None:
    with closing(sqlite3.connect(str(make_url(str(engine.url)).database))) as connection:
        connection.execute(statement)
        connection.commit()


@pytest.mark.parametrize(
    ("column", "value", "needed"),
    [
        ("code", "CAST('155' AS BLOB)", "text: write it between quotes"),
        ("url", "x'00ff'", "text: write it between quotes"),
        ("shipped_at", "'23/11/2026'", TIME),
        ("shipped_at", "'2026-13-01 00:00:00'", TIME),
        ("shipped_at", "1767225600", TIME),
        ("next_attempt_at", "''", TIME),
        ("overwrite", "'yes'", "a whole number"),
        ("attempts", "1.5", "a whole number"),
    ],
)
def test_a_wrong_value_is_refused_and_says_what_is_needed(
    desk_on_sqlite: Engine, column: str, value: str, needed: str
) -> None:
    row = {"order_id": "1", "courier": "'DPD'", "code": "'155'", column: value}
    refused = rf"shipments\.{column} must be {needed}"
    with pytest.raises(sqlite3.IntegrityError, match=refused):
        write(desk_on_sqlite, f"INSERT INTO shipments ({', '.join(row)}) VALUES ({', '.join(row.values())})")
    write(desk_on_sqlite, "INSERT INTO shipments (order_id, courier, code) VALUES (1, 'DPD', '155')")
    with pytest.raises(sqlite3.IntegrityError, match=refused):
        write(desk_on_sqlite, f"UPDATE shipments SET {column} = {value}")


@pytest.mark.parametrize(
    "shipped_at", ["NULL", "'2026-11-23 10:15:00'", "'2026-11-23 10:15:00.123456'", "CURRENT_TIMESTAMP"]
)
def test_a_row_as_documented_is_taken(desk_on_sqlite: Engine, shipped_at: str) -> None:
    columns = "order_id, courier, code, url, shipped_at, overwrite"
    values = f"1, 'DPD', '0155', 'https://x.example.test/0155', {shipped_at}, 1"
    write(desk_on_sqlite, f"INSERT INTO shipments ({columns}) VALUES ({values})")


def test_a_number_becomes_text_as_sqlite_does_it(desk_on_sqlite: Engine) -> None:
    write(desk_on_sqlite, "INSERT INTO shipments (order_id, courier, code) VALUES (1, 'DPD', 155)")


def test_a_handover_that_is_no_text_is_refused(desk_on_sqlite: Engine) -> None:
    with pytest.raises(sqlite3.IntegrityError, match=r"handovers\.fulfiller must be text"):
        write(desk_on_sqlite, "INSERT INTO handovers (order_id, fulfiller) VALUES (1, x'6163')")
