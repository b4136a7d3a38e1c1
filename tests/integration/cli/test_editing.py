"""`desk edit` as a person uses it."""

from __future__ import annotations

import json

import pytest
from sqlalchemy import Engine

from tasks.desk.browse import find_order
from tests.support.commands import RunDesk
from tests.support.loading import NOW, batch, fulfillment, new_run

ARTWORK = "https://artwork.example.test/late.png"


@pytest.fixture
def waiting(cli_engine: Engine) -> None:
    """An order without artwork, in Needs Attention."""
    from tasks.imports.load import load

    load(batch(fulfillment("s-1", design=None, merchant_reference="1001")), new_run(cli_engine), now=NOW)


@pytest.mark.usefixtures("waiting")
def test_artwork_is_entered_and_the_order_goes_on(desk_command: RunDesk, cli_engine: Engine) -> None:
    done = desk_command("edit", "A-1001", "--item", "1", "--set", f"print_url_1={ARTWORK}")
    assert (done.code, done.out) == (
        0,
        "order A-1001 to an unknown country: item 1 print_url_1 changed\nit went to Incoming\n",
    )
    assert find_order(cli_engine, "s-1").order["folder"] == "Incoming"


@pytest.mark.usefixtures("waiting")
def test_what_is_missing_still_is_said_and_an_edit_is_undone(
    desk_command: RunDesk, cli_engine: Engine
) -> None:
    done = desk_command("edit", "A-1001", "--city", "Leeds", "--country", "United Kingdom")
    assert done.out.splitlines() == [
        "order A-1001 to an unknown country: ship_city, ship_country changed",
        "still needs attention: no design address: item 1, print 1",
    ]
    undone = desk_command("edit", "A-1001", "--undo", "--json")
    assert json.loads(undone.out)["fields"] == ["ship_city", "ship_country"]
    assert find_order(cli_engine, "s-1").order["shipping"]["city"] is None


@pytest.mark.usefixtures("waiting")
@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (("A-1001",), "nothing to edit was given"),
        (("A-1001", "--sku", "x"), "say which with --item N"),
        (("A-1001", "--item", "2", "--sku", "x"), "the order has no item 2: it has 1"),
        (("A-1001", "--country", "Atlantis"), "ship_country names no country"),
        (("A-1001", "--set", "print_url_1"), "write KEY=VALUE"),
        (
            ("A-1001", "--item", "1", "--set", "print_url_1=1.png"),
            "must be an address that begins with https://",
        ),
        (("A-1001", "--undo", "--city", "Leeds"), "--undo takes back the last edit: give no values"),
        (("A-1001", "--undo"), "has no edit that can be undone"),
        (("nobody", "--city", "Leeds"), "nobody"),
    ],
)
def test_what_can_not_be_done_is_said_and_changes_nothing(
    desk_command: RunDesk, cli_engine: Engine, arguments: tuple[str, ...], error: str
) -> None:
    before = find_order(cli_engine, "s-1").as_dict()
    done = desk_command("edit", *arguments)
    assert done.code != 0
    assert error in done.err
    assert find_order(cli_engine, "s-1").as_dict() == before
