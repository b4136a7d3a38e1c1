"""What tests of orders as files share."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from sqlalchemy import Engine

from tasks.fulfilment.channels.folder import Folder
from tasks.fulfilment.queue import promise_references


def way_to(desk: Engine, directory: Path, *, as_csv: bool) -> Folder:
    """Open the way into a directory."""

    async def promise(references: Mapping[int, str]) -> None:
        promise_references(desk, references)

    return Folder(directory, as_csv=as_csv, promise=promise)


def visible(directory: Path) -> list[Path]:
    """Return the files that a reader of the directory sees."""
    return sorted(path for path in directory.iterdir() if not path.name.startswith("."))
