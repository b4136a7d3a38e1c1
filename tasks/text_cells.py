"""Text that strangers worded, made harmless for a Markdown page, a terminal or a CSV file. Pure.

Buyers, merchants, podOS and fulfillers can write anything into a name, a reference or an error. Everything
that shows such text takes it through one of these functions; nothing else in this program formats it.
"""

from __future__ import annotations

import re

_REPLACEMENT = "\N{REPLACEMENT CHARACTER}"
_WORD_JOINER = "\N{WORD JOINER}"
_LOOKS_BLANK = dict.fromkeys(map(ord, "\u115f\u1160\u2800\u3164\uffa0"), " ")
"""Letters and signs that show as nothing: enough of them would push text to the next line of a terminal."""

_MARKDOWN_SIGNS = re.compile(r"[\\`*_\[\]<>#!|~&$]")
_MARKDOWN_START = re.compile(r"^(?:[-+=]|\d+(?=[.)]))")
_ADDRESS_SIGNS = re.compile(r"(?<=\w)(?=://)|(?<=www)(?=\.)|(?=@)", re.IGNORECASE)

GUARD = "'"
_FORMULA = r"=+\-@＝＋－＠"
_GUARDED_START = re.compile(rf"(?:\A|(?<=[;\t\r\n]))(?=[\"' \xa0]*[{_FORMULA}])|\A(?=[\t\r\n'])")
_GUARD = re.compile(rf"\A{GUARD}|(?<=[;\t\r\n]){GUARD}(?=[\"' \xa0]*[{_FORMULA}])")
_TEXT_FORMULA = re.compile(r'=\s*"((?:[^"]|"")*)"')


def one_line(text: str) -> str:
    """Return text on one line, each run of white space and of characters that print nothing as one space."""
    return " ".join("".join(char if char.isprintable() else " " for char in text).split())


def markdown_cell(text: object) -> str:
    """Return text that Markdown shows as it is: no image, link, heading, HTML, code, table or line break.

    A backslash stands before every sign that means something: one of Prefect's two user interfaces shows
    entities as they are written. An invisible word joiner splits web and mail addresses: both make links of
    plain ones, escaped or not.
    """
    line = _ADDRESS_SIGNS.sub(_WORD_JOINER, one_line(str(text)))
    line = _MARKDOWN_SIGNS.sub(r"\\\g<0>", line)
    return _MARKDOWN_START.sub(_escaped_start, line)


def _escaped_start(match: re.Match[str]) -> str:
    """Escape what would begin a list: the sign itself, or the dot or bracket behind a number."""
    return f"{match[0]}\\" if match[0].isdecimal() else f"\\{match[0]}"


def terminal_cell(text: object) -> str:
    """Return text on one line that can't steer a terminal nor pass for another line.

    White space of any kind and length is one space. What else does not print (escape sequences, signs that
    turn the direction of writing) is a replacement character. Nothing that writes lines interprets markup.
    """
    return " ".join(terminal_line(str(text).translate(_LOOKS_BLANK)).split())


def terminal_line(text: str) -> str:
    """Return a line of our own with strangers' text in it as a single line; its spaces stay as they are."""
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else " " if char.isspace() else _REPLACEMENT for char in text)


def csv_cell(value: str | float | None) -> str | int | float:
    """Return a value as a cell of a CSV file; text that could be a formula gets an apostrophe in front.

    A formula begins with one of ``= + - @``, in either width. It can begin the cell, and also follow a
    semicolon, tab or line break in it: a spreadsheet for which these are separators makes a cell of the rest.
    Numbers stay as they are, None is an empty cell. ``from_csv_cell`` gives the text back.
    """
    if value is None:
        return ""
    return _GUARDED_START.sub(GUARD, value) if isinstance(value, str) else value


def from_csv_cell(cell: str) -> str:
    """Return what a cell says, without what only keeps it text.

    In each place where ``csv_cell`` sets an apostrophe, one goes, so that its text comes back. So do any
    apostrophe in front and ``="..."`` around a cell, which spreadsheets and people set for the same reason.
    """
    wrapped = _TEXT_FORMULA.fullmatch(cell)
    return wrapped[1].replace('""', '"') if wrapped else _GUARD.sub("", cell)
