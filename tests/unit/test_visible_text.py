"""What looks the same is the same."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.visible_text import visible


@pytest.mark.parametrize(
    "text",
    [
        *(
            "A 1",
            " A 1\n",
            "\ufeffA 1",
            "A\u00a01",
            "A\u200b 1",
            "\u202aA 1\u202c",
            "A\u3000\u00ad1",
            "\u200e A\u20071",
        ),
        *("A\ufe0f 1", "A 1\u3164", "A\U000e0100 1", "A\u2060 1\u2800"),
    ],
)
def test_what_shows_nothing_does_not_count(text: str) -> None:
    assert visible(text) == "A 1"


@pytest.mark.parametrize("text", ["", "Ä 2", "#1001", "日本", "e\u0301", "A\tB", "A\x1bB", "👍"])
def test_what_shows_stays_and_so_does_what_must_be_refused(text: str) -> None:
    assert visible(text) == text


@given(st.text())
def test_twice_is_once(text: str) -> None:
    assert visible(visible(text)) == visible(text)
