"""Check what a person wants to write into an order, and what needs attention after it. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from urllib.parse import urlsplit

from models.countries import country_code
from models.edits import ITEM_FIELDS, ORDER_FIELDS, Edit, Values
from models.errors import AppError, ExitCode
from models.orders import MAX_QUANTITY
from tasks.visible_text import visible

MAX_LENGTH = 500
MAX_NOTES_LENGTH = 5000
MAX_ADDRESS_LENGTH = 2000
_KEY = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,99}")
_PRINT = re.compile(r"item (\d{1,9}), print (\d{1,9})")
_NO_DESIGN = "no design address: "
_NO_COUNTRY = "the country is none that is known"


class EditError(AppError):
    """An edit can't be made as it was wished; the text names the field and what is wrong with its value."""

    exit_code = ExitCode.BAD_INPUT


class EditConflictError(EditError):
    """Somebody changed a field while another person edited it; nothing was written.

    Attributes:
        fields: the names of what changed.
    """

    def __init__(self, fields: Sequence[str]) -> None:
        super().__init__(
            f"{', '.join(fields)} changed while you edited it, and nothing was saved: look at the new value, "
            "and edit it again if it is still wrong"
        )
        self.fields = list(fields)


def checked(edit: Edit) -> Edit:
    """Return an edit with its values cleaned.

    Raises:
        EditError: a value can't be used, a field is unknown, or there is nothing to edit.
    """
    if not (edit.order or edit.order_metadata or edit.item or edit.item_metadata):
        raise EditError("nothing to edit was given: see desk edit --help")
    if edit.position is None and edit.item:
        raise EditError(f"{next(iter(edit.item))} is an item's: say which with --item N")
    for name in edit.item_metadata:
        if name in ITEM_FIELDS:
            raise EditError(f"{name} is a field of the item, no metadata: give it as --{name}")
    for name in (*edit.order, *edit.item):
        if name not in (*ORDER_FIELDS, *ITEM_FIELDS):
            raise EditError(f"{name} is no field that can be edited")
    return Edit(
        {name: _field(name, value) for name, value in edit.order.items()},
        {_key(name): _metadata(name, value) for name, value in edit.order_metadata.items()},
        edit.position,
        {name: _field(name, value) for name, value in edit.item.items()},
        {_key(name): _metadata(name, value) for name, value in edit.item_metadata.items()},
    )


def _field(name: str, value: str | None) -> str | None:
    text = (value or "").strip()
    if name == "quantity":
        return _quantity(text)
    if not text:
        return None
    if name == "ship_country":
        code = country_code(text)
        if code is None:
            raise EditError("ship_country names no country: write a code such as GB, or an English name")
        return code
    if name == "notes":
        return _printable(name, text, MAX_NOTES_LENGTH, line_breaks=True)
    return _printable(name, visible(text) if name == "sku" else text, MAX_LENGTH)


def _quantity(text: str) -> str:
    if not (text.isascii() and text.isdecimal()) or not 0 < int(text) <= MAX_QUANTITY:
        raise EditError(f"quantity must be a whole number from 1 to {MAX_QUANTITY:,}")
    return str(int(text))


def _printable(name: str, text: str, longest: int, *, line_breaks: bool = False) -> str:
    lines = text.splitlines() if line_breaks else [text]
    if not all(line.isprintable() for line in lines):
        raise EditError(f"{name} holds control characters")
    if len(text) > longest:
        raise EditError(f"{name} is longer than {longest} characters")
    return "\n".join(lines)


def _key(name: str) -> str:
    if not _KEY.fullmatch(name):
        raise EditError("a key of metadata has letters, digits and _ . - in it, and begins with a letter")
    return name


def _metadata(name: str, value: str | None) -> str | None:
    text = (value or "").strip()
    if not text:
        return None
    if not name.startswith(("print_url_", "print_preview_")):
        return _printable(name, text, MAX_NOTES_LENGTH, line_breaks=True)
    _printable(name, text, MAX_ADDRESS_LENGTH)
    try:
        parts = urlsplit(text)
        is_address = parts.scheme in {"https", "http"} and bool(parts.hostname)
    except ValueError:
        is_address = False
    if not is_address or any(char.isspace() for char in text):
        raise EditError(f"{name} must be an address that begins with https://")
    return text


def still_needed(reason: str, country: str | None, items: Mapping[int, Values]) -> list[str]:
    """Return what an order still needs attention for.

    Args:
        reason: of the import, as its history says it.
        country: the order's now.
        items: the metadata of its items now, by position.
    """
    needs: list[str] = []
    for part in reason.split("; "):
        print_ = _PRINT.fullmatch(part.removeprefix(_NO_DESIGN))
        if print_:
            if not items.get(int(print_[1]), {}).get(f"print_url_{print_[2]}"):
                needs.append(f"{_NO_DESIGN}{print_[0]}")
        elif part == _NO_COUNTRY:
            needs += [part] if not country or country_code(country) is None else []
        else:
            needs.append(part)
    return needs


def names_of(edit: Edit) -> Sequence[tuple[str, str | None]]:
    """Return the fields of an edit with their values, named as in the history."""
    item = f"item {edit.position} "
    return [
        *edit.order.items(),
        *((f"metadata {name}", value) for name, value in edit.order_metadata.items()),
        *((item + name, value) for name, value in (*edit.item.items(), *edit.item_metadata.items())),
    ]
