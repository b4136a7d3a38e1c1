"""Text as people see it: values that look the same are the same. Pure."""

from __future__ import annotations

import unicodedata

_BLANK = frozenset(
    "\u034f\u115f\u1160\u17b4\u17b5\u180b\u180c\u180d\u180f\u2800\u3164\uffa0"
    + "".join(map(chr, (*range(0xFE00, 0xFE10), *range(0xE0100, 0xE01F0))))
)
"""Letters and marks of Unicode's property Default_Ignorable_Code_Point, and the blank of braille."""


def visible(text: str) -> str:
    """Return text without invisible characters, with plain spaces, and without white space around it.

    Invisible are format characters (zero-width spaces, byte order marks, marks of direction) and letters that
    show nothing. Control characters stay, so that the caller can refuse them.
    """
    if text.isascii():
        return text.strip()
    return "".join(map(_shown, text)).strip()


def _shown(char: str) -> str:
    category = unicodedata.category(char)
    if category == "Cf" or char in _BLANK:
        return ""
    return " " if category == "Zs" else char
