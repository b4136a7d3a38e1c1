"""No cell can start a formula, and every value comes back."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.spreadsheet import guarded, unguarded

EVIL = ["=1+1", "+44 20 7946 0000", "-5", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "＝1", "＋1", "－1", "＠x"]


@pytest.mark.parametrize("text", EVIL)
def test_what_could_be_a_formula_begins_with_an_apostrophe(text: str) -> None:
    assert guarded(text) == f"'{text}"
    assert unguarded(f"'{text}") == text


@pytest.mark.parametrize("value", ["", "A-1", "0044", "1-5", "a=b", "O'Example", 5, -5, -2.5])
def test_what_is_harmless_stays_as_it_is(value: str | float) -> None:
    assert guarded(value) == value


def test_a_name_that_begins_with_an_apostrophe_comes_back_whole() -> None:
    assert guarded("'t Example") == "''t Example"
    assert unguarded("''t Example") == "'t Example"
    assert unguarded("'t Example") == "'t Example"  # typed by a person


@given(st.text(alphabet=st.sampled_from("'=+-@\t\r\n＝ab "), max_size=6) | st.text())
def test_every_text_comes_back(text: str) -> None:
    cell = str(guarded(text))
    assert unguarded(cell) == text
    assert not cell.startswith(("=", "+", "-", "@", "\t", "\r", "\n"))
