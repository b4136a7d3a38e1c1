"""One order: looked at, edited, shipped, settled; and its job sheet."""

from __future__ import annotations

import html
import re
from datetime import UTC, datetime
from urllib.parse import unquote

import pytest
from sqlalchemy import Engine

from deployments.web.sheets import qr_of
from models.edits import Edit
from tasks.desk.browse import find_order
from tasks.editing.store import edit_order
from tasks.imports.load import load
from tests.support.builders import insert_order, insert_shipment
from tests.support.loading import batch, fulfillment, new_run
from tests.support.pages import PageClient

ART = "https://files.example.test/2.png"


def form_of(page: str, button: str) -> dict[str, str]:
    """Return the form of a page that has a button, as a browser would send it unchanged."""
    (form,) = (
        form for form in re.findall(r"<form.*?</form>", page, re.DOTALL) if f">{button}</button>" in form
    )
    fields = re.findall(r'<input(?: type="hidden")? name="([^"]*)"[^>]*? value="([^"]*)"', form)
    areas = re.findall(r'<textarea name="([^"]*)"[^>]*>\n(.*?)</textarea>', form, re.DOTALL)
    return {html.unescape(name): html.unescape(value) for name, value in [*fields, *areas]}


def test_all_of_an_order_is_there(client: PageClient, desk: Engine) -> None:
    prints = {
        **{"print_url_1": ART, "print_preview_1": "http://plain.example.test/1.jpg"},
        **{"print_location_1": "front", "print_width_mm_1": "210", "print_height_mm_1": "297.5"},
    }
    insert_order(desk, order_number="A-1", items=({"item_metadata": prints, "notes": "two\nlines"},))
    text = client.get("/orders/1").text
    for part in (
        "Ada Lovelace",
        "02134",
        "ada@example.com",
        "TEE-BLK-M",
        "210 × 297.5 mm",
        "imported by check",
    ):
        assert part in text
    assert f'<img src="{ART}" alt="Design of print 1" loading="lazy" referrerpolicy="no-referrer"' in text
    assert 'src="http://' not in text
    assert "no https address" in text


def test_metadata_of_an_item_is_edited_and_undone(client: PageClient, desk: Engine) -> None:
    insert_order(desk, order_number="A-1")
    form = form_of(client.get("/orders/1").text, "Save item 1")
    assert form["meta.print_url_1"] == "https://cdn.example/1.png"
    for _ in range(2):  # a double click
        answer = client.post("/orders/1/edit", data=form | {"meta.print_url_1": ART, "quantity": "3"})
        assert (answer.status_code, answer.url.path) == (200, "/orders/1")
    detail = find_order(desk, "A-1")
    assert detail.order["items"][0]["metadata"]["print_url_1"] == ART
    assert detail.order["items"][0]["quantity"] == 3
    assert [entry.event for entry in detail.history] == ["imported", "edited"]
    assert "a person on the page" in detail.history[-1].text
    client.post("/orders/1/undo")
    assert find_order(desk, "A-1").order["items"][0]["quantity"] == 2


def test_a_new_key_is_added_and_one_emptied(client: PageClient, desk: Engine) -> None:
    insert_order(desk, items=({"item_metadata": {"print_location_1": "front"}},))
    form = form_of(client.get("/orders/1").text, "Save item 1")
    client.post("/orders/1/edit", data=form | {"new_key": "print_url_1", "new_value": ART})
    form = form_of(client.get("/orders/1").text, "Save item 1")
    client.post("/orders/1/edit", data=form | {"meta.print_location_1": ""})
    assert find_order(desk, "desk:1").order["items"][0]["metadata"] == {"print_url_1": ART}


def test_missing_artwork_has_a_field_of_its_own(client: PageClient, desk: Engine) -> None:
    prints = {"print_url_1": ART, "print_location_2": "back"}
    insert_order(desk, items=({"item_metadata": prints},))
    form = form_of(client.get("/orders/1").text, "Save item 1")
    assert form["meta.print_url_2"] == ""
    client.post("/orders/1/edit", data=form)
    assert find_order(desk, "desk:1").order["items"][0]["metadata"] == prints
    client.post("/orders/1/edit", data=form | {"meta.print_url_2": ART})
    assert find_order(desk, "desk:1").order["items"][0]["metadata"] == prints | {"print_url_2": ART}


def test_the_address_is_edited(client: PageClient, desk: Engine) -> None:
    insert_order(desk)
    form = form_of(client.get("/orders/1").text, "Save order")
    answer = client.post("/orders/1/edit", data=form | {"ship_city": "Salem", "ship_country": "Canada"})
    assert "changed: ship_city, ship_country" in answer.text
    shipping = find_order(desk, "desk:1").order["shipping"]
    assert (shipping["city"], shipping["country"], shipping["name"]) == ("Salem", "CA", "Ada Lovelace")


def test_what_somebody_else_changed_is_told_not_overwritten(client: PageClient, desk: Engine) -> None:
    insert_order(desk)
    form = form_of(client.get("/orders/1").text, "Save order")
    other = Edit({"ship_city": "Lynn", "phone": "5550199"}, {}, None, {}, {})
    edit_order(desk, "desk:1", other, by="somebody else", now=datetime.now(UTC))
    answer = client.post("/orders/1/edit", data=form | {"ship_city": "Salem"})
    assert answer.status_code == 409
    assert "ship_city changed while you edited it" in answer.text
    assert 'value="Salem"' in answer.text
    assert "now: Lynn" in answer.text
    assert find_order(desk, "desk:1").order["shipping"]["city"] == "Lynn"
    client.post("/orders/1/edit", data=form | {"ship_state": "NH"})
    assert find_order(desk, "desk:1").order["phone"] == "5550199"  # what was not touched stays


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("meta.print_url_1", "ftp://x", "must be an address"),
        ("quantity", "none", "quantity must be a whole number"),
        ("sku", "S" * 501, "longer than 500"),
        ("new_key", "1 bad key", "a key of metadata"),
        ("item", "7", "no such item"),
    ],
)
def test_a_bad_value_is_told_and_what_was_typed_stays(
    client: PageClient, desk: Engine, field: str, value: str, said: str
) -> None:
    insert_order(desk)
    form = form_of(client.get("/orders/1").text, "Save item 1") | {"new_value": "typed words"}
    answer = client.post("/orders/1/edit", data=form | {"notes": "my notes", field: value})
    assert answer.status_code == 400
    assert said in answer.text
    assert "my notes" in answer.text
    assert field == "item" or value in answer.text
    assert [entry.event for entry in find_order(desk, "desk:1").history] == ["imported"]


def test_odd_values_that_nobody_touched_are_no_edit(client: PageClient, desk: Engine) -> None:
    odd = "two\nlines\r\n\x00\u202e "
    insert_order(desk, ship_name=odd, items=({"notes": odd, "item_metadata": {"print_location_1": odd}},))
    page = client.get("/orders/1").text
    for button in ("Save order", "Save item 1"):
        answer = client.post("/orders/1/edit", data=form_of(page, button))
        assert "nothing changed" in answer.text


def test_an_order_is_shipped_once(client: PageClient, desk: Engine) -> None:
    insert_order(desk)
    form = {"courier": "DPD", "code": " 15501234567890 "}
    assert "its tracking waits" in client.post("/orders/1/ship", data=form).text
    assert "in the desk already" in client.post("/orders/1/ship", data=form).text
    answer = client.post("/orders/1/ship", data={"courier": "DPD", "code": "1.23E+15"})
    assert (answer.status_code, 'value="1.23E+15"' in answer.text) == (400, True)
    assert "15501234567890" in client.get("/shipments").text


def test_shipments_are_voided_and_resent(client: PageClient, desk: Engine) -> None:
    id_ = insert_shipment(desk, insert_order(desk))
    with desk.begin() as connection:
        connection.exec_driver_sql("UPDATE shipments SET state = 'failed', reason = 'podOS said no'")
    assert "podOS said no" in client.get("/shipments").text
    for _ in range(2):
        answer = client.post("/shipments/resend", data={"all_failed": "1"})
        assert answer.status_code == 200
    assert "waiting" in client.get("/orders/1").text
    answer = client.post("/shipments/void", data={"id": str(id_), "back": "1"})
    assert (answer.url.path, "voided" in answer.text) == ("/orders/1", True)
    for form in ({}, {"id": "99"}, {"id": "x"}):
        assert client.post("/shipments/resend", data=form).status_code == 400


def test_handovers_are_canceled_and_resent(client: PageClient, desk: Engine) -> None:
    insert_order(desk)
    client.post("/orders/send", data={"order": "1", "fulfiller": "acme", "back": "1"})
    assert "taken out of the outbox" in client.post("/handovers/cancel", data={"id": "1"}).text
    answer = client.post("/handovers/resend", data={"id": "1", "back": "1"})
    assert (answer.url.path, "waiting" in answer.text) == ("/orders/1", True)


def test_an_order_is_held_and_released_from_its_page(client: PageClient, desk: Engine) -> None:
    insert_order(desk)
    answer = client.post("/orders/hold", data={"order": "1", "back": "1", "reason": "unclear"})
    assert (answer.url.path, "Held: unclear" in answer.text) == ("/orders/1", True)
    answer = client.post("/orders/move", data={"order": "1", "back": "1", "to": "Nowhere"})
    assert (answer.url.path, "there is no folder" in answer.text) == ("/orders/1", True)
    assert "Held:" not in client.post("/orders/release", data={"order": "1", "back": "1"}).text


def test_no_way_back_leads_elsewhere(client: PageClient, desk: Engine) -> None:
    insert_order(desk)
    answer = client.post("/shipments/resend", data={"all_failed": "1", "back": "//evil.example.test"})
    assert answer.url.path == "/shipments"
    form = {"order": "1", "to": "Closed", "back": "//evil.example.test"}
    assert client.post("/orders/move", data=form).url.host == "127.0.0.1"


def test_sheets_of_several_orders(client: PageClient, desk: Engine) -> None:
    for number in ("A-1", "B-2"):
        insert_order(desk, order_number=number)
    text = client.get("/sheets?order=2&order=1&order=2").text
    assert text.index("B-2") < text.index("A-1")
    assert text.count("data:image/svg+xml") == 2
    assert "QR code of desk:2" in text
    for query in ("", "?order=", "?order=9", "?order=x", "?" + "&".join(f"order={n}" for n in range(1, 502))):
        assert client.get(f"/sheets{query}").status_code == 400


def test_an_order_in_needs_attention_says_why_until_it_lacks_nothing(
    client: PageClient, desk: Engine
) -> None:
    load(batch(fulfillment("s-1", design=None)), new_run(desk), now=datetime(2026, 11, 23, tzinfo=UTC))
    page = client.get("/orders/1").text
    assert "Needs attention: no design address: item 1, print 1" in page
    form = form_of(page, "Save item 1") | {"meta.print_url_1": ART}
    assert "Needs attention" not in client.post("/orders/1/edit", data=form).text.partition("History")[0]


@pytest.mark.parametrize("order_id", [1, 10**18])
def test_the_code_on_a_sheet_is_one_that_hand_scanners_read(order_id: int) -> None:
    """A full QR code, at least 21 modules wide, with the quiet zone that the standard asks for."""
    width = re.search(r"width='(\d+)'", unquote(qr_of(order_id)))
    assert width
    assert int(width[1]) >= 3 * (21 + 2 * 4)


def test_an_order_is_noted_as_printed_once(client: PageClient, desk: Engine) -> None:
    insert_order(desk, order_number="A-1")
    assert "it is printed" in client.post("/orders/1/printed").text
    again = client.post("/orders/1/printed").text
    assert "it was printed already" in again
    assert "<td>printed<td>waiting" in again
    assert [entry.event for entry in find_order(desk, "A-1").history] == ["imported", "printed"]


@pytest.mark.parametrize("kind", ["slip", "label"])
def test_slips_and_labels_hold_the_address_and_no_notes_of_the_floor(
    client: PageClient, desk: Engine, kind: str
) -> None:
    extras = {"packing_notes": [{"text": "Happy birthday!"}, {"text": 7}, "odd", {"text": "<b>bold</b>"}]}
    insert_order(desk, order_number="A-1", extras=extras, items=({"notes": "ink is low", "quantity": 2},))
    text = client.get(f"/sheets?kind={kind}&order=1").text
    assert "Ada Lovelace" in text
    assert "ink is low" not in text
    assert ("Happy birthday!" in text, "&lt;b&gt;bold" in text) == (kind == "slip", kind == "slip")
    assert client.get("/sheets?kind=poster&order=1").status_code == 400
