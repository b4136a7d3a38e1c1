"""Text in CSV files that a spreadsheet opens: it must stay text there, and come back as it was. Pure."""

from __future__ import annotations

_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠", "'")
"""What a spreadsheet takes for the begin of a formula, in both widths; and the guard itself."""
_GUARD = "'"


def guarded(value: str | float | None) -> str | int | float:
    """Return a value as a CSV cell; text that could be a formula has an apostrophe in front.

    So has text that begins with an apostrophe: one at the front, and only one, is never the value's own.
    Numbers stay as they are.
    """
    if value is None:
        return ""
    return _GUARD + value if isinstance(value, str) and value.startswith(_STARTS) else value


def unguarded(cell: str) -> str:
    """Return the text that ``guarded`` made a cell of; a cell that it did not make stays as it is."""
    rest = cell[1:]
    return rest if cell.startswith(_GUARD) and rest.startswith(_STARTS) else cell
