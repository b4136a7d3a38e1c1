"""What `matches` in rules means: what Python means by a pattern, in time that grows with the text alone."""

from __future__ import annotations

import re
import sys
import unicodedata
import warnings

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.rules.conditions import ConditionError, compile_condition
from tasks.rules.patterns import MAX_TEXT, PatternError, TooLongError, compile_pattern
from tasks.rules.rules_file import load_rules
from tasks.rules.yaml_lines import RulesFileError

ATOMS = (
    *("a", "A", "b", "ä", "Ä", "é", "1", "_", " ", "-", r"\.", "\n", r"\n", ".", r"\x61", r"\u00e4", r"\141"),
    *(
        r"\w",
        r"\W",
        r"\d",
        r"\D",
        r"\s",
        r"\S",
        "[ab]",
        "[^ab]",
        "[äÄ]",
        "[^ä]",
        r"[\w-]",
        r"[^\W\d_]",
        r"[\W_]",
    ),
    *(r"[\s\d]", r"[^\S\n]", "[]a]", "[^]a]", "[a-c]", "[à-ÿ]", r"[\b]", r"[\D]", r"[\d-]"),
)
ANCHORS = ("^", "$", r"\A", r"\Z")
REPEATS = ("", "", "", "*", "+", "?", "*?", "{2}", "{,2}", "{1,2}", "{1,}")
TEXTS = st.lists(st.text("aAbäÄé1٣_ -.\n", max_size=6), min_size=1, max_size=6)


def repeated(parts: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.tuples(parts, st.sampled_from(REPEATS)).map(
        lambda found: f"(?:{found[0]}){found[1]}" if found[1] else found[0]
    )


def nested(leaves: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    """Return patterns made of such parts."""
    return st.recursive(
        repeated(leaves),
        lambda inner: st.one_of(
            st.lists(inner, min_size=1, max_size=4).map("".join),
            st.lists(inner, min_size=1, max_size=3).map(lambda parts: f"({'|'.join(parts)})"),
            repeated(inner),
            inner.map(lambda part: f"(?m:{part})"),
        ),
        max_leaves=8,
    )


anywhere = nested(st.sampled_from([*ATOMS, *ANCHORS]))
with_boundaries = st.tuples(
    st.sampled_from(["", "^", r"\A", "(?m)^"]),
    nested(st.sampled_from([*ATOMS, *[r"\b", r"\B"] * 4])),
    st.sampled_from(["", "$", r"\Z"]),
).map("".join)


@given(anywhere | with_boundaries, TEXTS)
def test_a_pattern_fits_what_it_fits_in_python(pattern: str, texts: list[str]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            search = re.compile(pattern, re.IGNORECASE).search
        except re.error:
            return
    fits = compile_pattern(pattern)
    for text in texts:
        if text or r"\B" not in pattern:  # of an empty text Python's opinion changed with 3.14
            assert fits(text) is (search(text) is not None), (pattern, text)


@pytest.mark.parametrize("name", [r"\w", r"\d", r"\s", r"\W", r"\D", r"\S", r"[\w]", r"[^\w]", r"[^\s]"])
def test_classes_know_the_letters_of_the_world(name: str) -> None:
    fits, match = compile_pattern(name), re.compile(name).match
    others = [
        sign
        for sign in map(chr, range(sys.maxunicode + 1))
        if unicodedata.category(sign) not in {"Cn", "Cs"} and fits(sign) is not (match(sign) is not None)
    ]
    assert others in ([], ["\u0345"])  # which is the small form of a Greek letter


@pytest.mark.parametrize(
    ("pattern", "text"),
    [
        ("straße", "STRAẞE 1"),
        ("^MÜLLER$", "müller"),
        (r"\bcafé\b", "ein Café, bitte"),
        (r"\bÖsterreich\b", "Österreich"),
        (r"\bPO Box\b", "po box 7"),
        ("x$", "x\n"),
        ("(?m)^b$", "a\nb\nc"),
        ("(?s)a.b", "a\nb"),
        (r"\p{Greek}", "Αθήνα"),
        ("[[:alpha:]]{3}", "abc"),
        (r"\$5\|\(", "$5|("),
        (r"\_\é", "_é"),
    ],
)
def test_what_people_write_fits(pattern: str, text: str) -> None:
    assert compile_pattern(pattern)(text)


@pytest.mark.parametrize(
    ("pattern", "text"), [(r"\bStra\b", "Straße"), (r"\bbox\b", "Übox"), ("x$", "x\n\n"), ("^b", "a\nb")]
)
def test_what_does_not_fit(pattern: str, text: str) -> None:
    assert not compile_pattern(pattern)(text)


@pytest.mark.parametrize(
    ("pattern", "why"),
    [
        ("(?=a)", "look-ahead is not possible; say it with one more condition"),
        ("a(?!b)", "look-ahead is not possible"),
        ("(?<=a)b", "look-behind is not possible"),
        ("(?<!a)b", "look-behind is not possible"),
        (r"(a)\1", r"\1: a backreference is not possible"),
        ("(?P<x>a)(?P=x)", "a backreference is not possible"),
        ("(?>a)", "an atomic group is not possible, and not needed"),
        ("a++", "++: a possessive repeat is not possible"),
        ("(a)(?(1)b|c)", "a choice by a group is not possible"),
        ("(?x) a b", "invalid perl operator"),
        (r"\N{DASH}", r"\N is unknown"),
        (r"\Qa\E", r"\Q is unknown"),
        ("(", "missing"),
        ("[a", "missing"),
        ("a{2000}", "invalid repetition size"),
        (r"\w{1000}", "it is too large: repeat less often"),
        (r"(?s)\ba", "(?s) and a word boundary can't be had in one pattern"),
        (r"\b^a", r"\b^: write ^\b"),
        (r"(\ba){100}", "it asks for word boundaries too often"),
    ],
)
def test_what_there_is_not_is_refused_with_the_reason(pattern: str, why: str) -> None:
    with pytest.raises(PatternError, match=re.escape(why)):
        compile_pattern(pattern)
    with pytest.raises(ConditionError, match="is not a regular expression that can be used"):
        compile_condition(f"shipping.name matches {pattern}")


def test_it_is_refused_with_its_line_when_rules_are_loaded() -> None:
    text = """rules:
  - name: PO boxes
    event: order imported
    all:
      - priority = priority
      - shipping.address1 matches ^(?!.*street)
    actions:
      - hold: look
"""
    with pytest.raises(RulesFileError, match=r"line 6: .*look-ahead is not possible") as caught:
        load_rules(text, folders=[], fulfillers=[])
    assert str(caught.value).count("\n") == 0


def test_a_text_that_is_too_long_is_not_passed_over() -> None:
    fits = compile_pattern("a$")
    assert fits("b" * (MAX_TEXT - 1) + "a")
    with pytest.raises(TooLongError):
        fits("b" * MAX_TEXT + "a")


@given(st.text(st.characters(exclude_categories=("C", "Z"), include_characters=" "), max_size=60))
def test_no_text_is_worse_than_a_pattern_error(text: str) -> None:
    try:
        fits = compile_pattern(text)
    except PatternError:
        return
    fits("Ada Lovelace\n1 Main Street")
