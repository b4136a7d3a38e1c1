"""A process that sends and kills itself at a step: ``python -m tests.kill_sender URL DESK-URL STEP``."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Mapping, Sequence

from models.handovers import Outgoing
from tasks import fulfil
from tasks.desk.engine import make_engine
from tasks.fulfillers.interface import Answer
from tasks.fulfillers.webhook import Webhook
from tests.sending import SECRET, send


def die() -> None:
    """End as a power cut does."""
    os.kill(os.getpid(), signal.SIGKILL)


class Dying(Webhook):
    """A way that dies with its process at the third order."""

    step = ""
    count = 0

    async def send(self, group: Sequence[Outgoing]) -> Mapping[int, Answer]:
        """Send, or die before or after it."""
        Dying.count += 1
        if Dying.count == 3 and self.step == "before sending":
            die()
        answers = await super().send(group)
        if Dying.count >= 3 and self.step == "after the answer":
            die()
        return answers


def main() -> None:
    """Send until the step at which to die."""
    url, desk_url, Dying.step = sys.argv[1:]
    if Dying.step == "before the record":
        vars(fulfil)["write_results"] = lambda *_, **__: die()
    if Dying.step == "before the attempt":
        vars(fulfil)["begin_attempts"] = lambda *_, **__: die()
    engine = make_engine(desk_url)
    send(engine, lambda: Dying(url, SECRET, connections=2))


if __name__ == "__main__":
    main()
