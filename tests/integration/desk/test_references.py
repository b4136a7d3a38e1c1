"""Which order a person or a file names: exactly one, or a sentence that names the candidates."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import Engine, event, text

from tasks.desk.engine import reading, writing
from tasks.desk.errors import DeskRefusedError
from tasks.desk.references import Match, candidates, find_by_desk_id, find_by_number, resolve
from tests.support.builders import PROJECT, fill_folder, insert_order, insert_run

InFile = Callable[[str], int | str]


def imported(desk: Engine, reference: str | None, *, prefix: str = "", **overrides: Any) -> int:
    """Write an order as an import with this prefix does, and return its desk id."""
    merchants = overrides.get("merchant_reference")
    number = reference or merchants or overrides["source_id"][:8]
    run = insert_run(desk, settings={"order_prefix": prefix}, project=overrides.get("project", PROJECT))
    values = {"source_id": f"source-of-{prefix}{number}", "fulfiller_reference": reference, **overrides}
    return insert_order(desk, run_id=run, order_number=prefix + number, **values)


@pytest.fixture
def in_file(desk: Engine) -> InFile:
    """Look a number up as a row of a file does: the desk id, or the sentence."""

    def find(number: str) -> int | str:
        with reading(desk) as connection:
            found = find_by_number(connection, [number])[number]
        return found.id if isinstance(found, Match) else found

    return find


def typed(desk: Engine, reference: str) -> list[int]:
    """Return what a person could mean."""
    with reading(desk) as connection:
        return [match.id for match in candidates(connection, [reference])[reference]]


def test_a_number_in_a_file_is_never_a_desk_id(desk: Engine, in_file: InFile) -> None:
    ids = {number: imported(desk, str(number), prefix="ACME-") for number in range(2, 7)}
    assert ids == {2: 1, 3: 2, 4: 3, 5: 4, 6: 5}
    assert in_file("3") == in_file("ACME-3") == ids[3]
    assert in_file("4") == in_file("ACME-4") == ids[4]
    assert in_file("1") == "the desk has no order '1'; a desk id goes into a column desk_id"
    assert in_file("desk:3") == "the desk has no order 'desk:3'; a desk id goes into a column desk_id"


def test_an_order_has_many_names(desk: Engine, in_file: InFile) -> None:
    order = imported(
        desk, "77", prefix="ACME-", merchant_reference="SHOP-9", source_id="5f0c4c1e-aaaa", ship_country="GB"
    )
    names = ["ACME-77", "77", "SHOP-9", "ACME-SHOP-9", "5f0c4c1e-aaaa"]
    assert [in_file(name) for name in names] == [order] * 5
    assert [typed(desk, name) for name in (*names, str(order), f"desk:{order}", f" DESK:{order} ")] == [
        [order]
    ] * 8
    for unknown in ("acme-77", "ACME77", "7", "ACME-", "SHOP-", "ACME-5f0c4c1e-aaaa", ""):
        assert isinstance(in_file(unknown), str)


def test_an_order_without_references_is_called_by_its_id(desk: Engine, in_file: InFile) -> None:
    order = imported(desk, None, prefix="ACME-", source_id="5f0c4c1e-aaaa")
    assert [in_file(name) for name in ("ACME-5f0c4c1e", "5f0c4c1e", "5f0c4c1e-aaaa")] == [order] * 3


def test_the_same_number_in_two_integrations_needs_the_prefix(desk: Engine, in_file: InFile) -> None:
    first = imported(desk, "7", prefix="A-", integration="a", ship_country="GB")
    second = imported(desk, "7", prefix="B-", integration="b", ship_country="DE")
    assert (in_file("A-7"), in_file("B-7")) == (first, second)
    assert in_file("7") == (
        f"'7' means 2 orders, id {first} (order number A-7, source id source-of-A-7) to GB, "
        f"id {second} (order number B-7, source id source-of-B-7) to DE: "
        "write a source id, or the id into a column desk_id"
    )


def test_the_same_number_twice_is_ambiguous(desk: Engine, in_file: InFile) -> None:
    for project in (PROJECT, "other"):
        imported(desk, "7", project=project, source_id=f"source-{project}")
    assert "means 2 orders" in str(in_file("7"))
    assert isinstance(in_file("source-other"), int)


def test_one_orders_number_that_is_anothers_merchant_reference_is_ambiguous(
    desk: Engine, in_file: InFile
) -> None:
    first = imported(desk, "1001", merchant_reference="5001")
    second = imported(desk, "5001", merchant_reference="9001")
    assert "means 2 orders" in str(in_file("5001"))
    assert (in_file("1001"), in_file("9001")) == (first, second)


def test_fulfillments_that_share_a_merchant_reference_need_their_own(desk: Engine, in_file: InFile) -> None:
    parts = [imported(desk, f"F{number}", merchant_reference="M-1") for number in range(7)]
    sentence = str(in_file("M-1"))
    assert "means 7 orders" in sentence
    assert "and 2 more: write" in sentence
    assert [in_file(f"F{number}") for number in range(7)] == parts
    shared = imported(desk, None, merchant_reference="M-2", source_id="source-2")
    assert in_file("M-2") == shared
    imported(desk, None, merchant_reference="M-2", source_id="source-3")
    assert "means 2 orders" in str(in_file("M-2"))


def test_a_prefix_that_is_part_of_a_reference_is_ambiguous(desk: Engine, in_file: InFile) -> None:
    first = imported(desk, "2", prefix="ACME-")
    second = imported(desk, "ACME-2", prefix="ACME-")
    assert "means 2 orders" in str(in_file("ACME-2"))
    assert (in_file("2"), in_file("ACME-ACME-2")) == (first, second)


def test_only_an_orders_own_prefix_stands_before_its_reference(desk: Engine, in_file: InFile) -> None:
    imported(desk, "1", prefix="A-", merchant_reference="9")
    imported(desk, "2", prefix="B-", merchant_reference="8")
    assert isinstance(in_file("A-9"), int)
    assert in_file("B-9") == "the desk has no order 'B-9'"


def test_leading_zeros_count_and_lost_ones_are_not_guessed(desk: Engine, in_file: InFile) -> None:
    padded = imported(desk, "0042", ship_country="GB")
    assert in_file("0042") == padded
    assert in_file("42") == (
        f"the desk has no order '42', but id {padded} (order number 0042, source id source-of-0042) to GB"
        "; a desk id goes into a column desk_id"
    )
    plain = imported(desk, "42")
    assert in_file("0042") == padded
    assert "'42' means 2 orders if zeros before it were lost, id" in str(in_file("42"))
    assert typed(desk, "42") == [plain]  # a person typed what a person typed


def test_capitals_count(desk: Engine, in_file: InFile) -> None:
    small, large = imported(desk, "a-1"), imported(desk, "A-1")
    assert (in_file("a-1"), in_file("A-1")) == (small, large)
    assert typed(desk, "A-1") == [large]


@pytest.mark.parametrize("number", ["\ufeffF1", "F1\u200b", "\u202aF1\u202c", "F\u00ad1", " F1\u00a0"])
def test_what_can_not_be_seen_does_not_count(desk: Engine, in_file: InFile, number: str) -> None:
    order = imported(desk, "F1")
    assert in_file(number) == order
    assert typed(desk, number) == [order]


@pytest.mark.parametrize("number", ["", " ", "%", "9" * 40, "nul\x00", "\udcff", "'; --", "x" * 5000])
def test_strange_numbers_are_just_unknown(desk: Engine, in_file: InFile, number: str) -> None:
    imported(desk, "F1")
    assert "has no order" in str(in_file(number))


def test_a_long_reference_stops_no_import_and_names_nothing(desk: Engine, in_file: InFile) -> None:
    order = imported(desk, "F1", merchant_reference="ü" * 5000)
    assert in_file("F1") == order
    assert "has no order" in str(in_file("ü" * 5000))


def test_a_typed_number_that_is_an_id_and_another_orders_name_is_ambiguous(desk: Engine) -> None:
    first = imported(desk, "F1", ship_country="GB")
    second = imported(desk, str(first), prefix="ACME-", ship_country="DE")
    assert typed(desk, str(first)) == [first, second]
    with reading(desk) as connection:
        with pytest.raises(
            DeskRefusedError, match=rf"to DE: write desk:{first} or desk:{second} to say which"
        ):
            resolve(connection, [str(first)])
        assert resolve(connection, [f"desk:{first}", f"ACME-{first}", f"desk:{second}"]) == [first, second]


def test_a_desk_id_is_one_whatever_orders_are_called(desk: Engine) -> None:
    first = imported(desk, "F1")
    imported(desk, f"desk:{first}")
    assert typed(desk, f"desk:{first}") == [first]
    assert typed(desk, "desk:99") == []
    assert typed(desk, f"desk:0{first}") == []


def test_orders_by_desk_id_are_those_that_exist(desk: Engine) -> None:
    order = imported(desk, "F1")
    with reading(desk) as connection:
        assert {
            id_: match.order_number for id_, match in find_by_desk_id(connection, [order, 99]).items()
        } == {order: "F1"}
        assert find_by_desk_id(connection, []) == {}


def test_numbers_are_found_by_index(desk: Engine) -> None:
    run = insert_run(desk, settings={"order_prefix": "ACME-"})
    with writing(desk) as connection:
        fill_folder(connection, "New", run_id=run, count=20_000)
        connection.execute(
            text("UPDATE orders SET fulfiller_reference = 'F' || id, merchant_reference = 'M' || id")
        )
        if desk.dialect.name == "postgresql":
            connection.execute(text("ANALYZE orders"))
    asked: list[tuple[str, Any]] = []
    event.listen(desk, "before_cursor_execute", lambda _c, _k, sql, values, *_: asked.append((sql, values)))
    with reading(desk) as connection:
        found = find_by_number(connection, ["F7", "M9", "source-3"])
        assert [match.id for match in found.values() if isinstance(match, Match)] == [7, 9, 3]
        (sql, values) = next((sql, values) for sql, values in asked if "UNION" in sql)
        explain = "EXPLAIN QUERY PLAN" if desk.dialect.name == "sqlite" else "EXPLAIN"
        plan = " ".join(str(row) for row in connection.exec_driver_sql(f"{explain} {sql}", values))
    assert "SCAN orders" not in plan
    assert "Seq Scan on orders" not in plan


def test_a_person_may_type_any_case(desk: Engine, in_file: InFile) -> None:
    order = imported(desk, "Ab-77", prefix="ACME-", merchant_reference="Shop-9", source_id="5f0c4c1e-aaaa")
    names = ("acme-ab-77", "ab-77", "SHOP-9", "acme-shop-9", "5F0C4C1E-AAAA")
    assert [typed(desk, name) for name in names] == [[order]] * 5
    assert in_file("ab-77") == "the desk has no order 'ab-77'"  # a file is never guessed at


def test_the_exact_case_wins_and_two_in_other_cases_are_ambiguous(desk: Engine) -> None:
    lower, upper = imported(desk, "order-b"), imported(desk, "ORDER-B")
    assert typed(desk, "order-b") == [lower]
    assert typed(desk, "ORDER-B") == [upper]
    assert typed(desk, "Order-B") == [lower, upper]
    assert typed(desk, "order-c") == []


def test_many_orders_of_one_name_do_not_hide_those_of_another(desk: Engine) -> None:
    """A match that is cut off would let an ambiguous name mean the wrong order."""
    for number in range(12):
        imported(desk, None, source_id=f"many-{number}", merchant_reference="SHOP-A")
    first, second = (
        imported(desk, None, source_id=f"two-{number}", merchant_reference="SHOP-B") for number in range(2)
    )
    with reading(desk) as connection:
        found = candidates(connection, ["shop-a", "shop-b"])
    assert [match.id for match in found["shop-b"]] == [first, second]
    assert len(found["shop-a"]) == 12
