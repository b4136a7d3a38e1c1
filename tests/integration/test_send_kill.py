"""The sending process is killed at each step: nothing is lost, nothing is sent twice."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest
from sqlalchemy import Engine

from deployments.sandbox.receiver import Receiver
from tasks.fulfillers.webhook import Webhook
from tests.documentation import ROOT
from tests.sending import SECRET, queue, send, states

STEPS = ("before the attempt", "before sending", "after the answer", "before the record")


@pytest.mark.parametrize("step", STEPS)
def test_a_killed_process_loses_nothing_and_sends_nothing_twice(
    desk: Engine, desk_url: str, step: str
) -> None:
    queue(desk, 20)
    with Receiver(SECRET) as receiver:
        command = [sys.executable, "-m", "tests.kill_sender", receiver.url, desk_url, step]
        died = subprocess.run(command, cwd=ROOT, check=False, timeout=60)
        assert died.returncode == -signal.SIGKILL
        send(desk, lambda: Webhook(receiver.url, SECRET, connections=2))
    assert len(receiver.taken) == 20  # the receiver refuses a key that it knows with 409
    assert {state for state, _, _ in states(desk)} <= {"sent", "already_there"}
    assert receiver.problems == []
