"""Where this program keeps its files on the machine of its user."""

from __future__ import annotations

from pathlib import Path

from platformdirs import user_data_path

APP_NAME = "podos-order-desk"


def data_place() -> Path:
    """Return the directory of this user's data; it need not be there yet."""
    return user_data_path(APP_NAME)
