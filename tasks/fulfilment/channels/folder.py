"""Orders as files in a directory: complete or not there, and never there twice.

Files are first written beside under a hidden name; then the desk notes their names; then they get their
names. So after a crash anywhere a noted file that still has its hidden name was never seen by anybody, and
one that has it no more was: whether or not its reader took it away meanwhile.

Others may write to the directory: links in it are not followed, and no file that is there is written to.
"""

from __future__ import annotations

import asyncio
import csv
import io
import os
import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from hashlib import sha256
from pathlib import Path
from typing import Any

from models.handovers import Outgoing
from tasks.fulfilment.channels.interface import Answer, Promise, already_there, taken, unclear
from tasks.safe_files import Directory
from tasks.text_cells import csv_cell

GROUP_SIZE = 500
FILE_MODE = 0o640
"""Of the files, whatever the umask: their reader may be another user of the group."""
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
_MOST_DIGITS = 6
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
        self._path = directory
        self._as_csv = as_csv
        self._promise = promise

    async def send(self, group: Sequence[Outgoing]) -> Mapping[int, Answer]:
        """Write the files of a group; what a crash left under way is brought to its end first."""
        answers: dict[int, Answer] = {}
        with ExitStack() as opened:
            try:
                directory = opened.enter_context(Directory.open(self._path))
                begun = [outgoing for outgoing in group if outgoing.due.reference]
                answers |= await asyncio.to_thread(_finish, directory, begun)
                files = self._files([outgoing for outgoing in group if outgoing.id not in answers])
                await asyncio.to_thread(_stage, directory, files)
            except OSError as error:
                return answers | _failed(group, answers, error)
            await self._promise({order.id: name for name, (_, orders) in files.items() for order in orders})
            try:
                for name, (_, orders) in files.items():
                    directory.rename(_hidden(name), name)
                    answers |= {order.id: taken(name) for order in orders}
                await asyncio.to_thread(directory.sync)
            except OSError as error:
                return answers | _failed(group, answers, error)
        return answers

    async def close(self) -> None:
        """Nothing is held open."""

    def _files(self, group: Sequence[Outgoing]) -> dict[str, tuple[bytes, list[Outgoing]]]:
        """Return each file's content and orders by its name, which follows from the orders."""
        if not group:
            return {}
        if self._as_csv:
            digest = sha256("".join(outgoing.key for outgoing in group).encode()).hexdigest()[:16]
            return {f"orders-{digest}.csv": (_csv(group), list(group))}
        return {_name(outgoing): (outgoing.body, [outgoing]) for outgoing in group}


def _finish(directory: Directory, begun: Sequence[Outgoing]) -> dict[int, Answer]:
    """Return what became of orders whose files have names.

    Left out, as if it had not begun, is an order under whose hidden name lies what the desk did not write.
    """
    answers: dict[int, Answer] = {}
    renamed: set[str] = set()
    for outgoing in begun:
        name = Path(str(outgoing.due.reference)).name
        if directory.is_own_file(_hidden(name)):
            directory.rename(_hidden(name), name)
            renamed.add(name)
        if name in renamed:
            answers[outgoing.id] = taken(name)
        elif directory.stat(_hidden(name)) is None:
            answers[outgoing.id] = already_there(name)
    if renamed:
        directory.sync()
    return answers


def _stage(directory: Directory, files: Mapping[str, tuple[bytes, list[Outgoing]]]) -> None:
    for name, (content, _) in files.items():
        with directory.replace(_hidden(name), FILE_MODE) as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
    if files:
        directory.sync()


def _failed(group: Sequence[Outgoing], answers: Mapping[int, Answer], error: OSError) -> dict[int, Answer]:
    reason = f"the directory can't be written ({error.strerror}): mend it or the fulfiller's settings"
    return {outgoing.id: unclear(reason) for outgoing in group if outgoing.id not in answers}


def _hidden(name: str) -> str:
    return f".{name}.new"


def _name(outgoing: Outgoing) -> str:
    number = _UNSAFE.sub("-", outgoing.due.order_number).strip("-.")[:60] or "order"
    return f"{number}-{outgoing.key[:16]}.json"


def _csv(group: Sequence[Outgoing]) -> bytes:
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, CSV_COLUMNS)
    writer.writeheader()
    for outgoing in group:
        for line in print_jobs(outgoing):
            writer.writerow({name: csv_cell(value) for name, value in line.items()})
    return text.getvalue().encode()


def print_jobs(outgoing: Outgoing) -> list[dict[str, Any]]:
    """Return a line for each print of an order, and one for each item without prints."""
    order = outgoing.document
    address, method = order["shipping"], order["shipping_method"]
    common = {
        "idempotency_key": outgoing.key,
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
        if number.isdecimal() and len(number) <= _MOST_DIGITS and name.removeprefix("print_") in _PRINT:
            found[int(number)] |= {"print": int(number), name: value}
    return dict(sorted(found.items()))
