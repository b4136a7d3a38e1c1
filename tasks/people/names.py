"""Names of people and tokens, as the history of orders shows them. Pure."""

from __future__ import annotations

import unicodedata

from tasks.desk.errors import DeskRefusedError

MAX_NAME_LENGTH = 60


def clean_name(name: str, what: str) -> str:
    """Return a name without white space around it.

    Args:
        name: as it was typed.
        what: whose name it is, for the message.

    Raises:
        DeskRefusedError: it is empty, too long, or has characters that can't be printed on one line.
    """
    cleaned = unicodedata.normalize("NFC", name.strip())
    if not cleaned or len(cleaned) > MAX_NAME_LENGTH or not cleaned.isprintable():
        raise DeskRefusedError(
            f"{name.strip()[:MAX_NAME_LENGTH]!r} is no name for {what}: "
            f"it needs 1 to {MAX_NAME_LENGTH} printable characters on one line"
        )
    return cleaned


def key_of(name: str) -> str:
    """Return what is the same for names that differ in case only."""
    return unicodedata.normalize("NFC", name.strip()).casefold()
