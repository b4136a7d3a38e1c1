"""Regular expressions of rules, in time that grows with the text and no faster: RE2 searches, not ``re``.

``re`` tries one way after another, and a buyer's name can make those ways without number. RE2 follows all of
them at once, so it has no look-around and no backreferences. What it has but means otherwise than Python,
such as classes that know ASCII only, is translated here: people write patterns as Python reads them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence

import re2

from models.errors import AppError

MAX_TEXT = 50_000
"""Longer than any field is. Some patterns take ten microseconds for each character."""
MAX_MEMORY = 4 * 1024 * 1024
"""Bytes for a compiled pattern and what RE2 notes while it searches."""


class PatternError(AppError, ValueError):
    """A pattern can't be used; the text says why."""


class TooLongError(AppError):
    """A text is longer than patterns look at."""


_ESCAPE = (
    r"\\(?:[0-3][0-7]{2}|0[0-7]?|x[0-9A-Fa-f]{2}|u[0-9A-Fa-f]{4}|U[0-9A-Fa-f]{8}"
    r"|[pP]\{\^?\w+\}|[pP]\w|x\{[0-9A-Fa-f]+\}|.)"
)
_PART = re.compile(
    rf"""
    (?P<set>     \[\^?\]?(?:\\.|\[:\^?\w+:\]|[^\]\\])*+\] )
    | (?P<escape> {_ESCAPE} )
    | (?P<refused> \(\?(?:<?[=!]|P=|>|\() )
    | (?P<syntax> \((?:\?(?:P?<\w+>|[\w-]*[:)]))?|[)|^] )
    | (?P<repeat> (?:[*+?]|\{{(?:\d+(?:,\d*)?|,\d*)\}})[?+]? )
    | (?P<end>    \$ )
    | (?P<other>  . )
    """,
    re.VERBOSE | re.DOTALL,
)
_IN_SET = re.compile(rf"\[:\^?\w+:\]|{_ESCAPE}|.", re.DOTALL)
_REFUSED = {
    "(?=": "look-ahead is not possible; say it with one more condition",
    "(?!": "look-ahead is not possible; say it with one more condition",
    "(?<=": "look-behind is not possible; say it with one more condition",
    "(?<!": "look-behind is not possible; say it with one more condition",
    "(?P=": "a backreference is not possible",
    "(?(": "a choice by a group is not possible",
    "(?>": "an atomic group is not possible, and not needed: write (?:",
}

_WORD = r"\p{L}\p{N}_"
_SPACE = r"\t-\r\x1c-\x20\x{85}\p{Z}"
_DIGIT = r"\p{Nd}"
_CLASSES = {
    "w": _WORD,
    "s": _SPACE,
    "d": _DIGIT,
    "W": r"\p{M}\p{Pd}\p{Ps}\p{Pe}\p{Pi}\p{Pf}\p{Po}\x{203f}-\x{2040}\x{2054}\x{fe33}-\x{fe34}"
    r"\x{fe4d}-\x{fe4f}\x{ff3f}\p{S}\p{Z}\p{C}",
    "S": r"\p{L}\p{M}\p{N}\p{P}\p{S}\p{Cf}\p{Co}\x00-\x08\x0e-\x1b\x7f-\x{84}\x{86}-\x{9f}",
    "D": r"\p{L}\p{M}\p{Nl}\p{No}\p{P}\p{S}\p{Z}\p{C}",
}
"""What stands in a set for each of Python's classes. RE2 can't subtract: the last three name what is left."""
_BOUNDARY, _INSIDE = "\ufdd0", "\ufdd1"
_MARKS = r"\x{fdd0}\x{fdd1}"
"""Two characters that Unicode keeps free. Where a pattern asks for word boundaries, they are put between all
characters of the text to say where one is: RE2's own ``\\b`` knows no letter but ASCII's."""
_SAME_IN_RE2 = set("AafnrtvzpP")
_ASK, _STARTS, _ENDS = {r"\b", r"\B"}, {"^", r"\A"}, {"$", r"\Z", r"\z"}
_CLASH = re.compile(r"\(\?\w*s|\\P|\\p\{\^")
_MOST_MARKS = 64
_EVERY_PLACE = re.compile(r"(\b)|")


def compile_pattern(pattern: str) -> Callable[[str], bool]:
    """Return a function that tells whether a part of a text fits; upper and lower case are the same.

    The function raises ``TooLongError``.

    Raises:
        PatternError: the pattern is wrong, too large, or asks for what can't be had in linear time.
    """
    parts = [(str(part.lastgroup), part[0]) for part in _PART.finditer(pattern)]
    places = _boundaries(parts)
    options = re2.Options()
    options.case_sensitive, options.never_capture, options.log_errors = False, True, False
    options.max_mem = MAX_MEMORY
    try:
        search = re2.compile("".join(_translated(parts, is_marked=places > 0)), options).search
    except re2.error as error:
        raise PatternError(_words(error)) from None

    def fits(text: str) -> bool:
        if len(text) > MAX_TEXT:
            raise TooLongError(f"it has a text of over {MAX_TEXT} characters, and no pattern looks at that")
        return search(_marked(text, places) if places else text) is not None

    return fits


def _boundaries(parts: Sequence[tuple[str, str]]) -> int:
    """Return how often a pattern can ask for a word boundary at one place, 0 if it does not ask at all."""
    count, repeats, before = 0, 1, ""
    for _, part in parts:
        if part in _ASK:
            count += 1
        elif before in {*_ASK, ")"} and (least := re.match(r"\{(\d+)", part)):
            repeats *= max(1, int(least[1]))
        is_unusual = (before in _ASK and part in _STARTS) or (before in _ENDS and part in _ASK)
        if is_unusual:
            raise PatternError(f"{before}{part}: write {part}{before}")
        before = part
    if count and (clash := next((part for _, part in parts if _CLASH.match(part)), None)):
        raise PatternError(f"{clash} and a word boundary can't be had in one pattern")
    if count * repeats > _MOST_MARKS:
        raise PatternError("it asks for word boundaries too often")
    return count * repeats


def _words(error: Exception) -> str:
    said = error.args[0] if error.args else ""
    words = said.decode(errors="replace") if isinstance(said, bytes) else str(said)
    return "it is too large: repeat less often" if words.startswith("pattern too large") else words


def _marked(text: str, times: int) -> str:
    """Return a text with marks at every place, as many as a pattern can ask for there."""
    free = text.replace(_BOUNDARY, "\ufffd").replace(_INSIDE, "\ufffd")
    return _EVERY_PLACE.sub(lambda at: (_INSIDE if at[1] is None else _BOUNDARY) * times, free)


def _translated(parts: Sequence[tuple[str, str]], *, is_marked: bool) -> Iterator[str]:
    """Give a pattern's parts as RE2 has them; ``is_marked``: the text has marks at every place."""
    skip = f"[{_MARKS}]*" if is_marked else ""
    for kind, part in parts:
        if kind == "refused":
            raise PatternError(f"{part}: {_REFUSED[part]}")
        if kind == "syntax":
            yield part
        elif kind == "repeat":
            yield _repeat(part)
        elif kind == "end":
            yield rf"(?:{skip}$|{skip}\n{skip}\z)"  # Python's $ is also before a last line break
        elif part in _ASK:
            yield _BOUNDARY if part == r"\b" else _INSIDE
        elif part in _ENDS:
            yield rf"{skip}\z"
        elif part == r"\A":
            yield part
        else:
            sign = _set(part, is_marked) if kind == "set" else _character(kind, part, is_marked)
            yield f"(?:{skip}{sign})" if is_marked else sign


def _repeat(part: str) -> str:
    if len(part) > 1 and part.endswith("+"):
        raise PatternError(
            f"{part}: a possessive repeat is not possible, and not needed: leave out the last +"
        )
    return part.replace("{,", "{0,")


def _set(part: str, is_marked: bool) -> str:
    is_negative = part.startswith("[^")
    start = 2 if is_negative else 1
    inner = [_in_set(found[0]) for found in _IN_SET.finditer(part[start:-1])]
    marks = _MARKS if is_negative and is_marked else ""
    return f"[{'^' if is_negative else ''}{''.join(inner)}{marks}]"


def _in_set(part: str) -> str:
    if part == r"\b":
        return r"\x08"
    if len(part) == 2 and part[0] == "\\" and part[1] in _CLASSES:
        return _CLASSES[part[1]]
    return r"\]" if part == "]" else _escape(part) if part[0] == "\\" else part


def _character(kind: str, part: str, is_marked: bool) -> str:
    marks = _MARKS if is_marked else ""
    if kind == "other":
        return rf"[^\n{marks}]" if part == "." and is_marked else part
    if part[1] in "wsd" and len(part) == 2:
        return f"[{_CLASSES[part[1]]}]"
    if part[1] in "WSD" and len(part) == 2:
        return f"[^{_CLASSES[part[1].lower()]}{marks}]"
    return _escape(part)


def _escape(part: str) -> str:
    """Return an escape that stands for one character."""
    first = part[1]
    if first.isdecimal():
        if len(part) == 2 and first != "0":
            raise PatternError(f"{part}: a backreference is not possible")
        return rf"\x{{{int(part[1:], 8):x}}}"
    if first in "xuU" and len(part) > 3:
        return part if part.startswith(r"\x{") else rf"\x{{{part[2:]}}}"
    if first == "_" or not first.isascii():
        return first
    if first.isalpha() and first not in _SAME_IN_RE2:
        raise PatternError(f"{part} is unknown")
    return part
