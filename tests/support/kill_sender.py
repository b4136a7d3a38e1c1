"""A process that sends and kills itself at a step.

Run it by ``python -m tests.support.kill_sender WAY TARGET DESK-URL STEP``.
A way is ``webhook`` or ``orderdesk``, whose target is an address, or ``json`` or ``csv``, a directory.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from sqlalchemy import Engine

from models.handovers import Outgoing
from tasks.desk.engine import make_engine
from tasks.fulfilment import send as fulfil
from tasks.fulfilment.channels.folder import Folder
from tasks.fulfilment.channels.interface import Answer, Channel
from tasks.fulfilment.channels.orderdesk import OrderDesk
from tasks.fulfilment.channels.webhook import Webhook
from tasks.fulfilment.queue import promise_references
from tests.support.order_desk import KEY
from tests.support.sending import SECRET, send


def die() -> None:
    """End as a power cut does."""
    os.kill(os.getpid(), signal.SIGKILL)


class Dying:
    """A way that dies with its process at the third group, or at the only one."""

    def __init__(self, channel: Channel, step: str, at: int) -> None:
        self.group_size, self.lanes = channel.group_size, channel.lanes
        self._way = channel
        self._step = step
        self._groups_left = at

    async def send(self, group: Sequence[Outgoing]) -> Mapping[int, Answer]:
        """Send, or die before or after it."""
        self._groups_left -= 1
        if self._groups_left == 0 and self._step == "before sending":
            die()
        answers = await self._way.send(group)
        if self._groups_left <= 0 and self._step == "after the answer":
            die()
        return answers

    async def close(self) -> None:
        """Close the way."""
        await self._way.close()


def open_channel(name: str, target: str, engine: Engine, step: str) -> Dying:
    """Open a way that dies at a step."""
    if name == "webhook":
        return Dying(Webhook(target, SECRET, connections=2), step, at=3)
    if name == "orderdesk":
        return Dying(OrderDesk(target, "77", KEY, folder_name="New"), step, at=3)

    async def promise(references: Mapping[int, str]) -> None:
        if step == "before the promise":
            die()
        promise_references(engine, references)
        if step == "after the promise":
            die()

    return Dying(Folder(Path(target), as_csv=name == "csv", promise=promise), step, at=1)


def main() -> None:
    """Send until the step at which to die."""
    name, target, desk_url, step = sys.argv[1:]
    if step == "before the record":
        vars(fulfil)["write_results"] = lambda *_, **__: die()
    if step == "before the attempt":
        vars(fulfil)["begin_attempts"] = lambda *_, **__: die()
    engine = make_engine(desk_url)
    send(engine, lambda: open_channel(name, target, engine, step))


if __name__ == "__main__":
    main()
