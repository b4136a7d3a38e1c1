"""On a terminal of 80 columns, numbers, ids and dates are whole, and what does not fit is said."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from deployments.cli import output
from deployments.cli.output import table, when

COLUMNS = ["Id", "Order", "Code", "Sent (UTC)", "Next try (UTC)", "Reason"]
MOMENT = when(datetime(2026, 11, 26, 9, 15, 30, tzinfo=UTC))
REASON = "podOS did not accept the tracking: the order is complete with another tracking code already"
ROW = (7654321, "SHOP-100231", "15501234567890", MOMENT, MOMENT, REASON)


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """A terminal of 80 columns."""
    monkeypatch.setattr(output, "width_of_output", lambda: 80)


@pytest.mark.usefixtures("terminal")
def test_nothing_that_is_one_is_broken_and_what_is_left_out_is_said(
    capsys: pytest.CaptureFixture[str],
) -> None:
    table(COLUMNS, [ROW], optional=("Next try (UTC)", "Sent (UTC)"))
    out, err = capsys.readouterr()
    assert all(len(line) <= 80 for line in out.splitlines())
    for text in ("7654321", "SHOP-100231", "15501234567890", str(MOMENT)):
        assert out.count(text) == 1
    assert err == "left out, because the terminal is narrow: Next try (UTC)\n"


def test_a_wide_terminal_shows_all(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(output, "width_of_output", lambda: 200)
    table(COLUMNS, [ROW], optional=("Next try (UTC)", "Sent (UTC)"))
    out, err = capsys.readouterr()
    assert out.count(str(MOMENT)) == 2
    assert REASON in out
    assert err == ""


def test_a_file_gets_all_columns(capsys: pytest.CaptureFixture[str]) -> None:
    table(COLUMNS, [ROW], optional=("Next try (UTC)", "Sent (UTC)"))
    out, err = capsys.readouterr()
    assert (out.count(str(MOMENT)), err) == (2, "")


@pytest.mark.usefixtures("terminal")
def test_a_table_without_rows_has_its_titles(capsys: pytest.CaptureFixture[str]) -> None:
    table(COLUMNS, [], optional=("Next try (UTC)",))
    assert "Reason" in capsys.readouterr().out
