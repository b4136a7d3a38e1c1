"""The desk works in sessions that begin with odd settings, and refuses a database that is not UTF-8."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from sqlalchemy import text

from tasks.desk.browse import find_order
from tasks.desk.engine import open_desk, reading
from tasks.desk.errors import DeskSettingsError
from tests.support.builders import CREATED, insert_order
from tests.support.postgres import address_of, administer

ODD = {
    "DateStyle": "German, DMY",
    "IntervalStyle": "sql_standard",
    "TimeZone": "Asia/Kolkata",
    "client_encoding": "LATIN1",
    "standard_conforming_strings": "off",
    "default_transaction_read_only": "off",
}


@pytest.fixture
def odd_url(postgres_server: str) -> Iterator[str]:
    """A database whose sessions begin with settings of its own."""
    administer(postgres_server, "CREATE DATABASE odd_sessions")
    for name, value in ODD.items():
        administer(postgres_server, f"ALTER DATABASE odd_sessions SET {name} = '{value}'")
    yield address_of(postgres_server, "odd_sessions")
    administer(postgres_server, "DROP DATABASE odd_sessions WITH (FORCE)")


@pytest.mark.parametrize("encoding", ["LATIN1", "SQL_ASCII"])
def test_a_database_that_can_not_keep_every_text_is_refused_before_anything_is_made(
    postgres_server: str, encoding: str
) -> None:
    name = f"odd_{encoding.lower()}"
    administer(
        postgres_server,
        f"CREATE DATABASE {name} ENCODING '{encoding}' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0",
    )
    url = address_of(postgres_server, name)
    with pytest.raises(DeskSettingsError, match=rf"has the encoding {encoding}.*ENCODING 'UTF8'"):
        open_desk(url)
    administer(postgres_server, f"DROP DATABASE {name}")


def test_settings_of_the_role_or_the_database_change_nothing(odd_url: str) -> None:
    desk = open_desk(odd_url)
    insert_order(desk, source_id="s-1", ship_name="Zoë 🦊 Sample", order_number=r"a\b'c")
    order = find_order(desk, "s-1").order
    assert (order["shipping"]["name"], order["order_number"]) == ("Zoë 🦊 Sample", r"a\b'c")
    with reading(desk) as connection:
        shown = {name: connection.execute(text(f"SHOW {name}")).scalar_one() for name in ODD}
    assert (shown["DateStyle"], shown["TimeZone"], shown["client_encoding"]) == ("ISO, YMD", "UTC", "UTF8")
    desk.dispose()


def test_times_come_back_as_they_were_written(odd_url: str) -> None:
    desk = open_desk(odd_url)
    insert_order(desk, source_id="s-1")
    with reading(desk) as connection:
        moment = connection.execute(text("SELECT podos_created_at FROM orders")).scalar_one()
    assert moment == CREATED
    desk.dispose()
