"""Scanning: an order, then its tracking; by number, by the code of a job sheet, and with mistakes."""

from __future__ import annotations

import re

from sqlalchemy import Engine, text

from tests.support.builders import insert_order
from tests.support.pages import PageClient

CODE = "15501234567890"


def shipments(desk: Engine) -> list[tuple[int, str, str]]:
    with desk.connect() as connection:
        rows = connection.execute(text("SELECT order_id, code, state FROM shipments ORDER BY id"))
        return [(row[0], row[1], row[2]) for row in rows]


def box(page: str) -> str:
    """Return the field that has the focus."""
    (found,) = re.findall(r'<input name="code"[^>]*autofocus[^>]*>', page)
    return str(found)


def test_order_and_tracking_ship_it(client: PageClient, desk: Engine) -> None:
    insert_order(desk, order_number="A-1")
    scanned = client.post("/scan", data={"code": "A-1", "courier": "DPD"})
    assert "Tracking of A-1" in scanned.text
    assert box(scanned.text)
    done = client.post("/scan", data={"code": CODE, "courier": "DPD", "id": "1"})
    assert shipments(desk) == [(1, CODE, "waiting")]
    assert "Scan an order" in done.text
    assert box(done.text)
    assert 'value="DPD"' in done.text
    assert CODE in done.text
    again = client.post("/scan", data={"code": CODE, "courier": "DPD", "id": "1", "done": "1"})
    assert "in the desk already" in again.text
    assert shipments(desk) == [(1, CODE, "waiting")]
    undone = client.post("/scan/undo", data={"shipment": "1", "courier": "DPD", "done": "1"})
    assert shipments(desk) == [(1, CODE, "voided")]
    assert "voided" in undone.text


def test_the_code_of_a_sheet_is_read(client: PageClient, desk: Engine) -> None:
    insert_order(desk, order_number="A-1")
    assert "Tracking of A-1" in client.post("/scan", data={"code": "DESK:1"}).text


def test_another_order_in_place_of_a_tracking_code_ships_nothing(client: PageClient, desk: Engine) -> None:
    insert_order(desk, order_number="A-1")
    insert_order(desk, order_number="700205")
    for code in ("700205", "desk:2"):
        answer = client.post("/scan", data={"code": code, "courier": "DPD", "id": "1"})
        assert "Tracking of 700205" in answer.text
    assert shipments(desk) == []


def test_digits_that_are_a_desk_id_too_are_a_tracking_code(client: PageClient, desk: Engine) -> None:
    for _ in range(12):
        insert_order(desk)
    client.post("/scan", data={"code": "12", "courier": "DPD", "id": "1"})
    assert [row[:2] for row in shipments(desk)] == [(1, "12")]


def test_mistakes_are_told_and_what_was_scanned_stays(client: PageClient, desk: Engine) -> None:
    insert_order(desk, order_number="A-1")
    unknown = client.post("/scan", data={"code": "A-7"})
    assert (unknown.status_code, 'value="A-7"' in box(unknown.text)) == (404, True)
    no_courier = client.post("/scan", data={"code": CODE, "id": "1"})
    assert (no_courier.status_code, f'value="{CODE}"' in box(no_courier.text)) == (400, True)
    assert "Tracking of A-1" in no_courier.text
    for code in ("", " ", "\u200b", "x" * 301):
        assert client.post("/scan", data={"code": code}).status_code == 400
    assert client.post("/scan", data={"code": "1.2E+9", "courier": "DPD", "id": "1"}).status_code == 400
    assert client.post("/scan/undo", data={"shipment": "99"}).status_code == 400
    assert client.get("/scan?id=99999999999999999999&done=a,b,,1,99").status_code == 200
    assert shipments(desk) == []


def test_several_orders_of_a_number_are_a_choice(client: PageClient, desk: Engine) -> None:
    insert_order(desk, order_number="A-1")
    insert_order(desk, order_number="A-1", ship_country="GB")
    answer = client.post("/scan", data={"code": "A-1", "courier": "DPD"})
    assert answer.status_code == 409
    assert "desk:2</a>" in answer.text or "desk:2 to GB" in answer.text


def test_held_and_shipped_orders_are_told(client: PageClient, desk: Engine) -> None:
    insert_order(desk, order_number="A-1", hold_reason="unclear")
    client.post("/scan", data={"code": CODE, "courier": "DPD", "id": "1"})
    text_ = client.post("/scan", data={"code": "A-1"}).text
    assert "Held: unclear" in text_
    assert "It shipped already: DPD" in text_


def test_the_last_ten_are_shown(client: PageClient, desk: Engine) -> None:
    done = ""
    for number in range(12):
        insert_order(desk, order_number=f"A-{number}")
        form = {"code": f"1550000000{number:04}", "courier": "DPD", "id": str(number + 1), "done": done}
        done = client.post("/scan", data=form).url.params["done"]
    assert done == "12,11,10,9,8,7,6,5,4,3"
