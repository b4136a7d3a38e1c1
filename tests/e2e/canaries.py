"""Texts that must not be found, in all the forms that a program could write them in."""

from __future__ import annotations

import base64
import html
import json
import sqlite3
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from urllib.parse import quote, quote_plus


def forms_of(text: str) -> set[bytes]:
    """Return a text as bytes, as it stands in JSON, addresses and pages, in base64, in hex, ..."""
    raw = text.encode()
    written = {text, json.dumps(text)[1:-1], html.escape(text), quote(text, safe=""), quote_plus(text)}
    found = {text.encode() for text in written} | {raw.hex().encode(), raw.hex().upper().encode()}
    found |= {text.encode("utf-16-le"), text.encode("utf-16-be")}
    return found | {form for shift in range(3) for form in _in_base64(raw, shift)}


def _in_base64(raw: bytes, shift: int) -> Iterator[bytes]:
    """Give the characters that are the same whatever stands before and behind."""
    first, end = -(-shift * 8 // 6), (shift + len(raw)) * 8 // 6
    yield base64.b64encode(b"\x00" * shift + raw)[first:end]
    yield base64.urlsafe_b64encode(b"\x00" * shift + raw)[first:end]


def found_in(contents: Mapping[str, bytes], needles: Collection[bytes]) -> dict[str, list[bytes]]:
    """Return which contents hold which needles, a few of each; upper and lower case are the same."""
    wanted = {needle: needle.lower() for needle in needles}
    found: dict[str, list[bytes]] = {}
    for name, content in contents.items():
        lower = content.lower()
        if hits := [needle for needle, low in wanted.items() if low in lower]:
            found[name] = hits[:5]
    return found


def contents_of(files: Collection[Path], within: Path) -> dict[str, bytes]:
    """Return what stands in files, by their path."""
    return {str(file.relative_to(within)): file.read_bytes() for file in files}


def rows_of(database: Path) -> bytes:
    """Return all rows of an SQLite database as text: in its file, a long value lies in pieces."""
    connection = sqlite3.connect(f"file:{database}?mode=ro", uri=True)
    try:
        return "\n".join(connection.iterdump()).encode()
    finally:
        connection.close()
