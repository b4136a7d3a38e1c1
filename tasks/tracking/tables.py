"""Read the lines of a text table, as spreadsheets and shipping programs save it. Bounded in size."""

from __future__ import annotations

import codecs
import csv
import io
import re
from collections.abc import Iterator
from typing import NamedTuple

from models.errors import AppError, ExitCode

MAX_LINE_CHARACTERS = 100_000
SEPARATORS = (",", ";", "\t", "|")
_SEPARATOR_LINE = re.compile(r'"?sep=([^\r\n"])"?[ ;,\t]*(?:\r\n|\r|\n|\Z)', re.IGNORECASE)
_UTF_16 = ((codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"))
_SAMPLE = 200


class ShipmentFileError(AppError):
    """A file can't be used at all; the text says what to change."""

    exit_code = ExitCode.BAD_INPUT


class BadRow(NamedTuple):
    """A row that can't be taken, by its line number, and why."""

    line: int
    reason: str


Line = tuple[int, list[str]] | BadRow
"""A row with its line number, from 1, and its cells; or why it can't be read."""


def text_lines(content: bytes) -> Iterator[Line]:
    """Yield each row that is not empty.

    The encoding is UTF-8, UTF-16 or Windows-1252. The separator is what stands most often in the header, or
    what a first line ``sep=;`` names. Lines end with LF, CR LF or CR.

    Raises:
        ShipmentFileError: a line is too long, or the content is no text.
    """
    text = _decoded(content)
    named = _SEPARATOR_LINE.match(text)
    separator = named[1] if named else _separator(text)
    if separator.isalnum() or (not separator.isprintable() and separator != "\t"):
        raise ShipmentFileError("line 1: sep= names no separator: write sep=; or remove the line")
    lines = _short_lines(text)
    if named:
        next(lines)
    reader, before = csv.reader(lines, delimiter=separator, strict=True), 1 if named else 0
    while True:
        line = before + reader.line_num + 1
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error:
            yield BadRow(line, "its quotation marks are not closed, or a value is far too long")
            continue
        if any(cell.strip() for cell in cells):
            yield line, cells


def _decoded(content: bytes) -> str:
    """Return the text without its byte order mark.

    Raises:
        ShipmentFileError: it is in none of the encodings.
    """
    for coding in _codings(content):
        try:
            text = content.decode(coding).removeprefix("\ufeff")
        except UnicodeDecodeError:
            continue
        return text
    raise ShipmentFileError(
        "the file is no text in UTF-8, UTF-16 or Windows-1252: save it as CSV UTF-8 or XLSX"
    )


def _codings(content: bytes) -> tuple[str, ...]:
    for mark, coding in _UTF_16:
        if content.startswith(mark):
            return (coding,)
    sample = content[:_SAMPLE]
    half = len(sample) // 2
    for zeros, coding in ((sample[1::2], "utf-16-le"), (sample[::2], "utf-16-be")):
        if half and zeros.count(0) * 2 > half:
            return (coding,)
    return ("utf-8", "cp1252")


def _short_lines(text: str) -> Iterator[str]:
    for number, line in enumerate(io.StringIO(text, newline=""), 1):
        if len(line) > MAX_LINE_CHARACTERS:
            raise ShipmentFileError(f"line {number} is longer than {MAX_LINE_CHARACTERS} characters")
        yield line


def _separator(text: str) -> str:
    header = re.split(r"[\r\n]", text.lstrip("\r\n "), maxsplit=1)[0]
    return max(SEPARATORS, key=header.count)
