"""Many rows at once: all of them arrive, and one that exists already is left as it is."""

from __future__ import annotations

import pytest
from sqlalchemy import Engine, select

from models.tables import metadata
from tasks.desk.engine import reading, writing
from tasks.desk.sql import GROUPS, insert_new

FOLDERS = metadata.tables["folders"]
COLUMNS = ("id", "name", "name_key")
FIRST = 1_000


def rows(count: int) -> list[tuple[int, str, str]]:
    return [(FIRST + number, f"Folder {number}", f"folder {number}") for number in range(count)]


def stored(desk: Engine) -> dict[int, str]:
    with reading(desk) as connection:
        found = connection.execute(select(FOLDERS.c.id, FOLDERS.c.name).where(FOLDERS.c.id >= FIRST)).all()
    return {row.id: row.name for row in found}


@pytest.mark.parametrize("count", [1, GROUPS[0] - 1, GROUPS[0], 2 * GROUPS[0] + 77])
def test_every_row_arrives_whatever_their_number(desk: Engine, count: int) -> None:
    with writing(desk) as connection:
        assert insert_new(connection, "folders", COLUMNS, rows(count))
    assert stored(desk) == {id_: name for id_, name, _ in rows(count)}


def test_rows_that_exist_are_left_and_said(desk: Engine) -> None:
    there = [(FIRST + 5, "A person's name", "folder 5"), (FIRST + 200, "Another", "another")]
    with writing(desk) as connection:
        insert_new(connection, "folders", COLUMNS, there)
        assert not insert_new(connection, "folders", COLUMNS, rows(300))
    found = stored(desk)
    assert len(found) == 300
    assert (found[FIRST + 5], found[FIRST + 200]) == ("A person's name", "Another")
