"""Orders as files in a directory: complete or not there, and never there twice.

Files are first written beside under a hidden name; then the desk notes their names; then they get their
names. So after a crash anywhere a noted file that still has its hidden name was never seen by anybody, and
one that has it no more was: whether or not its reader took it away meanwhile.
"""

from __future__ import annotations

import asyncio
import csv
import io
import os
import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

from models.handovers import Outgoing
from tasks.fulfillers.interface import Answer, Promise, already_there, taken, unclear
from tasks.spreadsheet import guarded

GROUP_SIZE = 500
CSV_COLUMNS = (
    *(
        "idempotency_key",
        "order_number",
        "source_id",
        "item",
        "print",
        "sku",
        "print_sku",
        "name",
        "quantity",
    ),
    *(
        "print_url",
        "print_location",
        "print_technology",
        "print_preview",
        "print_width_mm",
        "print_height_mm",
    ),
    *("ship_name", "ship_company", "ship_address1", "ship_address2", "ship_city", "ship_postal_code"),
    *("ship_state", "ship_country", "shipping_method", "priority"),
)
_UNSAFE = re.compile(r"[^A-Za-z0-9._-]+")
_PRINT = ("url", "location", "technology", "preview", "width_mm", "height_mm")


class Folder:
    """Writes orders into a directory that must exist.

    Args:
        directory: where.
        as_csv: a file of print jobs for each group, else a JSON file for each order.
        promise: notes file names in the desk before they are given.
    """

    group_size = GROUP_SIZE
    lanes = 1

    def __init__(self, directory: Path, *, as_csv: bool, promise: Promise) -> None:
        self._directory = directory
        self._as_csv = as_csv
        self._promise = promise

    async def send(self, group: Sequence[Outgoing]) -> Mapping[int, Answer]:
        """Write the files of a group; what a crash left under way is brought to its end first."""
        answers: dict[int, Answer] = {}
        try:
            answers |= await asyncio.to_thread(self._finish, [one for one in group if one.due.reference])
            files = self._files([one for one in group if not one.due.reference])
            await asyncio.to_thread(self._stage, files)
        except OSError as error:
            return answers | self._failed(group, answers, error)
        await self._promise({one.id: name for name, (_, orders) in files.items() for one in orders})
        try:
            for name, (_, orders) in files.items():
                self._hidden(name).rename(self._directory / name)
                answers |= {one.id: taken(name) for one in orders}
            await asyncio.to_thread(_sync, self._directory)
        except OSError as error:
            return answers | self._failed(group, answers, error)
        return answers

    async def close(self) -> None:
        """Nothing is held open."""

    def _failed(
        self, group: Sequence[Outgoing], answers: Mapping[int, Answer], error: OSError
    ) -> dict[int, Answer]:
        reason = f"the directory can't be written ({error.strerror}): mend it or the fulfiller's settings"
        return {one.id: unclear(reason) for one in group if one.id not in answers}

    def _finish(self, begun: Sequence[Outgoing]) -> dict[int, Answer]:
        answers: dict[int, Answer] = {}
        renamed: set[str] = set()
        for one in begun:
            name = Path(str(one.due.reference)).name
            if self._hidden(name).exists():
                self._hidden(name).rename(self._directory / name)
                renamed.add(name)
            answers[one.id] = taken(name) if name in renamed else already_there(name)
        if renamed:
            _sync(self._directory)
        return answers

    def _files(self, group: Sequence[Outgoing]) -> dict[str, tuple[bytes, list[Outgoing]]]:
        """Return each file's content and orders by its name, which follows from the orders."""
        if not group:
            return {}
        if self._as_csv:
            digest = sha256("".join(one.key for one in group).encode()).hexdigest()[:16]
            return {f"orders-{digest}.csv": (_csv(group), list(group))}
        return {_name(one): (one.body, [one]) for one in group}

    def _stage(self, files: Mapping[str, tuple[bytes, list[Outgoing]]]) -> None:
        for name, (content, _) in files.items():
            descriptor = os.open(self._hidden(name), os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o640)
            os.fchmod(descriptor, 0o640)  # whatever the umask: its reader may be another user of the group
            with os.fdopen(descriptor, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
        if files:
            _sync(self._directory)

    def _hidden(self, name: str) -> Path:
        return self._directory / f".{name}.new"


def _name(one: Outgoing) -> str:
    number = _UNSAFE.sub("-", one.due.order_number).strip("-.")[:60] or "order"
    return f"{number}-{one.key[:16]}.json"


def _sync(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _csv(group: Sequence[Outgoing]) -> bytes:
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, CSV_COLUMNS)
    writer.writeheader()
    for one in group:
        for line in print_jobs(one):
            writer.writerow({name: guarded(value) for name, value in line.items()})
    return text.getvalue().encode()


def print_jobs(one: Outgoing) -> list[dict[str, Any]]:
    """Return a line for each print of an order, and one for each item without prints."""
    order = one.document
    address, method = order["shipping"], order["shipping_method"]
    common = {
        "idempotency_key": one.key,
        **{name: order[name] for name in ("order_number", "source_id", "priority")},
        **{f"ship_{name}": value for name, value in address.items()},
        "shipping_method": method["code"] or method["name"],
    }
    lines = []
    for number, item in enumerate(order["items"], 1):
        own = {name: item[name] for name in ("sku", "name", "quantity")}
        own |= {"item": number, "print_sku": item["metadata"].get("print_sku")}
        prints = _prints(item["metadata"])
        lines += [{**common, **own, **one_print} for one_print in prints.values()] or [common | own]
    return lines


def _prints(metadata: Mapping[str, str]) -> dict[int, dict[str, Any]]:
    found: dict[int, dict[str, Any]] = defaultdict(dict)
    for key, value in metadata.items():
        name, _, number = key.rpartition("_")
        if number.isdecimal() and name.removeprefix("print_") in _PRINT:
            found[int(number)] |= {"print": int(number), name: value}
    return dict(sorted(found.items()))
