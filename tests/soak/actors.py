"""Processes of a soak: commands that are run again and again, and services that are kept running."""

from __future__ import annotations

import subprocess
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path

from deployments.stack.environment import ROOT
from tests.e2e.running import descendants, kill

_KILLED = -9
_OUTPUTS_KEPT = 20


class Repeated:
    """A command that is run again and again in a thread, one process at a time.

    Attributes:
        outcomes: how often each ending was seen: ``done``, ``killed``, or the message.
        tracebacks: outputs with one, which no command may have.
    """

    def __init__(
        self,
        name: str,
        next_command: Callable[[], list[str] | None],
        environment: Mapping[str, str],
        *,
        pause_seconds: float = 0.5,
        on_done: Callable[[str], None] = lambda _output: None,
    ) -> None:
        self.name = name
        self.outcomes: Counter[str] = Counter()
        self.tracebacks: list[str] = []
        self._next_command = next_command
        self._environment = dict(environment)
        self._pause_seconds = pause_seconds
        self._on_done = on_done
        self._process: subprocess.Popen[str] | None = None
        self._stopped = threading.Event()
        self._may_run = threading.Event()
        self._may_run.set()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """Begin no further process, and wait for the one that runs."""
        self._stopped.set()
        self._may_run.set()
        self._thread.join()

    def kill(self) -> bool:
        """Kill the process with all that it started; False when none runs. None begins until ``resume``."""
        self._may_run.clear()
        process = self._process
        if process is None or process.poll() is not None:
            return False
        kill(*descendants(process.pid), process.pid)
        return True

    def resume(self) -> None:
        """Let processes begin again."""
        self._may_run.set()

    def once(self, command: list[str]) -> tuple[int, str]:
        """Run a command to its end, and return its exit code and stdout."""
        self._process = subprocess.Popen(
            command,
            cwd=ROOT,
            env=self._environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            stdin=subprocess.DEVNULL,
            text=True,
        )
        out, err = self._process.communicate()
        code = self._process.returncode
        self.outcomes["done" if code == 0 else "killed" if code == _KILLED else _gist(err)] += 1
        if "Traceback (most recent" in out + err:
            self.tracebacks = [*self.tracebacks, f"{' '.join(command[1:])}\n{err[-3000:]}"][-_OUTPUTS_KEPT:]
        return code, out

    def _run(self) -> None:
        while not self._stopped.is_set():
            self._may_run.wait()
            command = self._next_command()
            if command and not self._stopped.is_set():
                code, out = self.once(command)
                if code == 0:
                    self._on_done(out)
            self._stopped.wait(self._pause_seconds)


def _gist(err: str) -> str:
    """Return the last line of what a command said, without what differs from time to time."""
    lines = [line.strip() for line in err.splitlines() if line.strip()]
    return lines[-1].split(" (")[0].removeprefix("Error: ")[:110] if lines else "ended without a word"


class Service:
    """A program that is kept running, with its output in a file."""

    def __init__(
        self,
        command: list[str],
        environment: Mapping[str, str],
        log: Path,
        is_ready: Callable[[], bool] = lambda: True,
    ) -> None:
        self._command = command
        self._environment = dict(environment)
        self._log = log
        self._is_ready = is_ready
        self.process: subprocess.Popen[bytes] | None = None

    def start(self, ready_within_seconds: float = 0.0) -> None:
        """Start it, and wait until it is ready where a time is given."""
        with self._log.open("ab") as log:
            self.process = subprocess.Popen(
                self._command,
                cwd=ROOT,
                env=self._environment,
                stdout=log,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
            )
        deadline = time.monotonic() + ready_within_seconds
        while ready_within_seconds and not self._is_ready():
            if time.monotonic() > deadline or self.process.poll() is not None:
                raise SystemExit(f"{self._command[2]} did not start; see {self._log}")
            time.sleep(0.3)

    def kill(self) -> bool:
        """Kill it and all that it started."""
        if self.process is None:
            return False
        kill(*descendants(self.process.pid), self.process.pid)
        self.process.wait()
        return True

    def kill_a_child(self) -> bool:
        """Kill the newest of what it started; False when there is nothing."""
        children = descendants(self.process.pid) if self.process else []
        kill(*children[-1:])
        return bool(children)

    def stop(self) -> None:
        """End it in good order, and by force after a while."""
        if self.process is None:
            return
        self.process.terminate()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.kill()
        kill(*descendants(self.process.pid))
