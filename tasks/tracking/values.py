"""Validate couriers, tracking codes, tracking addresses and dates from any source. Pure.

For files, SQL, Order Desk and the command line alike. What a spreadsheet made of a value is no value: it is
refused, with the remedy. What only keeps a value text in a spreadsheet is taken off: nothing is lost by it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from contextlib import suppress
from datetime import UTC, datetime
from urllib.parse import urlsplit

from models.errors import AppError
from models.shipments import MAX_CODE_LENGTH, MAX_COURIER_LENGTH, MAX_URL_LENGTH
from tasks.text_cells import from_csv_cell
from tasks.visible_text import visible

NO_VALUE = frozenset(
    {
        *("nan", "nat", "<na>", "na", "n/a", "n.a.", "none", "null", "nil", "undefined", "inf", "infinity"),
        *("(null)", "(none)", "(blank)", "(leer)", "\\n", "[object object]", "loading..."),
        *("true", "false", "wahr", "falsch", "vrai", "faux", "verdadero", "falso", "vero", "waar", "onwaar"),
    }
)
"""What spreadsheets and programs write where there is no value, or a yes or no; case-folded."""
SPREADSHEET_DIGITS = 15
"""What a spreadsheet keeps of a number; it writes zeros for the digits behind."""
ENOUGH_ZEROS = 3
"""So many zeros behind those digits are no chance: one code in a thousand would end so."""
SHORTEST_CODE = 5
SHORTEST_UNSEPARATED_CODE = 10
"""Codes are printed in groups of up to 8; longer groups beside each other are codes of their own."""

_ERROR_WORD = re.compile(r"#(?:[^\W\d]|[/¡¿. ])*(?:/0)?[!?]?|#+|err:\d{3}", re.IGNORECASE)
_SCIENTIFIC = re.compile(r"[+-]?\d+(?:[.,]\d+)?e\+\d+|[+-]?\d+[.,]\d+e-?\d+", re.IGNORECASE)
_DECIMAL = re.compile(r"[+-]?\d+[.,]\d+|[+-]?\d{1,3}([.,'’])\d{3}(?:\1\d{3})+(?:[.,]\d+)?")
_DATE = re.compile(r"(?:\d{4}-\d\d-\d\d|\d\d?[./]\d\d?[./](?:\d\d)?\d\d)(?:[ T]\d\d?:\d\d(?::\d\d)?)?")
_SEVERAL = re.compile(r"[,;|\t\r\n]")
_JOINED = re.compile(r"[/+&]|\s(?:and|or|und|oder|et|ou)\s", re.IGNORECASE)
_TO_TEXT = "save its column as text, and enter it again"


class UnfitShipmentError(AppError, ValueError):
    """A shipment can't be sent as it was given; the text says what is wrong, without the value."""


def clean_courier(text: str | None) -> str:
    """Return a courier's name as it is seen.

    Raises:
        UnfitShipmentError: it is empty, too long, has control characters, or is no value but what a
            spreadsheet writes for one.
    """
    courier = _value(text, "courier")
    return _one_line(courier, "courier", MAX_COURIER_LENGTH)


def clean_code(text: str | None) -> str:
    """Return a tracking code as it is seen.

    Raises:
        UnfitShipmentError: it is empty, too long, has control characters, is no value but what a spreadsheet
            writes for one, was a number, a date or an address to it, or is more than one code.
    """
    code = _value(text, "code")
    refuse_rounded_number(code, "code")
    if not code.strip("0"):
        raise UnfitShipmentError("the code is 0, as a spreadsheet shows an empty cell: enter the code")
    if _DATE.fullmatch(code):
        raise UnfitShipmentError(f"a spreadsheet made a date of the code: {_TO_TEXT}")
    if "://" in code:
        raise UnfitShipmentError("the code is a web address: that is the url; enter the code alone")
    if _holds_several(code):
        raise UnfitShipmentError(
            "the code is more than one: podOS has room for one, so give each parcel a row of its own"
        )
    return _one_line(code, "code", MAX_CODE_LENGTH)


def clean_url(text: str | None) -> str | None:
    """Return a tracking address, None for an empty one.

    Raises:
        UnfitShipmentError: it is no web address.
    """
    if text is None or not visible(text):
        return None
    url = _one_line(_value(text, "url"), "url", MAX_URL_LENGTH)
    try:
        parts = urlsplit(url)
    except ValueError:
        parts = urlsplit("")
    if parts.scheme.lower() not in {"http", "https"} or not parts.netloc or " " in url:
        raise UnfitShipmentError("the url is no web address: it begins with https:// and has no spaces")
    return url


def shipped_moment(text: str | None, date_format: str = "") -> datetime | None:
    """Return when a parcel left, aware; a day is its beginning, and what names no zone is UTC.

    Args:
        text: as it was given.
        date_format: for ``strptime``: a form that is read before ISO 8601; empty: ISO 8601 alone.

    Raises:
        UnfitShipmentError: it is no date.
    """
    written = _plain(text)
    if not written:
        return None
    for read in _readers(date_format):
        with suppress(ValueError, OverflowError):
            moment = read(written)
            return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    raise UnfitShipmentError(
        "shipped_at is no date: write 2026-11-23 or 2026-11-23T09:30, or set DESK_DATE_FORMAT to the form "
        "that is used"
    )


def _readers(date_format: str) -> list[Callable[[str], datetime]]:
    own = [lambda text: datetime.strptime(text, date_format)] if date_format else []  # noqa: DTZ007 - zone follows
    return [*own, datetime.fromisoformat]


def refuse_rounded_number(text: str, what: str) -> None:
    """Raise if a text is how a spreadsheet shows a number of which digits may be lost.

    Args:
        text: as it is seen (``visible``).
        what: the column's name, for the message.

    Raises:
        UnfitShipmentError: it is such a number.
    """
    if _SCIENTIFIC.fullmatch(text) or _DECIMAL.fullmatch(text):
        raise UnfitShipmentError(
            f"a spreadsheet made a number of the {what}, and digits may be lost: {_TO_TEXT}"
        )


def refuse_no_value(text: str, what: str) -> None:
    """Raise if a text is no value.

    Args:
        text: as it is seen (``visible``).
        what: the column's name, for the message.

    Raises:
        UnfitShipmentError: it is empty, or what spreadsheets and programs write where there is no value.
    """
    if not text:
        raise UnfitShipmentError(f"the {what} is empty")
    if _ERROR_WORD.fullmatch(text):
        raise UnfitShipmentError(f"the {what} is an error of a spreadsheet, such as #N/A: enter the {what}")
    if text.casefold() in NO_VALUE or (text.isprintable() and not any(map(str.isalnum, text))):
        raise UnfitShipmentError(f"the {what} is a word for no value, such as nan or -: enter the {what}")


def rounded_codes(codes: Iterable[str]) -> frozenset[str]:
    """Return those codes of a file whose last digits a spreadsheet may have replaced by zeros.

    Three such zeros in a code tell; or in all long codes of the file together, if none has another digit
    there. A single one does not: one code of 16 digits in ten really ends so.

    Args:
        codes: cleaned; without those that were marked as text.
    """
    zeros: dict[str, int] = {}
    for code in codes:
        behind = code.lstrip("0")[SPREADSHEET_DIGITS:] if code.isascii() and code.isdecimal() else ""
        if behind:
            zeros[code] = 0 if behind.strip("0") else len(behind)
    if all(zeros.values()) and sum(zeros.values()) >= ENOUGH_ZEROS:
        return frozenset(zeros)
    return frozenset(code for code, count in zeros.items() if count >= ENOUGH_ZEROS)


ROUNDED = (
    f"a spreadsheet may have rounded the code, it has only zeros behind {SPREADSHEET_DIGITS} digits: "
    f"{_TO_TEXT}; if it really ends so, put an apostrophe in front of it"
)


def code_key(code: str | None) -> str:
    """Return the key that tracking codes are compared by: upper case, without white space."""
    return "".join((code or "").split()).casefold()


def _plain(text: str | None) -> str:
    """Return a value as it is seen, without an apostrophe in front, without a formula around it, or both."""
    plain = visible(from_csv_cell(visible(text or "")))
    return visible(from_csv_cell(plain))


def _value(text: str | None, what: str) -> str:
    """Return a value as it is seen, without what keeps it text in a spreadsheet."""
    plain = _plain(text)
    refuse_no_value(plain, what)
    if plain.startswith("=") or (what == "code" and '"' in plain):
        raise UnfitShipmentError(f"the {what} is a formula, or a part of one: paste its value, as text")
    return plain


def _one_line(text: str, what: str, longest: int) -> str:
    if not text.isprintable():
        raise UnfitShipmentError(f"the {what} has control characters")
    if len(text) > longest:
        raise UnfitShipmentError(f"the {what} has more than {longest} characters")
    return text


def _holds_several(code: str) -> bool:
    """Return whether a text is more than one code; one code may have spaces and dashes, rarely a slash."""
    if _SEVERAL.search(code):
        return True
    joined, words = _JOINED.split(code), code.split()
    return _are_codes(joined, SHORTEST_CODE) or _are_codes(words, SHORTEST_UNSEPARATED_CODE)


def _are_codes(parts: list[str], shortest: int) -> bool:
    return len(parts) > 1 and all(
        sum(map(str.isalnum, part)) >= shortest and any(map(str.isdigit, part)) for part in parts
    )
