"""What erasing personal data does, in numbers; never with a value that was erased."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

_AGE = re.compile(r"([1-9]\d{0,4})d")


def age(text: str) -> timedelta:
    """Return a number of days, as a person writes it: ``180d``.

    Raises:
        ValueError: it is nothing like that; the text says what to write.
    """
    match = _AGE.fullmatch(text.strip())
    if not match:
        raise ValueError("write a number of days from 1d to 99999d, for example 180d")
    return timedelta(days=int(match[1]))


@dataclass
class ErasureReport:
    """What was erased, or would be.

    Attributes:
        orders: orders whose personal fields are blanked.
        rejected: rejected orders whose payload is.
        not_finished: orders that are old enough and keep theirs: they are not shipped, canceled or closed, or
            something of them still waits or has failed.
        tracking_kept: shipments of these orders that wait for podOS and keep their code until it has them.
        handed_over: for each fulfiller, how many of these orders it got: it has a copy of its own.
        file_cleaned: whether the bytes are gone from the database's file too; None: not for us to say.
    """

    dry_run: bool
    orders: int = 0
    rejected: int = 0
    not_finished: int = 0
    tracking_kept: int = 0
    handed_over: dict[str, int] = field(default_factory=dict)
    file_cleaned: bool | None = None

    def as_dict(self) -> dict[str, Any]:
        """Return the published form (``desk privacy erase --json``)."""
        return dict(vars(self))
