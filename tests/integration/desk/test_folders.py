"""Folders and moves: on SQLite and PostgreSQL alike."""

from __future__ import annotations

import threading

import pytest
from sqlalchemy import Engine, func, select, text

from models.tables.orders import FIRST_FOLDERS
from tasks.desk.browse import find_order, list_orders
from tasks.desk.engine import make_engine, reading, writing
from tasks.desk.errors import DeskRefusedError
from tasks.desk.folders import (
    FolderCount,
    add_folder,
    delete_folder,
    folder_id,
    list_folders,
    move_orders,
    rename_folder,
)
from tasks.desk.history import add_history
from tasks.desk.tables import HISTORY
from tests.support.builders import IMPORTED, fill_folder, insert_order, insert_run


def names(engine: Engine) -> list[str]:
    return [folder.name for folder in list_folders(engine)]


def counts(engine: Engine) -> dict[str, int]:
    return {folder.name: folder.orders for folder in list_folders(engine)}


def history_of(engine: Engine, order_id: int) -> list[tuple[str, str]]:
    return [(entry.event, entry.text) for entry in find_order(engine, str(order_id)).history]


def test_a_new_desk_begins_with_its_four_folders(desk: Engine) -> None:
    assert list_folders(desk) == [FolderCount(name, 0) for name in FIRST_FOLDERS]


def test_folders_are_added_trimmed_and_counted(desk: Engine) -> None:
    add_folder(desk, "  Rush orders ")
    insert_order(desk, folder="Rush orders")
    assert counts(desk)["Rush orders"] == 1


@pytest.mark.parametrize("name", ["new", "NEW", " New "])
def test_a_folder_that_differs_only_in_case_is_refused(desk: Engine, name: str) -> None:
    with pytest.raises(DeskRefusedError, match="already a folder 'New'"):
        add_folder(desk, name)


@pytest.mark.parametrize("name", ["", "   ", "x" * 101, "two\nlines", "bell\x07", "nul\x00", "\udcff"])
def test_an_unusable_name_is_refused(desk: Engine, name: str) -> None:
    with pytest.raises(DeskRefusedError, match="no name for a folder"):
        add_folder(desk, name)
    assert names(desk) == list(FIRST_FOLDERS)


def test_the_same_name_in_another_composition_is_the_same_folder(desk: Engine) -> None:
    add_folder(desk, "Expédié")
    with pytest.raises(DeskRefusedError, match="already"):
        add_folder(desk, "Expe\u0301die\u0301")


def test_rename_keeps_the_orders(desk: Engine) -> None:
    insert_order(desk)
    rename_folder(desk, "new", "Inbox")
    assert counts(desk) == {"Inbox": 1, "Prepared": 0, "Closed": 0, "Canceled": 0}


def test_rename_may_change_only_the_case(desk: Engine) -> None:
    rename_folder(desk, "New", "NEW")
    assert names(desk)[0] == "NEW"


def test_rename_over_another_folder_is_refused(desk: Engine) -> None:
    with pytest.raises(DeskRefusedError, match="already a folder 'Closed'"):
        rename_folder(desk, "New", "closed")


def test_an_unknown_folder_is_refused_with_those_there_are(desk: Engine) -> None:
    with pytest.raises(DeskRefusedError, match="'Old'; the folders are: New, Prepared, Closed, Canceled"):
        rename_folder(desk, "Old", "Older")


def test_delete_an_empty_folder(desk: Engine) -> None:
    assert delete_folder(desk, "closed", move_to=None) == 0
    assert "Closed" not in names(desk)


def test_delete_a_folder_with_orders_is_refused_without_a_place_for_them(desk: Engine) -> None:
    insert_order(desk)
    with pytest.raises(DeskRefusedError, match="holds 1 order: say with --move-to"):
        delete_folder(desk, "New", move_to=None)
    assert counts(desk)["New"] == 1


def test_delete_a_folder_moves_its_orders_with_history(desk: Engine) -> None:
    order_id = insert_order(desk)
    elsewhere = insert_order(desk, folder="Closed")
    assert delete_folder(desk, "New", move_to="prepared") == 1
    assert counts(desk) == {"Prepared": 1, "Closed": 1, "Canceled": 0}
    assert history_of(desk, order_id)[1] == ("moved", "moved from New to Prepared (folder New deleted)")
    assert len(history_of(desk, elsewhere)) == 1


@pytest.mark.parametrize(("to", "problem"), [("new", "to the folder itself"), ("Nowhere", "no folder")])
def test_delete_into_itself_or_nowhere_is_refused(desk: Engine, to: str, problem: str) -> None:
    insert_order(desk)
    with pytest.raises(DeskRefusedError, match=problem):
        delete_folder(desk, "New", move_to=to)
    assert counts(desk)["New"] == 1


def test_delete_moves_a_hundred_thousand_orders(desk: Engine) -> None:
    run_id = insert_run(desk)
    with writing(desk) as connection:
        fill_folder(connection, "New", run_id=run_id, count=100_000)
    assert delete_folder(desk, "New", move_to="Closed") == 100_000
    assert counts(desk)["Closed"] == 100_000
    with reading(desk) as connection:
        assert connection.execute(select(func.count()).select_from(HISTORY)).scalar_one() == 100_000


def test_move_by_every_kind_of_reference(desk: Engine) -> None:
    first = insert_order(desk, source_id="source-a", order_number="A-1")
    second = insert_order(desk, source_id="source-b", order_number="A-2")
    third = insert_order(desk, source_id="source-c", order_number="0042")
    assert move_orders(desk, [str(first), "source-b", " 0042 ", "A-2"], "prepared") == 3
    for order_id in (first, second, third):
        assert history_of(desk, order_id)[1:] == [("moved", "moved from New to Prepared (desk move)")]


def test_a_move_to_where_it_is_changes_and_writes_nothing(desk: Engine) -> None:
    order_id = insert_order(desk)
    assert move_orders(desk, [str(order_id)], "New") == 0
    assert len(history_of(desk, order_id)) == 1


def test_move_is_all_or_nothing(desk: Engine) -> None:
    order_id = insert_order(desk, order_number="A-1")
    with pytest.raises(DeskRefusedError, match="no order 'A-9'"):
        move_orders(desk, ["A-1", "A-9"], "Closed")
    assert counts(desk)["New"] == 1
    assert len(history_of(desk, order_id)) == 1


def test_move_to_an_unknown_folder_names_the_folders(desk: Engine) -> None:
    insert_order(desk, order_number="A-1")
    with pytest.raises(DeskRefusedError, match="the folders are: New, Prepared"):
        move_orders(desk, ["A-1"], "Nowhere")


def test_an_ambiguous_reference_names_its_candidates(desk: Engine) -> None:
    first = insert_order(desk, source_id="source-a", order_number="A-1")
    second = insert_order(desk, source_id="source-b", order_number="A-1")
    with pytest.raises(DeskRefusedError) as refused:
        move_orders(desk, ["A-1"], "Closed")
    assert f"id {first} (order number A-1, source id source-a)" in str(refused.value)
    assert f"id {second} (order number A-1, source id source-b)" in str(refused.value)
    assert counts(desk)["Closed"] == 0


def test_a_number_that_is_the_id_of_one_and_the_order_number_of_another_is_ambiguous(desk: Engine) -> None:
    first = insert_order(desk, source_id="source-a", order_number="A-1")
    insert_order(desk, source_id="source-b", order_number=str(first))
    with pytest.raises(DeskRefusedError, match="means 2 orders"):
        move_orders(desk, [str(first)], "Closed")
    assert move_orders(desk, ["source-a"], "Closed") == 1


def test_an_unknown_reference_suggests_what_begins_like_it(desk: Engine) -> None:
    insert_order(desk, source_id="5f0c4c1e-aaaa", order_number="A-1001")
    with pytest.raises(DeskRefusedError, match=r"no order 'A-10', but id 1 \(order number A-1001"):
        move_orders(desk, ["A-10"], "Closed")
    with pytest.raises(DeskRefusedError, match="no order '5f0c4c1e', but id 1"):
        move_orders(desk, ["5f0c4c1e"], "Closed")


@pytest.mark.parametrize("reference", ["", "  ", "%", "9" * 40, "nul\x00", "\udcff", "'; --"])
def test_strange_references_are_just_unknown(desk: Engine, reference: str) -> None:
    insert_order(desk)
    with pytest.raises(DeskRefusedError, match="has no order"):
        move_orders(desk, [reference], "Closed")


def test_many_orders_are_moved_in_one_go(desk: Engine) -> None:
    run_id = insert_run(desk)
    with writing(desk) as connection:
        fill_folder(connection, "New", run_id=run_id, count=1_200)
    assert move_orders(desk, [f"source-{number}" for number in range(1, 1_201)], "Closed") == 1_200
    assert counts(desk)["Closed"] == 1_200


def test_source_ids_are_found_by_index(desk: Engine) -> None:
    run_id = insert_run(desk)
    with writing(desk) as connection:
        fill_folder(connection, "New", run_id=run_id, count=20_000)
    explain = "EXPLAIN QUERY PLAN" if desk.dialect.name == "sqlite" else "EXPLAIN"
    query = (
        "SELECT id FROM orders WHERE project IN (SELECT DISTINCT project FROM import_runs) "
        "AND source_id IN ('source-1', 'source-2')"
    )
    with writing(desk) as connection:
        if desk.dialect.name == "postgresql":
            connection.execute(text("ANALYZE orders"))
        plan = " ".join(str(row) for row in connection.execute(text(f"{explain} {query}")))
    assert "SCAN orders" not in plan
    assert "Seq Scan on orders" not in plan


def test_folder_id_makes_a_folder_once(desk: Engine) -> None:
    with writing(desk) as connection:
        first = folder_id(connection, "Rush", create=True)
        assert folder_id(connection, " rush", create=True) == first
        assert folder_id(connection, "RUSH", create=False) == first
    assert names(desk)[-1] == "Rush"


def test_folder_id_without_create_refuses(desk: Engine) -> None:
    with writing(desk) as connection, pytest.raises(DeskRefusedError, match="the folders are"):
        folder_id(connection, "Rush", create=False)


def test_two_imports_make_the_same_folder_at_once(desk: Engine, desk_url: str) -> None:
    other = make_engine(desk_url)
    found: list[int] = []

    def make_too() -> None:
        with writing(other) as connection:
            found.append(folder_id(connection, "rush", create=True))

    thread = threading.Thread(target=make_too)
    with writing(desk) as connection:
        mine = folder_id(connection, "Rush", create=True)
        thread.start()
        thread.join(0.3)
        assert not found, "the other one waits for this transaction"
    thread.join()
    other.dispose()
    assert found == [mine]
    assert names(desk).count("Rush") == 1


def test_a_folder_in_use_by_an_open_import_is_not_deleted_under_it(desk: Engine, desk_url: str) -> None:
    other = make_engine(desk_url)
    order_id = insert_order(desk, folder="Prepared")
    problems: list[str] = []

    def delete_it() -> None:
        try:
            delete_folder(other, "Closed", move_to=None)
        except DeskRefusedError as error:
            problems.append(str(error))

    thread = threading.Thread(target=delete_it)
    with writing(desk) as connection:
        place = folder_id(connection, "Closed", create=True)
        thread.start()
        thread.join(0.3)
        connection.execute(
            text("UPDATE orders SET folder_id = :place WHERE id = :id"), {"place": place, "id": order_id}
        )
    thread.join()
    other.dispose()
    assert problems == ["folder 'Closed' holds 1 order: say with --move-to where they go"]


def test_history_is_written_in_the_callers_transaction(desk: Engine) -> None:
    order_id = insert_order(desk)
    with writing(desk) as connection:
        add_history(connection, [(order_id, "note", "lost")], IMPORTED)
        connection.rollback()
    with writing(desk) as connection:
        add_history(connection, [], IMPORTED)
        add_history(connection, [(order_id, "needs attention", "no design")], IMPORTED)
    assert history_of(desk, order_id) == [
        ("imported", f"imported by check run {list_run_of(desk, order_id)}"),
        ("needs attention", "no design"),
    ]


def list_run_of(engine: Engine, order_id: int) -> int:
    query = text("SELECT import_run_id FROM orders WHERE id = :id")
    with reading(engine) as connection:
        return int(connection.execute(query, {"id": order_id}).scalar_one())


def test_lists_follow_a_move(desk: Engine) -> None:
    order_id = insert_order(desk)
    move_orders(desk, [str(order_id)], "Canceled", by="a rule")
    assert [order.id for order in list_orders(desk, folder="canceled")] == [order_id]
    assert history_of(desk, order_id)[-1][1] == "moved from New to Canceled (a rule)"
