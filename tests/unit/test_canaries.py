"""The search for canaries finds them in every form: else its silence would say nothing."""

from __future__ import annotations

import base64
import json
import pickle
import sqlite3
from pathlib import Path
from urllib.parse import quote

import pytest

from tests.e2e.canaries import forms_of, found_in, rows_of

CANARY = "Zoë & <kanarienvogel> 0815"


@pytest.mark.parametrize(
    "written",
    [
        CANARY.encode(),
        CANARY.encode("utf-16-le"),
        json.dumps({"name": CANARY}).encode(),
        quote(f"name={CANARY}").encode(),
        CANARY.encode().hex().encode(),
        *(base64.b64encode(b"x" * shift + CANARY.encode() + b"y") for shift in range(4)),
        base64.urlsafe_b64encode(pickle.dumps(ValueError(CANARY))),
    ],
)
def test_every_form_is_found(written: bytes) -> None:
    assert found_in({"file": b"..." + written + b"..."}, forms_of(CANARY))
    assert not found_in({"file": b"..." + written[:10] + b"..."}, forms_of(CANARY))


def test_capitals_do_not_hide_it() -> None:
    assert found_in({"file": b"THE KANARIENVOGEL0815"}, forms_of("kanarienvogel0815"))


def test_a_value_that_the_file_holds_in_pieces_is_found_in_the_rows(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "a.db") as database:
        database.execute("CREATE TABLE t (a TEXT)")
        database.execute("INSERT INTO t VALUES (?)", ("x" * 100_000 + CANARY + "x" * 100_000,))
    database.close()
    assert found_in({"rows": rows_of(tmp_path / "a.db")}, forms_of(CANARY))
