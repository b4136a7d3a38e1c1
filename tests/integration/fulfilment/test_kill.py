"""The sending process is killed at each step: nothing is lost, nothing is sent twice."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest
from sqlalchemy import Engine, text

from deployments.sandbox.receiver import Receiver
from tasks.fulfilment.channels.orderdesk import OrderDesk
from tasks.fulfilment.channels.webhook import Webhook
from tests.support.documentation import ROOT
from tests.support.folders import visible, way_to
from tests.support.order_desk import KEY, FakeOrderDesk
from tests.support.sending import SECRET, queue, send, states

STEPS = ("before the attempt", "before sending", "after the answer", "before the record")


def killed(channel: str, target: str, desk_url: str, step: str) -> None:
    """Send in a process of its own, which is killed at a step."""
    command = [sys.executable, "-m", "tests.support.kill_sender", channel, target, desk_url, step]
    died = subprocess.run(command, cwd=ROOT, check=False, timeout=60)
    assert died.returncode == -signal.SIGKILL


@pytest.mark.parametrize("step", STEPS)
def test_a_killed_process_loses_nothing_and_sends_nothing_twice(
    desk: Engine, desk_url: str, step: str
) -> None:
    queue(desk, 20)
    with Receiver(SECRET) as receiver:
        killed("webhook", receiver.url, desk_url, step)
        send(desk, lambda: Webhook(receiver.url, SECRET, connections=2))
    assert len(receiver.taken) == 20  # the receiver refuses a key that it knows with 409
    assert {state for state, _, _ in states(desk)} <= {"sent", "already_there"}
    assert receiver.problems == []


@pytest.mark.parametrize("step", STEPS)
def test_a_killed_process_makes_no_order_twice_in_order_desk(desk: Engine, desk_url: str, step: str) -> None:
    queue(desk, 4)
    with FakeOrderDesk(knows_sources=False) as store:
        killed("orderdesk", store.url, desk_url, step)
        made = len(store.orders)
        send(desk, lambda: OrderDesk(store.url, "77", KEY, folder_name="New"))
    assert (made > 0) == (step != "before the attempt")
    assert store.creates == len(store.orders) == 4
    assert {state for state, _, _ in states(desk)} <= {"sent", "already_there"}


@pytest.mark.parametrize("step", [*STEPS, "before the promise", "after the promise"])
@pytest.mark.parametrize("channel", ["json", "csv"])
def test_a_killed_process_shows_no_file_twice(
    desk: Engine, desk_url: str, tmp_path: Path, channel: str, step: str
) -> None:
    out = tmp_path / "out"
    out.mkdir()
    queue(desk, 5)
    killed(channel, str(out), desk_url, step)
    seen = visible(out)
    texts = [path.read_text("utf-8") for path in seen]
    for path in seen:
        path.unlink()  # its reader took it
    assert bool(seen) == (step in {"after the answer", "before the record"})
    send(desk, lambda: way_to(desk, out, as_csv=channel == "csv"))
    texts += [path.read_text("utf-8") for path in visible(out)]
    with desk.connect() as connection:
        sources = connection.execute(text("SELECT source_id FROM orders")).scalars().all()
    assert ["".join(texts).count(source) for source in sources] == [1] * 5
    assert len(list(out.iterdir())) == len(visible(out))
    assert {state for state, _, _ in states(desk)} <= {"sent", "already_there"}
