"""A folder that shipping programs put CSV files into: each finished file is taken, once, and moved away."""

from __future__ import annotations

import csv
import io
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from sqlalchemy import Engine

from tasks.shipment_files import BadRow, ShipmentFileError, read_bytes
from tasks.shipping import Taken, take_file

DONE = "done"
FAILED = "failed"
QUIET_SECONDS = 2.0
"""A file that was written to more recently may not be finished."""


class DropFolderError(Exception):
    """The drop folder can't be used; the text says what to do."""


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
        counts = f"{self.taken.added} added, {self.taken.known} known, {len(self.taken.bad)} bad"
        return f"{self.name}: {counts}; moved to {place}"


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
        return [_take(engine, path, strict=strict, now=now) for path in finished_files(folder, now=now)]
    except OSError as error:
        raise DropFolderError(
            f"the drop folder {folder} can't be used ({error.strerror}): make it, or mend its permissions"
        ) from None


def finished_files(folder: Path, *, now: datetime) -> list[Path]:
    """Return the CSV files of a folder that nobody writes to any more, by name; hidden ones do not count."""
    newest = now.timestamp() - QUIET_SECONDS
    files = (path for path in folder.iterdir() if path.suffix.lower() == ".csv" and path.name[0] != ".")
    return sorted(path for path in files if path.is_file() and path.stat().st_mtime <= newest)


def _take(engine: Engine, path: Path, *, strict: bool, now: datetime) -> FileResult:
    taken, problem = Taken([], 0, 0, [], set()), None
    try:
        taken = take_file(engine, read_bytes(path), strict=strict, overwrite=False, now=now)
    except ShipmentFileError as error:
        problem = str(error)
    bad = [BadRow(1, problem)] if problem else taken.bad
    target = _free_place(path.parent / (FAILED if bad else DONE), path, now)
    if bad:
        _errors_beside(target).write_text(_errors_text(bad), encoding="utf-8")
    path.replace(target)
    return FileResult(path.name, target, taken, problem)


def _free_place(directory: Path, path: Path, now: datetime) -> Path:
    directory.mkdir(exist_ok=True)
    target, number = directory / path.name, 1
    while target.exists() or _errors_beside(target).exists():
        target = directory / f"{path.stem}.{now:%Y%m%dT%H%M%SZ}-{number}{path.suffix}"
        number += 1
    return target


def _errors_beside(target: Path) -> Path:
    return target.with_name(f"{target.stem}.errors.txt")


def _errors_text(bad: list[BadRow]) -> str:
    text = io.StringIO()
    csv.writer(text, delimiter="\t", lineterminator="\n").writerows([("line", "reason"), *bad])
    return text.getvalue()
