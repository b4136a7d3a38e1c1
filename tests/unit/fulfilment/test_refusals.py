"""Which JSON of an answer of success says no."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.fulfillers import REFUSAL_FIELDS
from tasks.fulfilment.channels.refusals import refusal_in

FIELDS = REFUSAL_FIELDS.split(", ")


@pytest.mark.parametrize(
    ("said", "field", "words"),
    [
        ({"success": False}, "success", ""),
        ({"Success": "false", "Message": "no stock"}, "success", "no stock"),
        ({"ok": 0, "error": "bad SKU"}, "ok", "bad SKU"),
        ({"error": "bad SKU"}, "error", "bad SKU"),
        ({"error": {"code": 7}}, "error", ""),
        ({"errors": ["bad"]}, "errors", ""),
        ({"error": True, "detail": "line one\nline two"}, "error", "line one line two"),
        ({"status": "error", "reason": "closed"}, "status", "closed"),
        ({"status": "Rejected"}, "status", ""),
        ({"status": 422}, "status", ""),
        ({"status": "500"}, "status", ""),
        ({"status": False}, "status", ""),
    ],
)
def test_these_say_no(said: dict[str, Any], field: str, words: str) -> None:
    assert refusal_in(json.dumps(said).encode(), FIELDS) == (field, words)


@pytest.mark.parametrize(
    "said",
    [
        {},
        {"reference": "P-1"},
        {"success": True, "error": None},
        {"ok": "yes", "errors": []},
        {"ok": 1, "error": ""},
        {"error": False},
        {"error": 0},
        {"error": "none"},
        {"success": None},
        {"status": "ok"},
        {"status": "accepted"},
        {"status": 200},
        {"status": 0},
        {"status": "0"},
        {"data": {"success": False}},
        [{"success": False}],
        "error",
        7,
        None,
    ],
)
def test_these_do_not(said: Any) -> None:
    assert refusal_in(json.dumps(said).encode(), FIELDS) is None


@pytest.mark.parametrize("content", [b"", b"<html>error</html>", b"{", b"\xff", b"[" * 5000])
def test_what_is_no_json_says_nothing(content: bytes) -> None:
    assert refusal_in(content, FIELDS) is None


def test_the_setting_names_other_fields_and_none() -> None:
    said = json.dumps({"success": False, "accepted": "no", "rejections": [1]}).encode()
    assert refusal_in(said, []) is None
    assert refusal_in(said, ["accepted"]) == ("accepted", "")
    assert refusal_in(said, ["rejections"]) == ("rejections", "")


@given(
    st.recursive(st.none() | st.booleans() | st.floats() | st.integers() | st.text(), st.lists, max_leaves=4)
)
def test_whatever_a_field_holds_is_an_answer(value: Any) -> None:
    found = refusal_in(json.dumps({"status": value, "ok": value, "error": value}).encode(), FIELDS)
    assert found is None or found[0] in FIELDS
