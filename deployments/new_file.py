"""Files that commands write: complete or not there, and for their user alone."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

import typer


@contextmanager
def new_file(path: Path) -> Iterator[TextIO]:
    """Give a file that takes the place of ``path`` only when all is written."""
    target = path.resolve()
    if target.exists() and not target.is_file():  # a pipe or device: there is nothing to replace
        with _opened(target) as file:
            yield file
        return
    try:
        number, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
    except OSError as error:
        raise _not_writable(path, error) from None
    new = Path(name)
    try:
        with os.fdopen(number, "w", encoding="utf-8", newline="") as file:
            yield file
        new.replace(target)
    finally:
        new.unlink(missing_ok=True)


def _opened(path: Path) -> TextIO:
    try:
        return path.open("w", encoding="utf-8", newline="")
    except OSError as error:
        raise _not_writable(path, error) from None


def _not_writable(path: Path, error: OSError) -> typer.BadParameter:
    return typer.BadParameter(f"{path} can't be written ({error.strerror})", param_hint="--output")
