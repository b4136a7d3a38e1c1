"""The sandbox's store: its indexes find what a plain search finds, also while orders change."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest

from deployments.sandbox.generator import GeneratorOptions, generate_orders
from deployments.sandbox.query import DATE_FIELDS, Filter, Sort
from deployments.sandbox.store import Store
from deployments.sandbox.wire import Order, epoch, iso, rng_for

NOW = datetime(2026, 11, 23, 10, 15, tzinfo=UTC)
LATER = datetime(2026, 11, 23, 12, 0, 0, 900_000, tzinfo=UTC)


@pytest.fixture
def store() -> Store:
    filled = Store(clock=lambda: LATER)
    filled.extend(generate_orders(GeneratorOptions(now=NOW, orders=300)))
    return filled


def selected(store: Store, wanted: Filter, start: int = 0, stop: int = 10_000) -> list[str]:
    return [json.loads(body)["id"] for body in store.select(wanted, start, stop)[0]]


def plainly(store: Store, wanted: Filter) -> list[Order]:
    def is_wanted(order: Order) -> bool:
        moment = epoch(order[wanted.date_field])
        return (
            (not wanted.statuses or order["status"] in wanted.statuses)
            and (wanted.start is None or moment >= wanted.start)
            and (wanted.end is None or moment <= wanted.end)
        )

    return [order for order in store.all() if is_wanted(order)]


@pytest.mark.parametrize("date_field", DATE_FIELDS)
@pytest.mark.parametrize("sort_field", ["createdAt", "updatedAt", "merchantReference", "status"])
@pytest.mark.parametrize("descending", [False, True])
def test_select_finds_what_a_plain_search_finds(
    store: Store, date_field: str, sort_field: str, descending: bool
) -> None:
    rng = rng_for(5)
    for _ in range(4):
        low, high = sorted(int(NOW.timestamp()) - rng.randrange(30 * 86400) for _ in range(2))
        wanted = Filter(
            statuses=frozenset(rng.sample(["paid", "new", "complete"], 2)),
            start=low,
            end=high,
            date_field=date_field,
            sort=(Sort(sort_field, descending),),
        )
        found = [json.loads(body) for body in store.select(wanted, 0, 1000)[0]]
        expected = plainly(store, wanted)
        values = [str(order.get(sort_field) or "") for order in found]
        assert values == sorted(values, reverse=descending)
        assert {order["id"] for order in found} == {order["id"] for order in expected}
        store.update(rng.choice(store.keys()))
        store.remove(rng.choice(store.keys()))


def test_pages_say_whether_more_follow(store: Store) -> None:
    assert store.select(Filter(), 0, 299)[1] is True
    assert store.select(Filter(), 200, 300)[1] is False
    assert store.select(Filter(), 300, 400) == ([], False)


def test_bounds_are_inclusive_unless_said_otherwise(store: Store) -> None:
    first = store.all()[0]
    moment = epoch(first["createdAt"])
    assert first["id"] in selected(store, Filter(start=moment, end=moment))
    assert first["id"] not in selected(store, Filter(start=moment, end=moment + 1, start_exclusive=True))
    assert first["id"] not in selected(store, Filter(start=moment - 1, end=moment, end_exclusive=True))
    assert selected(store, Filter(start=moment + 1, end=moment - 1)) == []


def test_exclusive_bounds_hold_where_the_sort_is_on_another_date(store: Store) -> None:
    moment = epoch(store.all()[0]["createdAt"])
    sort = (Sort("updatedAt", descending=False),)
    wanted = Filter(start=moment, end=moment + 1, start_exclusive=True, end_exclusive=True, sort=sort)
    assert selected(store, wanted) == []


def test_several_sort_keys_apply_in_their_order(store: Store) -> None:
    sort = (Sort("status", descending=False), Sort("createdAt", descending=True))
    found = [json.loads(body) for body in store.select(Filter(sort=sort), 0, 1000)[0]]
    keys = [(order["status"], -epoch(order["createdAt"])) for order in found]
    assert keys == sorted(keys)


def test_update_writes_the_clock_cut_to_the_second(store: Store) -> None:
    key = store.keys()[0]
    before = store.get(key)
    assert before is not None
    changed = store.update(key)
    assert changed == before | {"updatedAt": "2026-11-23T12:00:00+00:00"}
    assert store.get(key) == changed


def test_update_of_the_status_writes_its_date_and_history(store: Store) -> None:
    key = store.add({"id": "one", "status": "paid", "createdAt": iso(0), "statusHistory": []})
    moment = "2026-11-23T12:00:00+00:00"
    assert store.update(key, status="paid").get("statusChangedAt") is None
    changed = store.update(key, status="printed")
    assert changed["statusChangedAt"] == moment
    assert changed["statusHistory"] == [{"status": "printed", "createdAt": moment}]


def test_update_keeps_dates_that_are_given(store: Store) -> None:
    key = store.keys()[0]
    changed = store.update(key, status="new_one", updatedAt=iso(1000))
    assert changed["updatedAt"] == changed["statusChangedAt"] == iso(1000)


def test_set_clock_moves_later_changes(store: Store) -> None:
    store.set_clock(lambda: NOW)
    assert store.update(store.keys()[0])["updatedAt"] == "2026-11-23T10:15:00+00:00"


def test_returned_orders_are_copies(store: Store) -> None:
    key = store.keys()[0]
    order = store.get(key)
    assert order is not None
    order["items"].clear()
    assert store.get(key) != order


def test_add_refuses_a_second_order_of_one_id(store: Store) -> None:
    with pytest.raises(ValueError, match="exists already"):
        store.add({"id": store.keys()[0]})


def test_order_without_an_id_is_listed_but_not_found() -> None:
    store = Store()
    key = store.add({"status": "paid"})
    assert store.select(Filter(), 0, 10)[0] == [b'{"status":"paid"}']
    assert len(store) == 1
    store.remove(key)
    assert len(store) == 0


def test_unknown_orders_are_named() -> None:
    store = Store()
    assert store.get("nobody") is None
    with pytest.raises(KeyError):
        store.update("nobody")
    with pytest.raises(KeyError):
        store.remove("nobody")


def test_pick_draws_from_the_status_asked_for(store: Store) -> None:
    key = store.pick(rng_for(1), "paid")
    assert key is not None
    order = store.get(key)
    assert order is not None
    assert order["status"] == "paid"
    assert store.pick(rng_for(1), "nothing like it") is None
    assert Store().pick(rng_for(1), "paid") is None


def test_every_state_of_an_order_is_recorded_until_it_is_switched_off() -> None:
    store = Store(clock=lambda: NOW)
    store.add({"id": "a", "status": "paid", "frozen": True})
    store.update("a", status="refunded", frozen=False)
    store.log.enabled = False
    store.update("a", status="paid")
    seen = [(change.order_id, change.status, change.frozen) for change in store.log.changes()]
    assert seen == [("a", "paid", True), ("a", "refunded", False)]
