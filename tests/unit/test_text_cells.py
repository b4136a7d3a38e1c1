"""Text of strangers acts in no page, steers no terminal, is no formula, and comes back from a CSV file."""

from __future__ import annotations

import csv
import io
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.text_cells import csv_cell, from_csv_cell, markdown_cell, one_line, terminal_cell, terminal_line
from tests.support.hostile import AUTOLINK, HARMLESS, kinds, shown

# --- Markdown -----------------------------------------------------------------------------------------------

MARKDOWN = [
    "![x](http://evil.example/pixel.png)",
    "[Token expired: sign in again](http://evil.example/)",
    "[ref]: http://evil.example/",
    "[ref][]",
    "<img src=http://evil.example/i.png onerror=alert(1)>",
    "<http://evil.example/>",
    "&#60;img src=x&#62;",
    "x\r# Heading",
    "x\n\n# Heading\n\n- item",
    "x\u2028# Heading",
    "# Heading",
    "- item",
    "+ item",
    "1. one",
    "12) twelve",
    "> quote",
    "===",
    "--- | ---",
    "a | b",
    "a \\| b",
    "ends with \\",
    "`code`",
    "``` \n fenced",
    "**bold** _slanted_ ~~struck~~",
    "\\[x](http://evil.example/)",
    "    indented",
]


def page(cell: str) -> str:
    return f"| A | B |\n| --- | --- |\n| {cell} | end |\n\n- {cell}\n\n{cell}\n"


@pytest.mark.parametrize("text", MARKDOWN)
def test_markdown_shows_a_text_as_it_is(text: str) -> None:
    cell = markdown_cell(text)
    assert kinds(page(cell)).keys() <= HARMLESS
    *_, in_table, end, in_list, alone = shown(page(cell))
    plain = one_line(text)
    assert [cell.replace("\u2060", "") for cell in (in_table, in_list, alone)] == [plain] * 3
    assert end == "end"


@given(st.text(max_size=30) | st.text(alphabet="![]()<>`*_~|\\#-+=.1> \n\r&;:/@wht$", max_size=12))
def test_no_text_acts_in_markdown(text: str) -> None:
    cell = markdown_cell(text)
    assert "\n" not in cell
    assert "\r" not in cell
    assert kinds(page(cell)).keys() <= HARMLESS
    in_table = shown(page(cell))[2]
    assert in_table.replace("\u2060", "") == one_line(text).replace("\u2060", "")


@pytest.mark.parametrize(
    "text",
    ["https://evil.example/x", "see HTTP://evil.example", "www.evil.example", "WwW.x.y", "a.b@evil.example"],
)
def test_an_address_is_split_so_that_no_page_makes_a_link_of_it(text: str) -> None:
    assert AUTOLINK.search(text)
    (_, _, in_table, *_) = shown(page(markdown_cell(text)))
    assert not AUTOLINK.search(in_table)
    assert in_table.replace("\u2060", "") == text


@given(st.text(alphabet=st.sampled_from("htps:/w.@a-é_1 "), max_size=16))
def test_no_address_is_left_whole(text: str) -> None:
    assert not AUTOLINK.search(re.sub(r"\\(.)", r"\1", markdown_cell(text)))


@pytest.mark.parametrize(
    "value", ["A-1001", "item 1, print 2", "HTTP 400", "Zoë (2nd floor), 50%", "ÅÄÖ 漢字"]
)
def test_plain_text_stays_as_it_is(value: str) -> None:
    assert markdown_cell(value) == terminal_cell(value) == csv_cell(value) == value


# --- Terminals ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "cell"),
    [
        ("Ada\nFolder:     Closed", "Ada Folder: Closed"),
        ("Ada\r\n\tx", "Ada x"),
        ("Ada\u2028\u0085x", "Ada x"),
        ("\x1b[2J\x1b]0;title\x07", "\ufffd[2J\ufffd]0;title\ufffd"),
        ("\x9b31m", "\ufffd31m"),
        ("a\u202eb\u2066c\u200bd", "a\ufffdb\ufffdc\ufffdd"),
        ("Ada" + " " * 200 + "Folder: Closed", "Ada Folder: Closed"),
        ("Ada" + "\u3164\u2800\u00a0\u3000" * 50 + "x", "Ada x"),
        ("[red]Ada[/red]", "[red]Ada[/red]"),
    ],
)
def test_a_terminal_gets_one_line_that_steers_nothing(text: str, cell: str) -> None:
    assert terminal_cell(text) == cell


@given(st.text())
def test_every_cell_for_a_terminal_is_one_printable_line(text: str) -> None:
    assert terminal_cell(text).isprintable()
    assert terminal_line(text).isprintable()
    assert len(terminal_line(text)) == len(text)


# --- CSV ----------------------------------------------------------------------------------------------------

EVIL = ["=1+1", "+44 20 7946 0000", "-5", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "＝1", "＋1", "－1", "＠x"]
BEHIND = ["x;=1", "x\t+1", "x\n-1", "x\r\n@a", 'x;"=1+1', "x; =1", "x;'=1", ";＝1", "a;b;c;=d", "x;;=1"]


@pytest.mark.parametrize("text", EVIL)
def test_what_could_be_a_formula_begins_with_an_apostrophe(text: str) -> None:
    assert str(csv_cell(text)).startswith("'")
    assert from_csv_cell(f"'{text}") == text


@pytest.mark.parametrize("text", [*EVIL, *BEHIND])
@pytest.mark.parametrize("separator", [";", "\t", ","])
def test_no_cell_is_a_formula_whatever_a_spreadsheet_takes_for_the_separator(
    text: str, separator: str
) -> None:
    file = io.StringIO(newline="")
    csv.writer(file).writerow([1, csv_cell(text), "end"])
    for cell in cells_of(file.getvalue(), separator):
        assert not re.match(r"[\"' ]*[=+\-@＝＋－＠]", cell) or cell.startswith("'")


def cells_of(line: str, separator: str) -> list[str]:
    """Read a file as a spreadsheet does that splits at another separator than the writer's."""
    return [cell for row in csv.reader(io.StringIO(line, newline=""), delimiter=separator) for cell in row]


def test_a_semicolon_without_the_guard_does_make_a_formula() -> None:
    file = io.StringIO(newline="")
    csv.writer(file).writerow([1, "x;=1+1", "end"])
    assert any(cell.startswith("=") for cell in cells_of(file.getvalue(), ";"))


@pytest.mark.parametrize(
    "value", ["", "A-1", "0044", "1-5", "a=b", "O'Example", "a;b", "x; y-z", 5, -5, -2.5]
)
def test_what_is_harmless_stays_as_it_is(value: str | float) -> None:
    assert csv_cell(value) == value


def test_nothing_is_an_empty_cell() -> None:
    assert csv_cell(None) == ""


def test_a_name_that_begins_with_an_apostrophe_comes_back_whole() -> None:
    assert csv_cell("'t Example") == "''t Example"
    assert from_csv_cell("''t Example") == "'t Example"


@pytest.mark.parametrize(
    ("cell", "text"),
    [("'0034", "0034"), ('="0034"', "0034"), ('= "say ""hi"""', 'say "hi"'), ("'", ""), ('\'="1"', '="1"')],
)
def test_what_keeps_a_cell_text_is_taken_off(cell: str, text: str) -> None:
    assert from_csv_cell(cell) == text


@pytest.mark.parametrize("cell", ["", "A-1", "O'Example", '="A"&"B"', '="open', "=1+1", "a;'b"])
def test_other_cells_stay_as_they_are(cell: str) -> None:
    assert from_csv_cell(cell) == cell


@given(st.text(alphabet=st.sampled_from("'=+-@\t\r\n;＝ab \""), max_size=9) | st.text())
def test_every_text_comes_back(text: str) -> None:
    cell = str(csv_cell(text))
    assert from_csv_cell(cell) == text
    assert not cell.startswith(("=", "+", "-", "@", "\t", "\r", "\n"))
    assert not re.search(r"[;\t\r\n][\" ]*[=+\-@]", cell)
