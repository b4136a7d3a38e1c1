"""Files that commands write: complete or not there, and for their user alone."""

from __future__ import annotations

import errno
import io
import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

import typer

from tasks.safe_files import Directory, UnsafeFileError


@contextmanager
def new_file(path: Path) -> Iterator[TextIO]:
    """Give a file that takes the place of ``path`` only when all is written.

    A pipe or device is written to as it is: there is nothing to replace.

    Raises:
        typer.BadParameter: it can't be written, is a link to a file, or is the pipe of another user.
    """
    if _is_special(path):
        with _opened(path) as file:
            yield file
        return
    with _not_writable(path):
        directory = Directory.open(path.parent, follow_link=True)
    with directory:
        name = f".{path.name}.{secrets.token_hex(8)}"
        with _not_writable(path):
            _check(directory, path.name)
            new = directory.create(name)
        try:
            with io.TextIOWrapper(new, encoding="utf-8", newline="") as file:
                yield file
            with _not_writable(path):
                directory.rename(name, path.name)
        finally:
            directory.remove(name)


def _is_special(path: Path) -> bool:
    return path.exists() and not path.is_file() and not path.is_dir()


def _opened(path: Path) -> TextIO:
    """Return a pipe or device, opened; one of another user would hand them the orders."""
    with _not_writable(path):
        descriptor = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
        found = os.fstat(descriptor)
        if stat.S_ISREG(found.st_mode) or found.st_uid not in {0, os.geteuid()}:
            os.close(descriptor)
            raise UnsafeFileError(errno.EPERM, "it belongs to another user")
    return os.fdopen(descriptor, "w", encoding="utf-8", newline="")


def _check(directory: Directory, name: str) -> None:
    found = directory.stat(name or ".")
    if found is None or stat.S_ISREG(found.st_mode):
        return
    if stat.S_ISLNK(found.st_mode):
        raise UnsafeFileError(errno.ELOOP, "it is a link: name the file itself")
    raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))


@contextmanager
def _not_writable(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        reason = f"{path} can't be written ({error.strerror})"
        raise typer.BadParameter(reason, param_hint="--output") from None
