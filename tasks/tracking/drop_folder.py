"""Process the files that shipping programs put into a folder: each finished file once, then move it away.

Others may write to the folder: a link in it is neither read nor written through.
"""

from __future__ import annotations

import csv
import io
import os
import stat
from collections.abc import Callable
from datetime import datetime
from functools import partial
from pathlib import Path
from time import sleep
from typing import NamedTuple

from sqlalchemy import Engine

from models.errors import AppError, ExitCode
from models.shipments import DEFAULT_READING, ShipmentReading
from tasks.safe_files import Directory, UnsafeFileError
from tasks.text_cells import csv_cell
from tasks.tracking.intake import Taken, take_file
from tasks.tracking.shipment_file import FILE_ENDINGS, read_content
from tasks.tracking.tables import BadRow, ShipmentFileError

DONE = "done"
FAILED = "failed"
QUIET_SECONDS = 2.0
"""A file that was written to more recently may not be finished."""
LONGEST_NAME_BYTES = 255


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
        counts = self._replace(taken=self.taken._replace(sheet=""))._counts()
        what = "a file that can't be used" if self.problem else f"a file: {counts}"
        return f"{what}; moved to {self.moved_to.parent.name}/"

    def _counts(self) -> str:
        sheet = f"sheet {self.taken.sheet}: " if self.taken.sheet else ""
        return f"{sheet}{self.taken.added} added, {self.taken.known} known, {len(self.taken.bad)} bad"


def take_folder(
    engine: Engine,
    folder: Path,
    *,
    strict: bool,
    now: datetime,
    reading: ShipmentReading = DEFAULT_READING,
) -> list[FileResult]:
    """Take the finished files of a folder, in the sequence of their names.

    A file whose rows were all taken is moved to ``done/``, another to ``failed/`` with the list of its bad
    rows beside it.

    Args:
        engine: the desk.
        folder: where files are dropped.
        strict: take all rows of a file or none.
        now: aware; a file is finished when nothing was written to it for two seconds.
        reading: how the files are read.

    Raises:
        DropFolderError: the folder does not exist or can't be read or written.

    Safe to repeat, also after a crash between taking and moving: the same file again adds nothing.
    """
    try:
        with Directory.open(folder) as drop:
            take = partial(take_file, engine, strict=strict, overwrite=False, now=now, reading=reading)
            found = (_take(take, drop, name, now) for name in finished_files(drop, now=now))
            return [result for result in found if result]
    except OSError as error:
        raise DropFolderError(
            f"the drop folder {folder} can't be used ({error.strerror}): make it, or mend its permissions"
        ) from None


def finished_files(drop: Directory, *, now: datetime) -> list[str]:
    """Return the files of a folder that nobody writes to any more, by name; hidden ones do not count.

    Links are among them: each is refused under its name. A file dated in the future is finished when it stays
    the same while it is watched: the clock of its share is ahead.
    """
    found = {name: about for name in drop.names() if _is_meant(name) and (about := _file(drop, name))}
    old = {name for name, about in found.items() if about.st_mtime <= now.timestamp() - QUIET_SECONDS}
    ahead = {name for name, about in found.items() if about.st_mtime > now.timestamp()}
    if ahead:
        sleep(QUIET_SECONDS)
    return sorted(old | {name for name in ahead if _is_same(found[name], drop.stat(name))})


def _is_meant(name: str) -> bool:
    return name.lower().endswith(FILE_ENDINGS) and not name.startswith((".", "~$"))


def _file(drop: Directory, name: str) -> os.stat_result | None:
    found = drop.stat(name)
    is_file = found is not None and (stat.S_ISREG(found.st_mode) or stat.S_ISLNK(found.st_mode))
    return found if is_file else None


def _take(take: Callable[[bytes], Taken], drop: Directory, name: str, now: datetime) -> FileResult | None:
    """Take one file; None if another process took it just before."""
    taken, problem, read = Taken([], 0, 0, [], set()), None, None
    try:
        with drop.read(name) as file:
            read = os.fstat(file.fileno())
            content = read_content(file, name)
        taken = take(content)
    except FileNotFoundError:
        return None
    except ShipmentFileError as error:
        problem = str(error)
    except UnsafeFileError as error:
        problem = error.strerror
    except PermissionError as error:
        problem = f"the file can't be read ({error.strerror}): mend its permissions"
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
    ending = Path(name).suffix
    free, number = name, 1
    while directory.stat(free) or directory.stat(_errors_beside(free)):
        free = _fitting(Path(name).stem, f".{now:%Y%m%dT%H%M%SZ}-{number}{ending}")
        number += 1
    return free


def _errors_beside(name: str) -> str:
    return _fitting(Path(name).stem, ".errors.txt")


def _fitting(stem: str, ending: str) -> str:
    """Return a name with this ending, its stem cut so that file systems take it."""
    room = LONGEST_NAME_BYTES - len(os.fsencode(ending))
    short = os.fsencode(stem)[:room].decode(errors="ignore") if len(os.fsencode(stem)) > room else stem
    return short + ending


def _errors_text(bad: list[BadRow]) -> str:
    text = io.StringIO()
    csv.writer(text, delimiter="\t", lineterminator="\n").writerows(
        [("line", "reason"), *((row.line, csv_cell(row.reason)) for row in bad)]
    )
    return text.getvalue()
