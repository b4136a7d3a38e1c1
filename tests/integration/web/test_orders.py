"""The floor and the list of orders."""

from __future__ import annotations

import csv
import re
import sqlite3
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import Engine

from deployments.web.app import create_app
from deployments.web.pages import moment
from deployments.web.site import Site
from models.rules import RuleForm
from models.watching import Plans
from tasks.desk.browse import find_order
from tasks.desk.deadlines import deadline_of
from tasks.production.store import list_statuses
from tasks.rules.store import save_rules
from tests.support.builders import fill_folder, insert_order, insert_rejected, insert_run, insert_shipment
from tests.support.pages import PageClient

PAGES = (
    *("/", "/orders", "/orders/1", "/runs", "/rejected", "/shipments", "/scan?id=1&done=1"),
    *("/sheets?order=1", "/sheets?kind=slip&order=1", "/sheets?kind=label&order=1"),
)
HOSTILE = "<script>alert(1)</script>\u202eesrever\x00\"'><img src=x onerror=y>" + "W" * 3000


def test_an_empty_desk_says_what_to_do(desk: Engine) -> None:
    client = PageClient(create_app(Site(desk)))
    floor = client.get("/")
    assert floor.status_code == 200
    assert "desk connect" in floor.text
    assert "desk check" in client.get("/orders").text
    assert "No shipment failed" in client.get("/shipments").text
    assert "Nothing yet" in client.get("/scan").text


def test_the_floor_tells_what_is_late(client: PageClient, desk: Engine) -> None:
    now = datetime.now(UTC)
    insert_order(desk, order_number="LATE-1", deadline=(now - timedelta(days=2)).isoformat())
    insert_order(desk, order_number="SOON-1", deadline=(now + timedelta(days=9)).isoformat())
    insert_order(desk, order_number="WORD-1", deadline="as soon as possible")
    insert_order(desk, order_number="DONE-1", folder="Closed", deadline="2020-01-01T00:00:00Z")
    shipped = insert_order(desk, order_number="GONE-1", deadline="2020-01-01T00:00:00Z")
    insert_shipment(desk, shipped)
    text = client.get("/").text
    assert "LATE-1" in text
    assert [name for name in ("SOON-1", "WORD-1", "DONE-1", "GONE-1") if name in text] == []
    assert "default" in text
    assert "shipments waiting" in text


def test_a_deadline_is_read_or_not_there() -> None:
    assert deadline_of("2026-11-23") == datetime(2026, 11, 23, 23, 59, 59, tzinfo=UTC)
    assert deadline_of("2026-11-23T10:00:00+02:00") == datetime(2026, 11, 23, 8, tzinfo=UTC)
    assert [deadline_of(text) for text in (None, "", "soon", "0001-01-01T00:00:00+14:00")] == [None] * 4


def test_a_deadline_is_shown_in_utc_or_as_it_is() -> None:
    shown = {
        text: moment(text) for text in ("2026-11-23T10:00:00+02:00", "2026-11-23T10:00", "2026-11-23", "soon")
    }
    assert list(shown.values()) == ["2026-11-23 08:00", "2026-11-23 10:00", "2026-11-23", "soon"]


def test_three_thousand_orders_come_in_pages(client: PageClient, desk: Engine) -> None:
    run_id = insert_run(desk)
    with desk.begin() as connection:
        fill_folder(connection, "New", run_id=run_id, count=3000)
    path, seen = "/orders?folder=new", []
    while path:
        text = client.get(path).text
        seen += re.findall(r'name="order" value="(\d+)"', text)
        found = re.search(r'<a href="([^"]+)" rel="next"', text)
        path = found[1].replace("&amp;", "&") if found else ""
    assert [int(id_) for id_ in seen] == list(range(3000, 0, -1))
    assert "3,000" in client.get("/").text


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("search=lovelace", {"A-1", "B-2"}),
        ("search=SPECIAL-SKU", {"B-2"}),
        ("folder=closed", {"B-2"}),
        ("status=PAID&country=us", {"A-1"}),
        ("since=2026-11-21", set()),
        ("since=2026-11-20", {"A-1", "B-2"}),
        ("changed=1", set()),
    ],
)
def test_filters(client: PageClient, desk: Engine, query: str, found: set[str]) -> None:
    insert_order(desk, order_number="A-1")
    insert_order(
        desk, order_number="B-2", folder="Closed", ship_country="GB", items=({"sku": "SPECIAL-SKU"},)
    )
    text = client.get(f"/orders?{query}").text
    assert set(re.findall(r">([AB]-\d)</a>", text)) == found
    assert found or "No order fits" in text


@pytest.mark.parametrize(
    "query", ["since=yesterday", "before=-1", "before=99999999999999999999", "folder=Nowhere", "before=x"]
)
def test_a_bad_address_is_told(client: PageClient, desk: Engine, query: str) -> None:
    insert_order(desk)
    answer = client.get(f"/orders?{query}")
    assert answer.status_code == 400
    assert 'role="alert"' in answer.text


def test_selected_orders_are_moved_held_and_released_twice_the_same(client: PageClient, desk: Engine) -> None:
    ids = [insert_order(desk, order_number=f"A-{number}") for number in (1, 2, 3)]
    form = {"order": [str(id_) for id_ in ids[:2]], "to": "Prepared", "reason": "artwork", "folder": "New"}
    for path in ("/orders/move", "/orders/hold", "/orders/move", "/orders/hold"):
        answer = client.post(path, data=form)
        assert (answer.status_code, answer.url.path) == (200, "/orders")
        assert 'role="status"' in answer.text
    details = [find_order(desk, f"desk:{id_}") for id_ in ids]
    assert [detail.order["folder"] for detail in details] == ["Prepared", "Prepared", "New"]
    assert [detail.order["hold_reason"] for detail in details] == ["artwork", "artwork", None]
    assert [entry.event for entry in details[0].history] == ["imported", "moved", "held"]
    client.post("/orders/release", data=form)
    assert find_order(desk, "desk:1").order["hold_reason"] is None


def test_selected_orders_are_queued_once(client: PageClient, desk: Engine) -> None:
    insert_order(desk)
    for _ in range(2):
        assert "queued for acme" in client.post("/orders/send", data={"order": "1", "fulfiller": "acme"}).text
    assert "acme" in client.get("/orders/1").text
    with desk.connect() as connection:
        assert connection.exec_driver_sql("SELECT fulfiller FROM handovers").scalars().all() == ["acme"]
    assert client.post("/orders/send", data={"order": "1", "fulfiller": "x"}).status_code == 400


@pytest.mark.parametrize(
    ("path", "form"),
    [
        ("/orders/move", {"to": "Closed"}),
        ("/orders/move", {"order": "1", "to": "Nowhere"}),
        ("/orders/move", {"order": "99", "to": "Closed"}),
        ("/orders/move", {"order": "x", "to": "Closed"}),
        ("/orders/hold", {"order": "1", "reason": " "}),
        ("/orders/hold", {"order": "1", "reason": "y" * 501}),
    ],
)
def test_what_can_not_be_done_is_told_with_what_was_typed(
    client: PageClient, desk: Engine, path: str, form: dict[str, str]
) -> None:
    insert_order(desk)
    answer = client.post(path, data=form | {"search": "lovelace"})
    assert answer.status_code == 400
    assert 'role="alert"' in answer.text
    assert 'value="lovelace"' in answer.text
    assert form.get("reason", "").strip() in answer.text
    assert find_order(desk, "desk:1").order["folder"] == "New"


def test_a_strangers_text_stays_text(client: PageClient, desk: Engine) -> None:
    metadata = {
        "print_url_1": "javascript:alert(1)",
        "print_preview_1": 'https://a"onerror=b',
        HOSTILE: HOSTILE,
    }
    insert_order(
        desk,
        order_number=HOSTILE,
        ship_name=HOSTILE,
        ship_city=HOSTILE,
        email=HOSTILE,
        hold_reason=HOSTILE,
        items=({"name": HOSTILE, "sku": HOSTILE, "notes": HOSTILE, "item_metadata": metadata},),
    )
    insert_shipment(desk, 1, code=HOSTILE[:20], courier=HOSTILE[:30])
    for path in PAGES:
        answer = client.get(path)
        assert answer.status_code == 200, path
        acts = (
            "<script",
            "<img src=x",
            'href="javascript:',
            'src="javascript:',
            '"onerror',
            "\u202e",
            "\x00",
        )
        assert [word for word in acts if word in answer.text] == []
    assert "&lt;script&gt;" in client.get("/orders/1").text


def test_words_of_an_address_are_not_put_on_the_page(client: PageClient) -> None:
    assert "Pay here" not in client.get("/orders?said=Pay+here").text


def test_a_page_that_is_not_there(client: PageClient) -> None:
    for path in ("/orders/7", "/orders/99999999999999999999999", "/nowhere", "/static/../app.py"):
        answer = client.get(path)
        assert (answer.status_code, "There is no such page" in answer.text) == (404, True)


def test_a_locked_desk_is_told(client: PageClient, desk: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    insert_order(desk)
    with desk.connect() as connection:
        connection.exec_driver_sql("PRAGMA busy_timeout=50")
    other = sqlite3.connect(str(desk.url.database), isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    answer = client.post("/orders/move", data={"order": "1", "to": "Closed"})
    assert (answer.status_code, "locked by another program" in answer.text) == (503, True)
    assert client.get("/orders").status_code == 200  # reading goes on
    other.close()


def test_an_unexpected_error_is_told_without_values(
    client: PageClient, site: Site, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise ValueError("ada@example.com")

    monkeypatch.setattr("deployments.web.orders.list_orders", fail)
    answer = client.get("/orders")
    assert answer.status_code == 500
    assert "ada@" not in answer.text + caplog.text
    assert "unexpected ValueError" in caplog.text


def test_rules_look_at_what_a_page_did(client: PageClient, desk: Engine) -> None:
    insert_order(desk)
    rule = {
        "name": "Look",
        "event": "folder changed",
        "all": ["folder = Prepared"],
        "actions": [{"hold": "look"}],
    }
    save_rules(desk, [RuleForm.model_validate(rule)])
    client.post("/orders/move", data={"order": "1", "to": "Prepared"})
    assert find_order(desk, "desk:1").order["hold_reason"] == "look"


def test_prefect_is_asked_once_a_minute(desk: Engine) -> None:
    asked: list[float] = []
    clock = [0.0]

    def read() -> Plans:
        asked.append(clock[0])
        return Plans(frozenset(), frozenset({"acme"}), {})

    site = Site(desk, read, lambda: clock[0])
    for clock[0] in (0.0, 30.0, 60.0, 61.0, 100.0):
        assert site.fulfillers == ["acme"]
    assert asked == [0.0, 61.0]
    assert Site(desk).fulfillers is None


def test_selected_orders_are_noted_as_printed_all_or_none(client: PageClient, desk: Engine) -> None:
    insert_order(desk)
    insert_order(desk)
    insert_order(desk, podos_status="refunded")
    refused = client.post("/orders/printed", data={"order": ["1", "3"]})
    assert (refused.status_code, "was refunded" in refused.text) == (400, True)
    assert list(list_statuses(desk)) == []
    assert "2 orders noted as printed" in client.post("/orders/printed", data={"order": ["1", "2"]}).text
    assert [row.status for row in list_statuses(desk)] == ["printed"] * 2


def test_all_that_fits_is_given_as_csv(client: PageClient, desk: Engine) -> None:
    run_id = insert_run(desk)
    for number in range(120):
        insert_order(
            desk, run_id=run_id, order_number=f"A-{number}", ship_country="GB" if number % 2 else "DE"
        )
    insert_order(desk, run_id=run_id, order_number="=1+1", ship_country="GB")
    assert "/orders/export.csv?country=GB" in client.get("/orders?country=GB").text
    answer = client.get("/orders/export.csv?country=GB")
    assert answer.headers["content-disposition"] == 'attachment; filename="orders.csv"'
    assert answer.headers["cache-control"] == "no-store"
    lines = list(csv.DictReader(answer.content.decode("utf-8-sig").splitlines()))
    assert [line["order_number"] for line in lines] == [f"A-{number}" for number in range(1, 120, 2)] + [
        "'=1+1"
    ]
    assert client.get("/orders/export.csv?folder=nowhere").status_code == 400


def test_a_check_is_started_from_the_floor(desk: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[bool] = []
    plans = Plans(frozenset({"default"}), frozenset(), {})
    site = Site(desk, lambda: plans, prefect="http://127.0.0.1:4200", check=lambda: started.append(True))
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    client = PageClient(create_app(site))
    page = client.get("/").text
    assert 'href="http://127.0.0.1:4200" rel="noreferrer noopener"' in page
    assert "Check podOS now" in page
    assert "a check was started" in client.post("/check").text
    assert started == [True]
    without = PageClient(create_app(Site(desk)))
    assert "Check podOS now" not in without.get("/").text
    assert without.post("/check").status_code == 400


def test_runs_lead_to_prefect_and_say_what_came_of_them(
    desk: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    flow_run = "0b0cf2f2-0000-4000-8000-000000000001"
    insert_run(desk, flow_run_id=flow_run, counts={"imported": 1234, "status": 2, "country": 3})
    insert_run(desk, state="failed", error="podOS refused the token")
    page = PageClient(create_app(Site(desk, prefect="http://127.0.0.1:4200"))).get("/runs").text
    assert f'href="http://127.0.0.1:4200/runs/flow-run/{flow_run}"' in page
    assert "1,234 imported, 5 skipped" in page
    assert "podOS refused the token" in page
    assert "/flow-run/" not in PageClient(create_app(Site(desk))).get("/runs").text


def test_rejected_orders_have_their_reason(client: PageClient, desk: Engine) -> None:
    assert "Every order could be read" in client.get("/rejected").text
    insert_rejected(desk, source_id="5f0c4c1e", run_id=insert_run(desk), reason="items: no list")
    assert 'href="/rejected"><b>1</b>' in client.get("/").text
    page = client.get("/rejected").text
    assert "5f0c4c1e" in page
    assert "items: no list" in page
