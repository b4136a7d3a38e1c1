"""What runs leave in Prefect's pages shows strangers' text as text, and nothing of it acts."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable

import pytest

import tasks
from tasks.prefect_api.artifacts import Page
from tasks.text_cells import one_line
from tests.support.hostile import AUTOLINK, HARMLESS, HOSTILE, PLAIN, kinds, shown
from tests.support.hostile_pages import PAGES


def test_every_page_is_walked() -> None:
    found = {
        function
        for module in pkgutil.walk_packages(tasks.__path__, "tasks.")
        for function in vars(importlib.import_module(module.name)).values()
        if getattr(function, "__annotations__", {}).get("return") == "Page"
    }
    assert found == set(PAGES)


@pytest.mark.parametrize("make", PAGES.values())
def test_hostile_text_changes_nothing_of_a_page_but_its_texts(make: Callable[[str], Page]) -> None:
    plain, hostile = str(make(PLAIN)), str(make(HOSTILE))
    assert kinds(plain).keys() <= HARMLESS
    assert kinds(hostile) == kinds(plain)
    assert hostile.count("\n") == plain.count("\n")
    assert not any(AUTOLINK.search(text) for text in shown(hostile))


@pytest.mark.parametrize("make", PAGES.values())
def test_hostile_text_is_shown_as_it_is(make: Callable[[str], Page]) -> None:
    texts = [text.replace("\u2060", "") for text in shown(str(make(HOSTILE)))]
    assert sum(one_line(HOSTILE) in text for text in texts) >= 4


def test_a_page_is_headings_lines_tables_and_lists() -> None:
    page = Page("Check of acme")
    page.line("a | b")
    page.section("Orders")
    page.table(["Order", "Count"], [("A-1", 5), (None, 0)], numbers=["Count"])
    page.bullets(["x", "# y"])
    page.more(5, 5)
    page.more(5, 3)
    assert str(page) == (
        "# Check of acme\n\na \\| b\n\n## Orders\n\n"
        "| Order | Count |\n| --- | ---: |\n| A-1 | 5 |\n|  | 0 |\n\n- x\n- \\# y\n\n... and 2 more\n"
    )
