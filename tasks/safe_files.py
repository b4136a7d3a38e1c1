"""Files in directories that other users may write to.

A directory is opened once, and each name is taken relative to its descriptor. So whoever puts links into the
directory, or another directory in its place, neither leads a write elsewhere nor has a file read that is not
meant. For Linux and macOS.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO, Self, cast

from models.errors import AppError

PRIVATE = 0o600
_A_LINK = "it is a link, and links are not followed: use the file or directory itself"
_A_SECOND_NAME = "it has a second name, a hard link: put a copy in its place"
_NO_FILE = "it is no regular file"
_NOT_OURS = "somebody else put it there: remove it"
_OF_OTHERS = stat.S_IWGRP | stat.S_IWOTH


class UnsafeFileError(AppError, OSError):
    """What lies under a name is not used: it is a link, has a second name, or is not what it should be."""


class Directory:
    """An open directory; open it with ``Directory.open`` and use it with ``with``.

    Attributes:
        path: where it was when it was opened.
    """

    def __init__(self, path: Path, descriptor: int) -> None:
        self.path = path
        self._descriptor = descriptor

    @classmethod
    def open(cls, path: Path, *, follow_link: bool = False) -> Self:
        """Open a directory that exists.

        Args:
            path: links in the middle of it are followed.
            follow_link: whether the last part of the path may be a link as well.

        Raises:
            UnsafeFileError: it is a link and must not be one.
            OSError: it can't be opened.
        """
        flags = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
        try:
            return cls(path, os.open(path, flags if follow_link else flags | os.O_NOFOLLOW))
        except OSError:
            if not follow_link and path.is_symlink():
                raise UnsafeFileError(errno.ELOOP, _A_LINK) from None
            raise

    def __enter__(self) -> Self:
        """Return it."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close it."""
        os.close(self._descriptor)

    def names(self) -> list[str]:
        """Return the names in it, in no order."""
        return os.listdir(self._descriptor)  # noqa: PTH208 - a Path has no descriptor

    def stat(self, name: str) -> os.stat_result | None:
        """Return what lies under a name, a link as a link; None if there is nothing."""
        with suppress(FileNotFoundError):
            return os.stat(name, dir_fd=self._descriptor, follow_symlinks=False)
        return None

    def is_own_file(self, name: str) -> bool:
        """Return whether a regular file of this user, without a second name, lies under a name."""
        found = self.stat(name)
        return found is not None and _problem_of_own(found) is None

    def read(self, name: str) -> BinaryIO:
        """Open a file to read it.

        Raises:
            UnsafeFileError: it is a link, has a second name, or is no regular file.
            OSError: there is none, or it can't be read.
        """
        return self._open_file(name, os.O_RDONLY, "rb", _problem)

    def update(self, name: str) -> BinaryIO:
        """Open a file of this user to read and write it.

        Raises:
            UnsafeFileError: ``is_own_file`` is false.
            OSError: there is none, or it can't be opened.
        """
        return self._open_file(name, os.O_RDWR, "r+b", _problem_of_own)

    def create(self, name: str, mode: int = PRIVATE) -> BinaryIO:
        """Make a new file and open it to write and read it.

        Args:
            name: which must not exist, not even as a link.
            mode: its permissions, whatever the umask is. A share that knows none keeps its own.

        Raises:
            FileExistsError: the name is taken.
            OSError: it can't be made.
        """
        descriptor = self._open(name, os.O_RDWR | os.O_CREAT | os.O_EXCL)
        file: BinaryIO = os.fdopen(descriptor, "w+b")
        if mode != PRIVATE:
            with suppress(OSError):  # many a share has no permissions: the mode is a wish
                os.fchmod(descriptor, mode)
        return file

    def replace(self, name: str, mode: int = PRIVATE) -> BinaryIO:
        """Make a new file as ``create`` does, in place of what lies under the name: that is removed.

        Raises:
            OSError: what is there can't be removed, or the file can't be made.
        """
        self.remove(name)
        return self.create(name, mode)

    def rename(self, name: str, new_name: str, *, into: Directory | None = None) -> None:
        """Give a file another name, in this directory or another one; what has that name is replaced.

        Raises:
            OSError: with ``errno.EXDEV``, the other directory is on another file system.
        """
        target = (into or self)._descriptor
        os.rename(name, new_name, src_dir_fd=self._descriptor, dst_dir_fd=target)

    def remove(self, name: str) -> None:
        """Remove a file or a link. Safe to repeat."""
        with suppress(FileNotFoundError):
            os.unlink(name, dir_fd=self._descriptor)

    def subdirectory(self, name: str) -> Directory:
        """Open a directory in this one; it is made, for this user alone, if there is none.

        Raises:
            UnsafeFileError: it is a link.
            OSError: it is no directory, or can't be made.
        """
        with suppress(FileExistsError):
            os.mkdir(name, 0o700, dir_fd=self._descriptor)
        try:
            return Directory(self.path / name, self._open(name, os.O_RDONLY | os.O_DIRECTORY))
        except UnsafeFileError as error:
            raise UnsafeFileError(error.errno, f"{name} in it: {error.strerror}") from None

    def sync(self) -> None:
        """Return when the names in it are safe on the disk, where the file system can tell of directories."""
        try:
            os.fsync(self._descriptor)
        except OSError as error:
            if error.errno not in {errno.EINVAL, errno.ENOTSUP}:
                raise

    def is_private(self) -> bool:
        """Return whether only this user and root can change what its path leads to, and what is in it.

        A library that opens files by path, as SQLite does, needs such a directory.
        """
        path = self.path.resolve()
        if not os.path.samestat(path.stat(), os.fstat(self._descriptor)):
            return False
        inner, *outer = (place.stat() for place in (path, *path.parents))
        return _is_closed(inner) and all(_is_closed(place, sticky=True) for place in outer)

    def _open_file(
        self, name: str, flags: int, mode: str, problem_of: Callable[[os.stat_result], str | None]
    ) -> BinaryIO:
        descriptor = self._open(name, flags | os.O_NONBLOCK)  # a pipe without a reader or writer would block
        if problem := problem_of(os.fstat(descriptor)):
            os.close(descriptor)
            raise UnsafeFileError(errno.EPERM, problem)
        return cast("BinaryIO", os.fdopen(descriptor, mode))

    def _open(self, name: str, flags: int) -> int:
        try:
            return os.open(name, flags | os.O_NOFOLLOW | os.O_CLOEXEC, PRIVATE, dir_fd=self._descriptor)
        except FileExistsError:
            raise
        except OSError:
            found = self.stat(name)
            if found is not None and stat.S_ISLNK(found.st_mode):
                raise UnsafeFileError(errno.ELOOP, _A_LINK) from None
            raise


def _problem(found: os.stat_result) -> str | None:
    if not stat.S_ISREG(found.st_mode):
        return _NO_FILE
    return _A_SECOND_NAME if found.st_nlink > 1 else None


def _problem_of_own(found: os.stat_result) -> str | None:
    return _problem(found) or (None if found.st_uid == os.geteuid() else _NOT_OURS)


def _is_closed(place: os.stat_result, *, sticky: bool = False) -> bool:
    """Return whether nobody else can rename our files in a directory.

    Args:
        place: the directory.
        sticky: whether the sticky bit is enough, with which others can make files but not rename ours.
    """
    is_open = place.st_mode & _OF_OTHERS and not (sticky and place.st_mode & stat.S_ISVTX)
    return place.st_uid in {0, os.geteuid()} and not is_open
