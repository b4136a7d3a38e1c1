"""A folder that shipping programs put CSV files into: each finished file is taken, once, and moved away.

Others may write to the folder: a link in it is neither read nor written through.
"""

from __future__ import annotations

import csv
import io
import os
import stat
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from sqlalchemy import Engine

from models.errors import AppError, ExitCode
from tasks.safe_files import Directory, UnsafeFileError
from tasks.text_cells import csv_cell
from tasks.tracking.csv_file import BadRow, ShipmentFileError, read_content
from tasks.tracking.intake import Taken, take_file

DONE = "done"
FAILED = "failed"
QUIET_SECONDS = 2.0
"""A file that was written to more recently may not be finished."""


class DropFolderError(AppError):
    """The drop folder can't be used; the text says what to do."""

    exit_code = ExitCode.BAD_INPUT


class FileResult(NamedTuple):
    """What came of one file; ``problem`` is set where it could not be used at all."""

    name: str
    moved_to: Path
    taken: Taken
    problem: str | None

    def one_line(self) -> str:
        """Return it for a person."""
        place = f"{self.moved_to.parent.name}/{self.moved_to.name}"
        if self.problem:
            return f"{self.name}: {self.problem}; moved to {place}"
        return f"{self.name}: {self._counts()}; moved to {place}"

    def told(self) -> str:
        """Return it without names of files and what stood in them, for logs."""
        what = "a file that can't be used" if self.problem else f"a file: {self._counts()}"
        return f"{what}; moved to {self.moved_to.parent.name}/"

    def _counts(self) -> str:
        return f"{self.taken.added} added, {self.taken.known} known, {len(self.taken.bad)} bad"


def take_folder(engine: Engine, folder: Path, *, strict: bool, now: datetime) -> list[FileResult]:
    """Take the finished CSV files of a folder, in the sequence of their names.

    A file whose rows were all taken is moved to ``done/``, another to ``failed/`` with the list of its bad
    rows beside it.

    Args:
        engine: the desk.
        folder: where files are dropped.
        strict: take all rows of a file or none.
        now: aware; a file is finished when nothing was written to it for two seconds.

    Raises:
        DropFolderError: the folder does not exist or can't be read or written.

    Safe to repeat, also after a crash between taking and moving: the same file again adds nothing.
    """
    try:
        with Directory.open(folder) as drop:
            found = (
                _take(engine, drop, name, strict=strict, now=now) for name in finished_files(drop, now=now)
            )
            return [result for result in found if result]
    except OSError as error:
        raise DropFolderError(
            f"the drop folder {folder} can't be used ({error.strerror}): make it, or mend its permissions"
        ) from None


def finished_files(drop: Directory, *, now: datetime) -> list[str]:
    """Return the CSV files of a folder that nobody writes to any more, by name; hidden ones do not count.

    Links are among them: each is refused under its name.
    """
    newest = now.timestamp() - QUIET_SECONDS
    return sorted(
        name
        for name in drop.names()
        if name.lower().endswith(".csv") and name[0] != "." and _is_finished(drop.stat(name), newest)
    )


def _is_finished(found: os.stat_result | None, newest: float) -> bool:
    is_file = found is not None and (stat.S_ISREG(found.st_mode) or stat.S_ISLNK(found.st_mode))
    return found is not None and is_file and found.st_mtime <= newest


def _take(engine: Engine, drop: Directory, name: str, *, strict: bool, now: datetime) -> FileResult | None:
    """Take one file; None if another process took it just before."""
    taken, problem, read = Taken([], 0, 0, [], set()), None, None
    try:
        with drop.read(name) as file:
            read = os.fstat(file.fileno())
            content = read_content(file, name)
        taken = take_file(engine, content, strict=strict, overwrite=False, now=now)
    except FileNotFoundError:
        return None
    except (ShipmentFileError, UnsafeFileError) as error:
        problem = error.strerror if isinstance(error, UnsafeFileError) else str(error)
    bad = [BadRow(1, problem)] if problem else taken.bad
    moved_to = _move(drop, name, read, _errors_text(bad) if bad else None, now)
    return FileResult(name, moved_to, taken, problem)


def _move(drop: Directory, name: str, read: os.stat_result | None, errors: str | None, now: datetime) -> Path:
    """Move a file out of the way, with its errors beside it, and return where it is."""
    with drop.subdirectory(FAILED if errors else DONE) as place:
        target = _free_name(place, name, now)
        if errors:
            with place.create(_errors_beside(target)) as file:
                file.write(errors.encode())
        drop.rename(name, target, into=place)
        if read is None or _is_same(read, place.stat(target)):
            return place.path / target
        # Somebody has put a new file in its place, or written to it: that one is to be taken as well.
        again = _free_name(drop, name, now)
        place.rename(target, again, into=drop)
        return drop.path / again


def _is_same(read: os.stat_result, moved: os.stat_result | None) -> bool:
    """Return whether what was moved is what was read."""
    return moved is not None and all(
        getattr(read, what) == getattr(moved, what) for what in ("st_dev", "st_ino", "st_size", "st_mtime_ns")
    )


def _free_name(directory: Directory, name: str, now: datetime) -> str:
    stem, ending = Path(name).stem, Path(name).suffix
    free, number = name, 1
    while directory.stat(free) or directory.stat(_errors_beside(free)):
        free = f"{stem}.{now:%Y%m%dT%H%M%SZ}-{number}{ending}"
        number += 1
    return free


def _errors_beside(name: str) -> str:
    return f"{Path(name).stem}.errors.txt"


def _errors_text(bad: list[BadRow]) -> str:
    text = io.StringIO()
    csv.writer(text, delimiter="\t", lineterminator="\n").writerows(
        [("line", "reason"), *((row.line, csv_cell(row.reason)) for row in bad)]
    )
    return text.getvalue()
